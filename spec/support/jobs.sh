# Sourced by spec/run: works through a list of jobs, SPEC_JOBS at a time. A job is a
# function of the runner and its arguments, a line each; what it prints appears
# in one piece when it has ended, or at once where only one runs at a time.
: "${SPEC_JOBS:=$(($(nproc) < 4 ? $(nproc) : 4))}"
streams=()

# The next line of the list; every stream reads from the same place in it.
next_job() {
  flock 9
  read -r job <&8
  local status=$?
  flock -u 9
  return $status
}

# What failed is told again at the end, behind the line that names the file.
note_failures() {
  if grep -q '^FAILED ' "$1"; then
    { head -n 1 "$1"; grep -A 30 '^FAILED ' "$1"; } >>"$work/failures"
  fi
}

# work_through BEFORE AFTER: one stream. BEFORE makes it ready, or says why not.
work_through() {
  local output
  output=$(mktemp -p "$work")
  # A lock belongs to who opened the file: each stream opens it.
  # Nothing that it starts keeps the file open: the lock of a stream that was
  # killed would never be free, and the others would wait for it.
  exec 9>>"$work/lock"
  $1 8<&- 9>&- || return
  while next_job; do
    if [ "$SPEC_JOBS" = 1 ]; then
      $job 2>&1 8<&- 9>&- | tee "$output"
    else
      $job >"$output" 2>&1 8<&- 9>&-
    fi
    flock 9
    [ "$SPEC_JOBS" = 1 ] || cat "$output"
    note_failures "$output"
    flock -u 9
  done
  $2
}

# run_jobs LIST BEFORE AFTER: returns when all have ended. Each stream is a process
# group, so that an interrupt ends it with what it runs.
run_jobs() {
  exec 8<"$1"
  set -m
  while [ ${#streams[@]} -lt "$SPEC_JOBS" ]; do
    (
      trap stop_services EXIT
      trap 'exit 130' INT TERM
      work_through "$2" "$3"
    ) 8<&8 &
    streams+=($!)
  done
  set +m
  local stream status
  for stream in "${streams[@]}"; do
    wait "$stream"
    status=$?
    # The job that it had is in no count.
    [ $status -le 128 ] || failed "a stream of jobs ended by signal $((status - 128))"
  done
  streams=()
  exec 8<&-
}

stop_jobs() {
  local stream
  for stream in "${streams[@]}"; do kill -TERM -- "-$stream" 2>/dev/null; done
  wait
}
