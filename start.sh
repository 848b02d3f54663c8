#!/usr/bin/env bash
# Builds and starts the gateway, or runs all tests, from a fresh checkout.
#
#   ./start.sh                        check the tools, build, serve in the foreground
#   ./start.sh --listen 127.0.0.1:9000   the same; options go to `console serve`
#   ./start.sh test                   install what the tests need, then run everything
#
# Never prompts, so it works without a terminal.
set -euo pipefail
cd "$(dirname "$0")"

# Version of cargo-deny that checks the dependencies.
CARGO_DENY_VERSION=0.20.2

say() { printf '%s\n' "$*"; }

fail() {
    printf 'start.sh: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

has_c_compiler() { has cc || has gcc || has clang; }

# rustup installs cargo into a folder that may not be in PATH yet.
find_cargo() {
    if ! has cargo && [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH"
        export PATH
    fi
    has cargo || fail "cargo is missing: install the Rust toolchain from https://rustup.rs, then run this again"
}

check_c_compiler() {
    has_c_compiler && return
    case "$(uname -s)" in
    Darwin) fail "a C compiler is missing (SQLite is built from source): run xcode-select --install" ;;
    *) fail "a C compiler is missing (SQLite is built from source): on Debian or Ubuntu, sudo apt-get install gcc libc6-dev; on Fedora, sudo dnf install gcc" ;;
    esac
}

# --- serve -------------------------------------------------------------------------------------------------

# Prints the output of the gateway, and the next steps once it listens.
guide() {
    while IFS= read -r line; do
        say "$line"
        case "$line" in
        "listening on "*)
            url="${line#listening on }"
            say ""
            say "Next steps:"
            say "  1. open $url/ in a browser"
            say "  2. curl '$url/sms/send?number=09122222222&body=hello'"
            say "  3. in another terminal, here: $console resend:msg && $console sync:report"
            say "Ctrl-C stops the gateway; accepted messages are not lost."
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
    # exec: signals go to the gateway instead of this shell.
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

# apt_install PACKAGE...: installs system packages without prompts and without starting their services.
apt_install() {
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -q || return 1
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -q -y --no-install-recommends "$@" </dev/null
}

# need PROGRAM PACKAGE: installs a program that the tests require.
need() {
    has "$1" && return
    has apt-get || fail "$1 is missing and there is no apt-get here: install it (package $2) and run this again"
    say "Installing $2: the tests run a real $1 ..."
    apt_install "$2" || fail "$2 could not be installed: install it manually and run this again"
    has "$1" || fail "$2 was installed, but $1 is still missing"
}

# want PROGRAM PACKAGE: installs a program that only `cargo bench` requires.
want() {
    has "$1" && return
    if has apt-get; then
        say "Installing $2 ..."
        apt_install "$2" && has "$1" && return
    fi
    say "Note: $1 is not installed; cargo bench requires it."
}

# need_promtool: installs promtool; the service of its package is neither started nor enabled.
need_promtool() {
    has promtool && return
    local policy=/usr/sbin/policy-rc.d created=no installed=yes
    has apt-get || fail "promtool is missing and there is no apt-get here: install it (package prometheus) and run this again"
    say "Installing prometheus: the tests run its promtool ..."
    if ! [ -e "$policy" ]; then
        created=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"
    fi
    apt_install prometheus || installed=no
    [ "$created" = no ] || as_root rm -f "$policy"
    [ "$installed" = yes ] || fail "prometheus could not be installed: install it manually and run this again"
    if has systemctl; then
        as_root systemctl disable -q prometheus.service 2>/dev/null || true
    fi
    has promtool || fail "prometheus was installed, but promtool is still missing"
}

has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

# need_postgres: installs PostgreSQL without a system cluster. Its programs are not in PATH.
need_postgres() {
    has_postgres && return
    has apt-get || fail "postgres is missing and there is no apt-get here: install it (package postgresql) and run this again"
    say "Installing postgresql: the tests run a real postgres ..."
    if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    apt_install postgresql || fail "postgresql could not be installed: install it manually and run this again"
    has_postgres || fail "postgresql was installed, but initdb is still missing"
}

