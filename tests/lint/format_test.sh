#!/usr/bin/env bash
# Fails when a tracked source file is not as .clang-format lays it out. `tests/lint/format_test.sh --fix` rewrites them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ "${1:-}" == --fix ]]; then
  git ls-files -z '*.cc' '*.h' | xargs -0 -n 40 -P 2 clang-format-19 -i
  exit 0
fi
# The first finding of each file is enough to know it by.
if ! findings="$(git ls-files -z '*.cc' '*.h' | xargs -0 -n 40 -P 2 clang-format-19 --dry-run -Werror --ferror-limit=1 2>&1)"; then
  grep -E '^[^ ]+:[0-9]+:[0-9]+: ' <<<"$findings" | sort -u -t : -k 1,1 || printf '%s\n' "$findings"
  echo "tests/lint/format_test.sh --fix formats them" >&2
  exit 1
fi
