#!/usr/bin/env bash
# Lints the protos with buf (npm @bufbuild/buf, kept in build/node/buf). Needs the npm registry only the first time.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
googleapis=${FABRO_GOOGLEAPIS:-/usr/share/gocode/src/github.com/gogo/googleapis}
buf_version=1.75.0

node=$root/build/node/buf
buf=$node/node_modules/.bin/buf
if ! [ -x "$buf" ]; then
  mkdir -p "$node"
  npm install --prefix "$node" --no-audit --no-fund --no-save --silent "@bufbuild/buf@$buf_version" ||
    { echo "buf_lint.sh: npm cannot install @bufbuild/buf; is its registry in reach?" >&2; exit 1; }
fi

# buf wants every import inside its module; the lint configuration leaves google/ alone.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/proto/buf.yaml" "$root/proto/fabro" "$work/"
mkdir -p "$work/google/api"
cp "$googleapis"/google/api/{annotations,http}.proto "$work/google/api/"
cd "$work"
"$buf" lint
