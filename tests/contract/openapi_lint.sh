#!/usr/bin/env bash
# Lints the OpenAPI document with Redocly (npm @redocly/cli, kept in build/node/redocly). Needs the npm registry only the first
# time. usage: openapi_lint.sh [DOCUMENT]      (default: tests/contract/openapi.json, which a test keeps in step)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
redocly_version=2.77.0

# A folder of its own: npm removes what an install into the same one did not name.
node=$root/build/node/redocly
redocly=$node/node_modules/.bin/redocly
if ! [ -x "$redocly" ]; then
  mkdir -p "$node"
  npm install --prefix "$node" --no-audit --no-fund --no-save --silent "@redocly/cli@$redocly_version" ||
    { echo "openapi_lint.sh: npm cannot install @redocly/cli; is its registry in reach?" >&2; exit 1; }
fi
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
  "$redocly" lint --config "$here/redocly.yaml" --max-problems 50 "${1:-$here/openapi.json}"
