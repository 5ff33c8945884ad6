# The stages of `./run test`, sourced by it: each has a headline; the last line counts what passed and what failed.

passed=0
failed=0
skipped=0

headline() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# count NAME COMMAND...: one check that is no ctest test.
count() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$name"
  fi
}

# ctest in build folder $1 with the other arguments; its own summary gives the numbers.
run_ctest() {
  local dir=$build/$1 log
  shift
  log=$(mktemp)
  ctest --test-dir "$dir" --output-on-failure --no-tests=error -j "$jobs" "$@" | tee "$log" || true
  local bad total
  read -r bad total < <(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\1 \2/p' "$log") || true
  local unrun
  unrun=$(grep -cE '^[[:space:]]+[0-9]+ - .* \(Skipped\)$' "$log") || true
  rm -f "$log"
  if [[ -z ${total:-} ]]; then
    count "ctest in $dir" false
    return
  fi
  passed=$((passed + total - bad - unrun))
  failed=$((failed + bad))
  skipped=$((skipped + unrun))
}

stage_format() {
  headline "Format: clang-format of every source"
  count "clang-format" bash -c 'xargs -0 clang-format-14 --dry-run -Werror' < <(sources)
}

# stage_ctest HEADLINE [ctest arguments]
stage_ctest() {
  headline "$1"
  shift
  if build_preset test; then run_ctest test "$@"; else count "build of the tests" false; fi
}

# The parsers and the main path under the address and undefined-behaviour sanitizers.
asan_folders=(base text numerics model program executor hardware timing plan appliance engine learn report lab)
stage_asan() {
  headline "Sanitizers: address and undefined behaviour"
  local targets=() folder
  for folder in "${asan_folders[@]}"; do targets+=("test_$folder"); done
  local pattern
  pattern=$(IFS='|' && printf '^(%s)\\.' "${asan_folders[*]}")
  if build_preset asan "${targets[@]}"; then
    run_ctest asan -R "$pattern"
  else
    count "build with sanitizers" false
  fi
}

# Runs fuzz target $1 and prints its rate, or what it found.
fuzz_one() {
  local name=$1 scratch log
  scratch=$(mktemp -d)
  log=$scratch.log
  # New inputs go to the scratch folder: the corpus of the tree is read only.
  if "$build/fuzz/tests/fuzz/fuzz_$name" -max_total_time="${FUZZ_SECONDS:-30}" -timeout=10 -rss_limit_mb=2048 \
    -max_len=65536 -artifact_prefix="$build/fuzz/" "$scratch" "$root/tests/fuzz/corpus/$name" >"$log" 2>&1; then
    printf '  %-12s %s\n' "$name" "$(grep '^Done' "$log")"
    rm -rf "$scratch" "$log"
  else
    tail -n 40 "$log"
    rm -rf "$scratch" "$log"
    return 1
  fi
}

stage_fuzz() {
  headline "Fuzzing: ${FUZZ_SECONDS:-30} seconds a target"
  local names=() targets=() file name
  for file in "$root"/tests/fuzz/*_fuzz.cc; do
    name=$(basename "$file" _fuzz.cc)
    names+=("$name")
    targets+=("fuzz_$name")
  done
  if ! build_preset fuzz "${targets[@]}"; then
    count "build of the fuzz targets" false
    return
  fi
  local -A process
  local first chunk
  for ((first = 0; first < ${#names[@]}; first += jobs)); do
    chunk=("${names[@]:first:jobs}")
    for name in "${chunk[@]}"; do
      fuzz_one "$name" &
      process[$name]=$!
    done
    for name in "${chunk[@]}"; do count "fuzzing of $name" wait "${process[$name]}"; done
  done
}

run_tests() {
  local stage=${1:-all}
  need_packages build test
  case $stage in
    format | asan | fuzz) "stage_$stage" ;;
    unit | property | e2e) stage_ctest "Tests labelled $stage" -L "$stage" ;;
    all)
      stage_format
      stage_ctest "Unit, property and end-to-end tests"
      stage_asan
      stage_fuzz
      ;;
    *)
      say "lodestone: './run test' knows the stages format, unit, property, e2e, asan and fuzz, not '$stage'"
      exit 2
      ;;
  esac
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  ((failed == 0))
}
