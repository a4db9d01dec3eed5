#!/usr/bin/env bash
# Fails when a shell script or a Python program of the tree does not even parse.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
while IFS= read -r file; do
  [[ "$(head -n 1 "$file")" == '#!'*bash* ]] || { echo "$file: no bash on its first line"; failed=1; }
  bash -n "$file" || failed=1
  grep -q '^set -euo pipefail$' "$file" || [[ "$(wc -l <"$file")" -lt 5 ]] || { echo "$file: no 'set -euo pipefail'"; failed=1; }
done < <(git ls-files '*.sh' .ci/run)
while IFS= read -r file; do
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" || failed=1
done < <(git ls-files '*.py')
exit "$failed"
