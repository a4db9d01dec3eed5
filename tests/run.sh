#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests. Ends with ctest's own summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'HELP'
usage: tests/run.sh [OPTION...]

Without options: installs missing packages, builds the preset `dev`, runs every test and lint.

which build (one of)
  --release          optimised, as it ships
  --asan             AddressSanitizer and UndefinedBehaviorSanitizer
  --tsan             ThreadSanitizer
  --bazel            bazel build //... and bazel test //..., offline
  --fuzz [SECONDS]   every fuzz target for so long (default 600)

  --images           only this: builds the container images and runs them (as root; compiles in the image, too)
  --soak             the long ones: 1,000 seeds of crashes, 200 runs at once, 1,000 cancelled ones, 10,000 idle connections,
                     and a day's work in an hour (FABRO_SOAK_MINUTES)
  --tidy             clang-tidy over the tests' own sources too
  --only REGEX       only the tests whose name matches (not with --bazel)
  --no-install       install no packages
  --help             this text
HELP
}

started=$SECONDS
say() { printf '== %3dm%02ds  %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
fail() {
  echo "tests/run.sh: $*" >&2
  exit 1
}

preset=dev
fuzz_seconds=600
install=true
images=false
only=
choose() {
  [[ "$preset" == dev ]] || fail "--$preset and --$1 are two runs; call me twice"
  preset=$1
}
while [[ $# -gt 0 ]]; do
  case "$1" in
    --asan | --tsan | --release | --bazel) choose "${1#--}" ;;
    --fuzz)
      choose fuzz
      if [[ "${2:-}" =~ ^[0-9]+$ ]]; then fuzz_seconds=$2; shift; fi
      ;;
    --images)
      images=true
      export FABRO_IMAGES="${FABRO_IMAGES:-compile}"
      ;;
    --soak) export FABRO_SOAK=1 ;;
    --tidy) export FABRO_TIDY_ALL=1 ;;
    --only)
      [[ $# -ge 2 ]] || fail "--only needs a regular expression"
      only=$2
      shift
      ;;
    --no-install) install=false ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "no option is called '$1'" ;;
  esac
  shift
done
jobs=$(nproc)
! $images || only=${only:-deploy_images_test}

if $install; then
  groups=(build test)
  [[ "$preset" != bazel ]] || groups+=(bazel)
  ! $images || groups+=(images)
  say "packages"
  deploy/install.sh "${groups[@]}"
fi

if [[ "$preset" == bazel ]]; then
  say "bazel build //..."
  bazel build //... || fail "the Bazel build failed"
  say "bazel test //..."
  bazel test //... || fail "Bazel tests failed"
  exit 0
fi

# Each target grows a corpus of its own under build/, from the committed one. A crash leaves its input there.
fuzz_all() {
  local target name failed=() count=0
  export ASAN_OPTIONS=external_symbolizer_path=/usr/bin/llvm-symbolizer-19
  for target in build/fuzz/fuzzers/*; do
    name="$(basename "$target")"
    [[ -x "$target" && "$name" =~ $only ]] || continue
    count=$((count + 1))
    say "fuzz $name for ${fuzz_seconds}s, $jobs at a time"
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/found"
    "$target" -fork="$jobs" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
      -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
      >"build/fuzz/$name.log" 2>&1 || failed+=("$name")
    tail -n 2 "build/fuzz/$name.log"
  done
  [[ $count -gt 0 ]] || fail "no fuzz target matches"
  [[ ${#failed[@]} -eq 0 ]] || fail "these found something (see build/fuzz/NAME.log and build/fuzz/found/): ${failed[*]}"
  say "$count fuzz targets found nothing"
}

say "configure ($preset)"
configure_log="$(mktemp)"
cmake --preset "$preset" >"$configure_log" 2>&1 || {
  cat "$configure_log" >&2
  fail "cmake --preset $preset failed"
}
rm -f "$configure_log"

if [[ "$preset" == fuzz ]]; then
  say "build the fuzz targets"
  cmake --build build/fuzz --target fuzzers -- -j"$jobs" || fail "the build failed"
  fuzz_all
  exit 0
fi

say "build ($preset, $jobs jobs)"
NINJA_STATUS='[%f/%t] ' cmake --build "build/$preset" -- -j"$jobs" || fail "the build failed"
say "tests"
ctest --test-dir "build/$preset" --parallel 2 --output-on-failure --no-tests=error ${only:+--tests-regex "$only"}
