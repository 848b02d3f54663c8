# Creates a network of hosts: one network namespace per host, connected by a bridge in another namespace. Removes all of
# them when stdin is closed, which also happens when the calling process ends.
#
#   sh lan.sh HOST...
#
# Prints the number of the network when it is ready: the first HOST has the address 10.213.NUMBER.10, the next one .11,
# the calling process .1. Exits with 2 when namespaces are not permitted, and with 3 when the program ip is missing.
set -u

# An interrupt of the tests also reaches this shell, which still has to remove the network.
trap '' INT TERM HUP

command -v ip >/dev/null 2>&1 || exit 3
[ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null || exit 2

# Creating a namespace fails when the name exists, so the name reserves the number.
number=
for candidate in $(seq 1 250); do
    # The link of a network that is being removed.
    ip link show "postrider$candidate" >/dev/null 2>&1 && continue
    if ip netns add "postrider$candidate-bridge" 2>/dev/null; then
        number=$candidate
        break
    fi
done
[ -n "$number" ] || exit 1
net=postrider$number
bridge=$net-bridge

remove() {
    # Deleted explicitly: it would outlive its namespace for a moment and block a new network with this number.
    ip link del "$net" 2>/dev/null
    for host in "$@" bridge; do
        for pid in $(ip netns pids "$net-$host" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
        ip netns del "$net-$host" 2>/dev/null
    done
}

join() {
    ip netns add "$net-$1" &&
        ip -n "$bridge" link add "$1" type veth peer name net0 netns "$net-$1" &&
        ip -n "$bridge" link set "$1" master bridge up &&
        ip -n "$net-$1" address add "10.213.$number.$2/24" dev net0 &&
        ip -n "$net-$1" link set lo up &&
        ip -n "$net-$1" link set net0 up
}

build() {
    ip -n "$bridge" link add bridge type bridge forward_delay 0 &&
        ip -n "$bridge" link set bridge up &&
        ip link add "$net" type veth peer name caller netns "$bridge" &&
        ip -n "$bridge" link set caller master bridge up &&
        ip address add "10.213.$number.1/24" dev "$net" &&
        ip link set "$net" up || return 1
    octet=10
    for host in "$@"; do
        join "$host" "$octet" || return 1
        octet=$((octet + 1))
    done
}

if build "$@"; then
    echo "$number"
    read -r _
    remove "$@"
else
    remove "$@"
    exit 1
fi
