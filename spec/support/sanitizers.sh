# Sourced by spec/run: runs under AddressSanitizer, UBSan and valgrind, on what
# `make sanitized` built. Every finding is a failure.

# One line and one count for each of these runs.
tell() {
  echo "$1 $2"
  if [ "$1" = ok ]; then
    echo "1 0 0" >>"$TIDEMILL_COUNTS"
  else
    add_failure
  fi
}

# Processes of a debug build write what is found to FILE.PID, wherever their
# stderr goes. Leaks are looked for when they end.
sanitizers_report_to() {
  export ASAN_OPTIONS=log_path=$1
  export UBSAN_OPTIONS=print_stacktrace=1:log_path=$1
}

# The corpus of every fuzz target, with leaks checked: a process that does not
# crash, hang or leave a finding has passed.
run_corpus() {
  local target log inputs
  echo "== the corpus of spec/fuzz"
  log=$(mktemp)
  for target in spec/fuzz/corpus/*/; do
    target=$(basename "$target")
    inputs=(spec/fuzz/corpus/"$target"/*)
    if ASAN_OPTIONS=detect_leaks=1 \
      UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TIDEMILL_SCRIPTS=scripts \
      timeout --foreground -k 5 60 "build-debug/fuzz/$target" "${inputs[@]}" \
      >"$log" 2>&1 </dev/null; then
      tell ok "fuzz target $target stands its corpus of ${#inputs[@]} inputs"
    else
      tell FAIL "fuzz target $target; the input is named, build-debug/fuzz/$target runs it again:"
      awk '/^spec.fuzz.corpus/ { text = "" } { text = text $0 "\n" }
        END { printf "%s", text }' "$log" | head -n 40
    fi
  done
  rm -f "$log"
}

# The core specs on a library with sanitizers, which must be there before
# anything else in the process. LuaJIT gives its memory back in ways of its
# own, so leaks are for the corpus and the program to show. A crash ends a spec in
# any case; some make children crash and look at how.
run_core_sanitized() {
  local file preload
  preload=$(ldd build-debug/libtidemill-spec.so |
    awk '/lib(asan|ubsan|stdc\+\+)\./ { print $3 }' | tr '\n' ' ')
  for file in spec/core/*_spec.lua; do
    SPECLIB=$PWD/build-debug/libtidemill-spec.so spec_env="LD_PRELOAD=$preload" \
      ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0 \
      UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
      run_file "$file" '(sanitized)'
  done
}

# One core spec under valgrind: its errors to FOLDER/NAME.xml.
valgrind_file() {
  local name
  name=$(basename "$1" _spec.lua)
  if ! SPEC_IS_SLOW=1 timeout -k 10 "${SPEC_SECONDS:-300}" valgrind -q --xml=yes \
    --child-silent-after-fork=yes \
    --xml-file="$2/$name.xml" luajit "$(command -v busted)" \
    --output=spec/support/report.lua "$1" >"$2/$name.out" 2>&1 </dev/null; then
    echo "the specs did not pass, or did not come to an end" >>"$2/$name.failed"
    tail -n 30 "$2/$name.out" >>"$2/$name.failed"
  fi
  luajit spec/support/valgrind.lua "$2/$name.xml" >>"$2/$name.failed" 2>&1
}

# The core specs under valgrind, two at a time; only errors with our code in
# their stack count, since LuaJIT reads texts in words, beyond their end.
run_core_valgrind() {
  local folder file name
  echo "== the core specs under valgrind"
  folder=$(mktemp -d)
  export -f valgrind_file
  printf '%s\n' spec/core/*_spec.lua | env -u TIDEMILL_COUNTS \
    xargs -P 2 -I {} bash -c 'valgrind_file {} '"$folder"
  for file in spec/core/*_spec.lua; do
    name=$(basename "$file" _spec.lua)
    if [ -f "$folder/$name.xml" ] && [ ! -s "$folder/$name.failed" ]; then
      tell ok "valgrind finds nothing in $file"
    else
      tell FAIL "valgrind on $file:"
      cat "$folder/$name.failed"
    fi
  done
  rm -rf "$folder"
}