# need_hosts: installs the tools of tests/fleet, which runs processes in network namespaces and with wrong clocks.
need_hosts() {
    need ip iproute2
    need iptables iptables
    need setpriv util-linux
    need faketime faketime
    if [ "$(id -u)" != 0 ] || ! unshare --net true 2>/dev/null; then
        say "Note: without root there are no network namespaces; tests/fleet uses plain processes."
    fi
}

# need_peers: installs servers and clients of other languages, pinned in tests/peers, into the target folder.
need_peers() {
    local peers="${CARGO_TARGET_DIR:-target}/peers" wanted
    wanted="$(cat tests/peers/requirements.txt tests/peers/package.json | cksum)"
    [ "$(cat "$peers/installed" 2>/dev/null)" = "$wanted" ] && return
    need python3 python3
    if ! python3 -c 'import ensurepip' 2>/dev/null && has apt-get; then
        apt_install python3-venv || fail "python3-venv could not be installed: install it manually and run this again"
    fi
    say "Installing the peers of tests/peers (servers and clients of other languages) ..."
    rm -rf "$peers"
    mkdir -p "$peers"
    python3 -m venv "$peers/python" &&
        "$peers/python/bin/pip" install -q --disable-pip-version-check -r tests/peers/requirements.txt &&
        cp tests/peers/package.json "$peers/" &&
        PATH="$peers/python/bin:$PATH" npm install --prefix "$peers" --no-audit --no-fund --silent ||
        fail "the peers of tests/peers could not be installed: fix the error above and run this again"
    printf '%s\n' "$wanted" >"$peers/installed"
}

# need_browser: installs Chromium, with which the pages are tested.
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
    # On Debian /usr/sbin is not in the PATH of ordinary users.
    [ -x /usr/sbin/pgbouncer ] || need pgbouncer pgbouncer
    need memcached memcached
    need_hosts
    need curl curl
    need_browser
    need_promtool
    need systemd-analyze systemd
    need_peers
    want strace strace
}

# has_component NAME: checks for rustfmt or clippy, and adds it with rustup where possible.
has_component() {
    case "$1" in
    rustfmt) cargo fmt --version >/dev/null 2>&1 && return ;;
    clippy) cargo clippy --version >/dev/null 2>&1 && return ;;
    esac
    has rustup && rustup component add "$1" >/dev/null 2>&1
}

# check_dependencies: holds the dependencies to deny.toml. Advisories need a database from the network; without it the
# other checks still run.
check_dependencies() {
    local tools="${CARGO_TARGET_DIR:-target}/tools" deny
    deny="$tools/bin/cargo-deny"
    if ! [ "$("$deny" --version 2>/dev/null)" = "cargo-deny $CARGO_DENY_VERSION" ]; then
        say "Installing cargo-deny $CARGO_DENY_VERSION ..."
        cargo install --quiet --locked --root "$tools" "cargo-deny@$CARGO_DENY_VERSION" ||
            fail "cargo-deny could not be installed: run cargo install --locked cargo-deny@$CARGO_DENY_VERSION"
    fi
    say "== cargo deny check bans licenses sources"
    "$deny" --locked --log-level error check bans licenses sources
    if "$deny" fetch db >/dev/null 2>&1; then
        say "== cargo deny check advisories"
        "$deny" --locked --log-level error check advisories
    else
        say "Note: the advisory database cannot be fetched; advisories are not checked."
    fi
}

run_tests() {
    find_cargo
    install_test_peers
    if has_component rustfmt; then
        say "== cargo fmt --all --check"
        cargo fmt --all --check
    else
        say "Note: rustfmt is not installed (rustup component add rustfmt); formatting is not checked."
    fi
    if has_component clippy; then
        say "== cargo clippy --workspace --all-targets -- -D warnings"
        cargo clippy --locked --workspace --all-targets -- -D warnings
    else
        say "Note: clippy is not installed (rustup component add clippy); lints are not checked."
    fi
    check_dependencies
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
    [ $# = 1 ] || fail "test takes no arguments; for single tests use cargo test"
    run_tests
    ;;
*)
    printf 'start.sh: unknown command "%s"; try ./start.sh, ./start.sh test or ./start.sh --help\n' "$1" >&2
    exit 2
    ;;
esac
