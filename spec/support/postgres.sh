#!/bin/sh
# Becomes a private PostgreSQL: postgres.sh FOLDER PORT [setting=value ...].
# TCP on 127.0.0.1 and a socket in FOLDER. Everybody is let in without a
# password, but for the role "secured" (password "right"). "mill" is whom the
# program runs as, "desk" uses its operator's verbs: they have what they are
# granted. With STANDBY_OF=PORT in its environment it is a standby of the server
# there.
set -eu
folder=$1 port=$2
shift 2
# The newest server that is installed; Debian keeps it off the PATH. POSTGRES=14 or 18:
# one that Maven fetches; `postgres` must be able to read it.
if [ -n "${POSTGRES:-}" ]; then
  jars=$("$(dirname "$0")/jars.sh" "postgres$POSTGRES")
  cp -r "$jars" "$folder.server"
  bin=$folder.server/bin
else
  bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
fi
PATH=${bin:+$bin:}$PATH

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=postgres --regid=postgres --init-groups "$@"
  else
    "$@"
  fi
}
mkdir -p "$folder"
[ "$(id -u)" != 0 ] || chown postgres "$folder"
cd "$folder"
if [ -n "${STANDBY_OF:-}" ]; then
  as_postgres pg_basebackup -D "$folder/data" -h 127.0.0.1 -p "$STANDBY_OF" \
    -U postgres -R -X stream -c fast --no-sync
else
  as_postgres initdb -D "$folder/data" -U postgres -A trust -E UTF8 \
    --locale=C --no-sync >"$folder/initdb.log"
  {
    echo 'host all secured 127.0.0.1/32 scram-sha-256'
    cat "$folder/data/pg_hba.conf"
  } >"$folder/pg_hba.conf"
  cat "$folder/pg_hba.conf" >"$folder/data/pg_hba.conf"
  {
    echo "CREATE ROLE secured LOGIN PASSWORD 'right'"
    echo 'CREATE ROLE mill LOGIN'
    echo 'CREATE ROLE desk LOGIN'
  } | as_postgres postgres --single -D "$folder/data" postgres >/dev/null
fi

{
  echo "listen_addresses = '127.0.0.1'"
  echo "port = $port"
  echo "unix_socket_directories = '$folder'"
  echo 'max_connections = 200'
  for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
} >>"$folder/data/postgresql.conf"
# Comes back when it was stopped, but not while FOLDER/hold exists: that is how
# a spec makes an outage.
trap 'exit 0' TERM
while :; do
  as_postgres postgres -D "$folder/data" &
  wait "$!" || true
  while [ -e "$folder/hold" ]; do sleep 0.1; done
done
