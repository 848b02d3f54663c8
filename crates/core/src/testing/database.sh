# Runs a PostgreSQL server of its own for tests until whoever started it closes its end of the pipe or dies.
#
#   sh database.sh BIN PLACE PORT [SETTINGS OF THE SERVER]
#
# Keeps its files in PLACE, which goes with the server. They may be lost with the machine: nothing is flushed.
set -eu

# Whoever interrupts the tests interrupts this shell too, which has to clear up all the same.
trap '' INT TERM HUP

bin=$1
place=$2
port=$3
shift 3

# The server refuses to run as the superuser.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    fi
    exec "$@"
}

if [ "$(id -u)" = 0 ]; then chown postgres "$place"; fi
cd "$place"
(as_owner "$bin/initdb" -D "$place/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$place/log" 2>&1)
as_owner "$bin/postgres" -D "$place/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c max_connections=400 -c fsync=off -c full_page_writes=off -c shared_buffers=64MB \
    -c dynamic_shared_memory_type=mmap "$@" >>"$place/log" 2>&1 &
server=$!
# What ends the test from a terminal must not end its server without a word.
trap '' INT TERM HUP
read -r _ || true
kill -QUIT "$server" || true
wait "$server" || true
rm -rf "$place"
