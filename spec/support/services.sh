# Sourced by the runners: one Kafka and one PostgreSQL for the whole run, in a
# scratch folder that goes away with the run, however it ends.
# After start_services: KAFKA_BROKERS, TIDEMILL_PG (URL without a database),
# TIDEMILL_SCRATCH; and for TLS KAFKA_SECURE_BROKERS, which want SASL_PASSWORD of
# the user "mill", and TIDEMILL_CERTIFICATES (see certificates.sh), whose
# locked.key wants KEY_PASSWORD.
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=()

# What specs started and did not end. A number may by now be someone else's, who
# began at another time: field 22 of stat, the 20th behind the name.
stop_leftovers() {
  local pid began stat
  while read -r pid began; do
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
    read -r -a stat <<<"${stat##*) }"
    if [ "${stat[19]}" = "$began" ]; then
      kill -KILL -- "-$pid" 2>/dev/null || true
    fi
  done < <(cat "$TIDEMILL_SCRATCH/started" 2>/dev/null)
}

stop_services() {
  local pid postmaster=
  [ -n "${TIDEMILL_SCRATCH:-}" ] || return 0
  stop_leftovers
  postmaster=$(head -n 1 "$TIDEMILL_SCRATCH/postgres/data/postmaster.pid" \
    2>/dev/null) || true
  for pid in "${services[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  # QUIT: the server drops everything but its shared memory, which a KILL
  # would leave behind.
  if [ -n "$postmaster" ] && kill -QUIT "$postmaster" 2>/dev/null; then
    for _ in $(seq 50); do
      kill -0 "$postmaster" 2>/dev/null || break
      sleep 0.1
    done
  fi
  for pid in "${services[@]}"; do
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  services=()
  # The small disk of spec/faults, when its spec did not come to its end.
  umount -l "$TIDEMILL_SCRATCH/full" 2>/dev/null || true
  rm -rf "$TIDEMILL_SCRATCH"
  TIDEMILL_SCRATCH=
}

# wait_until SECONDS WHAT LOG PID COMMAND...: polls, and gives up at once when
# the service has ended.
wait_until() {
  local end=$((SECONDS + $1)) what=$2 log=$3 pid=$4
  shift 4
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $end ]; then
      echo "run: $what did not come up:" >&2
      tail -n 30 "$log" >&2
      return 1
    fi
    sleep 0.1
  done
}

# A service in a process group of its own: nothing of it outlives the run.
start_service() {
  local log=$1
  shift
  setsid "$@" >"$log" 2>&1 </dev/null &
  services+=($!)
}

# start_services [setting=value ...]: PostgreSQL's settings.
start_services() {
  TIDEMILL_SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/tidemill.XXXXXX")
  export TIDEMILL_SCRATCH
  chmod 755 "$TIDEMILL_SCRATCH"
  local ports kafka pg
  read -r -a ports < <(luajit "$support/free_ports.lua" 4)
  "$support/jars.sh" kafka >/dev/null || return 1 # with its messages on the terminal

  export SASL_PASSWORD='Scr4m-%2F+pa@ss' KEY_PASSWORD='K3y-%2F+pa@ss'
  export TIDEMILL_CERTIFICATES=$TIDEMILL_SCRATCH/certificates
  "$support/certificates.sh" "$TIDEMILL_CERTIFICATES" "$KEY_PASSWORD" || return 1
  start_service "$TIDEMILL_SCRATCH/kafka.log" "$support/kafka/start.sh" \
    "$TIDEMILL_SCRATCH/kafka" "${ports[0]}" "${ports[1]}" \
    "${ports[3]}" "$TIDEMILL_CERTIFICATES" "$SASL_PASSWORD"
  kafka=$!
  start_service "$TIDEMILL_SCRATCH/postgres.log" "$support/postgres.sh" \
    "$TIDEMILL_SCRATCH/postgres" "${ports[2]}" "$@"
  pg=$!
  export KAFKA_BROKERS=127.0.0.1:${ports[0]} KAFKA_SECURE_BROKERS=127.0.0.1:${ports[3]}
  export TIDEMILL_PG=postgresql://postgres@127.0.0.1:${ports[2]}
  wait_until 60 PostgreSQL "$TIDEMILL_SCRATCH/postgres.log" "$pg" \
    luajit "$support/is_up.lua" postgres || return 1
  wait_until 90 Kafka "$TIDEMILL_SCRATCH/kafka.log" "$kafka" \
    luajit "$support/is_up.lua" kafka
}
