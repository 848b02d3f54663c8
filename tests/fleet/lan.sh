# Joins hosts, network namespaces of their own, over a bridge in another one, until whoever asked closes its end of
# the pipe or dies; then nothing of it is left.
#
#   sh lan.sh HOST...
#
# Prints the number of the network once it stands: the first HOST is 10.213.NUMBER.10, the next .11, the asker .1.
# Ends with 2 where namespaces are not permitted, and with 3 when the program ip is missing.
set -u

command -v ip >/dev/null 2>&1 || exit 3
[ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null || exit 2

# A namespace's name is made once or not at all, so that it keeps the number from others.
number=
for candidate in $(seq 1 250); do
    if ip netns add "postrider$candidate-bridge" 2>/dev/null; then
        number=$candidate
        break
    fi
done
[ -n "$number" ] || exit 1
net=postrider$number
bridge=$net-bridge

remove() {
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
        ip link add "$net" type veth peer name asker netns "$bridge" &&
        ip -n "$bridge" link set asker master bridge up &&
        ip address add "10.213.$number.1/24" dev "$net" &&
        ip link set "$net" up || return 1
    place=10
    for host in "$@"; do
        join "$host" "$place" || return 1
        place=$((place + 1))
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
