# Sourced by spec/run: runs under AddressSanitizer, UBSan and valgrind, on what
# `make sanitized` built. Every finding is a failure.

# passed WHAT: one line and one count for a run that is not busted's.
passed() {
  echo "ok   $1"
  echo "1 0 0" >>"$TIDEMILL_COUNTS"
}

# Processes of a debug build write what is found to FILE.PID, wherever their
# stderr goes. Leaks are looked for when they end.
sanitizers_report_to() {
  export ASAN_OPTIONS=log_path=$1
  export UBSAN_OPTIONS=print_stacktrace=1:log_path=$1
}

# The corpus of a fuzz target, with leaks checked: a process that does not
# crash, hang or leave a finding has passed.
run_corpus() {
  local target log inputs
  target=$(basename "$1")
  log=$(mktemp -p "$work")
  inputs=("$1"/*)
  if ASAN_OPTIONS=detect_leaks=1 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TIDEMILL_SCRIPTS=scripts \
    timeout --foreground -k 5 60 "build-debug/fuzz/$target" "${inputs[@]}" \
    >"$log" 2>&1 </dev/null; then
    passed "fuzz target $target stands its corpus of ${#inputs[@]} inputs"
  else
    failed "fuzz target $target; the input is named, build-debug/fuzz/$target runs it again:" \
      "$(awk '/^spec.fuzz.corpus/ { text = "" } { text = text $0 "\n" }
        END { printf "%s", text }' "$log" | head -n 40)"
  fi
}

# A core spec on a library with sanitizers, which must be there before
# anything else in the process. LuaJIT gives its memory back in ways of its
# own, so leaks are for the corpus and the program to show. A crash ends a spec in
# any case; some make children crash and look at how.
run_sanitized() {
  local preload
  preload=$(ldd build-debug/libtidemill-spec.so |
    awk '/lib(asan|ubsan|stdc\+\+)\./ { print $3 }' | tr '\n' ' ')
  SPECLIB=$PWD/build-debug/libtidemill-spec.so spec_env="LD_PRELOAD=$preload" \
    ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    run_file "$1" '(sanitized)'
}

# A core spec under valgrind; only errors with our code in their stack count, since
# LuaJIT reads texts in words, beyond their end.
run_valgrind() {
  local base errors
  base=$work/$(basename "$1" _spec.lua)
  if ! SPEC_IS_SLOW=1 timeout --foreground -k 10 "${SPEC_SECONDS:-300}" \
    env -u TIDEMILL_COUNTS valgrind -q --xml=yes --child-silent-after-fork=yes \
    --xml-file="$base.xml" luajit "$(command -v busted)" \
    --output=spec/support/report.lua "$1" >"$base.out" 2>&1 </dev/null; then
    failed "$1 under valgrind did not pass, or did not come to an end" \
      "$(tail -n 30 "$base.out")"
  elif errors=$(luajit spec/support/valgrind.lua "$base.xml" 2>&1) && [ -z "$errors" ]; then
    passed "valgrind finds nothing in $1"
  else
    failed "valgrind on $1" "$errors"
  fi
}
