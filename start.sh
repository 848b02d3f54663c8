#!/usr/bin/env bash
# From a fresh checkout to a running gateway, or to a full test run, in one command.
#
#   ./start.sh                        check the tools, build, serve in the foreground
#   ./start.sh --listen 127.0.0.1:9000   the same; options go to `console serve`
#   ./start.sh test                   install what the tests need, then run everything
#
# Asks nothing, so it works without a terminal.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '%s\n' "$*"; }

fail() {
    printf 'start.sh: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

has_c_compiler() { has cc || has gcc || has clang; }

# The usual installer puts cargo where a fresh shell does not look yet.
find_cargo() {
    if ! has cargo && [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH"
        export PATH
    fi
    has cargo || fail "cargo is missing: install the Rust toolchain as https://rustup.rs says, then run this again"
}

check_c_compiler() {
    has_c_compiler && return
    case "$(uname -s)" in
    Darwin) fail "a C compiler is missing (SQLite is built from source): run xcode-select --install" ;;
    *) fail "a C compiler is missing (SQLite is built from source): on Debian or Ubuntu, sudo apt-get install gcc libc6-dev; on Fedora, sudo dnf install gcc" ;;
    esac
}

# --- serve -------------------------------------------------------------------------------------------------

# Passes on what the gateway prints, and what to try next once it listens.
guide() {
    while IFS= read -r line; do
        say "$line"
        case "$line" in
        "listening on "*)
            url="${line#listening on }"
            say ""
            say "Now try, in this order:"
            say "  1. open $url/ in a browser"
            say "  2. curl '$url/sms/send?number=09122222222&body=hello'"
            say "  3. in another terminal, here: $console resend:msg && $console sync:report"
            say "Ctrl-C stops it; nothing that was accepted is lost."
            ;;
        esac
    done
}

serve() {
    find_cargo
    check_c_compiler
    say "Building (a few minutes the first time) ..."
    cargo build --release --locked --bin console
    console="${CARGO_TARGET_DIR:-target}/release/console"
    # The gateway takes this shell's place, so that signals reach it.
    exec "$console" serve "$@" > >(trap '' INT TERM; guide)
}

# --- test --------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo -n "$@"
    else
        return 1
    fi
}

apt_updated=no

# apt_install PACKAGE...: from the system's packages, without questions; services are not started.
apt_install() {
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -q || return 1
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -q -y --no-install-recommends "$@" </dev/null
}

# need PROGRAM PACKAGE: the tests cannot do without it.
need() {
    has "$1" && return
    has apt-get || fail "$1 is missing and there is no apt-get here: install it (package $2) and run this again"
    say "Installing $2: the tests run a real $1 ..."
    apt_install "$2" || fail "$2 could not be installed: install it by hand and run this again"
    has "$1" || fail "$2 was installed, but there is still no $1"
}

# want PROGRAM PACKAGE: no test needs it, but `cargo bench` does.
want() {
    has "$1" && return
    if has apt-get; then
        say "Installing $2 ..."
        apt_install "$2" && has "$1" && return
    fi
    say "Note: $1 is not installed; cargo bench will ask for it."
}

