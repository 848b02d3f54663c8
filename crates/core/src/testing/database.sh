# Runs a PostgreSQL server for tests until standard input is closed, which also happens when the parent process ends.
#
#   sh database.sh BIN DIR PORT [SERVER SETTINGS]
#
# Keeps the files in DIR and removes it at the end. Nothing is flushed to disk.
set -eu

# An interrupt of the tests reaches this shell too; it has to clean up nevertheless.
trap '' INT TERM HUP

bin=$1
dir=$2
port=$3
shift 3

# The server refuses to run as the superuser.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    fi
    exec "$@"
}

if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
cd "$dir"
(as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1)
as_owner "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c max_connections=400 -c fsync=off -c full_page_writes=off -c shared_buffers=64MB \
    -c dynamic_shared_memory_type=mmap "$@" >>"$dir/log" 2>&1 &
server=$!
# A signal from the terminal must not end the server before this shell does.
trap '' INT TERM HUP
read -r _ || true
kill -QUIT "$server" || true
wait "$server" || true
rm -rf "$dir"
