#!/usr/bin/env bash
# Fails when a tracked source file is not as .clang-format lays it out. `tests/lint/format_test.sh --fix` rewrites them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
action=(--dry-run -Werror)
[[ "${1:-}" != --fix ]] || action=(-i)
git ls-files -z '*.cc' '*.h' | xargs -0 -n 40 -P 2 clang-format-19 "${action[@]}"