# need_promtool: of its package only this program is used, and its service is never started, now or at the next boot.
need_promtool() {
    has promtool && return
    local policy=/usr/sbin/policy-rc.d ours=no installed=yes
    has apt-get || fail "promtool is missing and there is no apt-get here: install it (package prometheus) and run this again"
    say "Installing prometheus: the tests ask its promtool ..."
    if ! [ -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"
    fi
    apt_install prometheus || installed=no
    [ "$ours" = no ] || as_root rm -f "$policy"
    [ "$installed" = yes ] || fail "prometheus could not be installed: install it by hand and run this again"
    if has systemctl; then
        as_root systemctl disable -q prometheus.service 2>/dev/null || true
    fi
    has promtool || fail "prometheus was installed, but there is still no promtool"
}

has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

# need_postgres: its programs lie outside the search path, and no cluster of the system's own is made or started.
need_postgres() {
    has_postgres && return
    has apt-get || fail "postgres is missing and there is no apt-get here: install it (package postgresql) and run this again"
    say "Installing postgresql: the tests run a real postgres ..."
    if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    apt_install postgresql || fail "postgresql could not be installed: install it by hand and run this again"
    has_postgres || fail "postgresql was installed, but there is still no initdb"
}

# need_hosts: the tests put processes on hosts of their own, network namespaces, and set some of their clocks wrong.
need_hosts() {
    need ip iproute2
    need iptables iptables
    need setpriv util-linux
    need faketime faketime
    if [ "$(id -u)" != 0 ] || ! unshare --net true 2>/dev/null; then
        say "Note: without root there are no network namespaces; the tests of many hosts use plain processes."
    fi
}

# need_peers: servers and clients of other languages, as tests/peers pins them, in a folder of their own.
need_peers() {
    local peers="${CARGO_TARGET_DIR:-target}/peers" wanted
    wanted="$(cat tests/peers/requirements.txt tests/peers/package.json | cksum)"
    [ "$(cat "$peers/installed" 2>/dev/null)" = "$wanted" ] && return
    need python3 python3
    if ! python3 -c 'import ensurepip' 2>/dev/null && has apt-get; then
        apt_install python3-venv || fail "python3-venv could not be installed: install it by hand and run this again"
    fi
    say "Installing the peers of tests/peers (servers and clients of other languages) ..."
    rm -rf "$peers"
    mkdir -p "$peers"
    python3 -m venv "$peers/python" &&
        "$peers/python/bin/pip" install -q --disable-pip-version-check -r tests/peers/requirements.txt &&
        cp tests/peers/package.json "$peers/" &&
        PATH="$peers/python/bin:$PATH" npm install --prefix "$peers" --no-audit --no-fund --silent ||
        fail "the peers of tests/peers could not be installed: see above, mend it and run this again"
    printf '%s\n' "$wanted" >"$peers/installed"
}

# need_browser: the pages are tested in a real one; it brings fonts of its own along.
need_browser() {
    has chromium || has chromium-browser || has google-chrome || need chromium chromium
}

install_test_peers() {
    if ! has_c_compiler && has apt-get; then
        say "Installing gcc: SQLite is built from source ..."
        apt_install gcc libc6-dev || true
    fi
    check_c_compiler
    need redis-server redis-server
    need_postgres
    # Debian keeps it out of the search path of ordinary users.
    [ -x /usr/sbin/pgbouncer ] || need pgbouncer pgbouncer
    need openssl openssl
    need memcached memcached
    need_hosts
    need curl curl
    need_browser
    need_promtool
    need systemd-analyze systemd
    need_peers
    want strace strace
}

# has_component NAME: rustfmt or clippy, added when rustup can.
has_component() {
    case "$1" in
    rustfmt) cargo fmt --version >/dev/null 2>&1 && return ;;
    clippy) cargo clippy --version >/dev/null 2>&1 && return ;;
    esac
    has rustup && rustup component add "$1" >/dev/null 2>&1
}

run_tests() {
    find_cargo
    install_test_peers
    if has_component rustfmt; then
        say "== cargo fmt --all --check"
        cargo fmt --all --check
    else
        say "Note: rustfmt is not installed (rustup component add rustfmt); the format is not checked."
    fi
    if has_component clippy; then
        say "== cargo clippy --workspace --all-targets -- -D warnings"
        cargo clippy --locked --workspace --all-targets -- -D warnings
    else
        say "Note: clippy is not installed (rustup component add clippy); lints are not checked."
    fi
    say "== cargo test --workspace"
    exec cargo test --locked --workspace --no-fail-fast </dev/null
}

# -----------------------------------------------------------------------------------------------------------

case "${1:-}" in
"" | -*)
    case "${1:-}" in
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    esac
    serve "$@"
    ;;
test)
    [ $# = 1 ] || fail "test takes nothing more; for single tests use cargo test"
    run_tests
    ;;
*)
    printf 'start.sh: there is no "%s"; try ./start.sh, ./start.sh test or ./start.sh --help\n' "$1" >&2
    exit 2
    ;;
esac
