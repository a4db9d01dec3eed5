#!/usr/bin/env bash
# From a fresh clone to a workflow that has run: installs, builds, serves, submits the example, shows its events, lets
# you answer its question, and goes on serving until Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'HELP'
usage: deploy/quickstart.sh [OPTION...] [WORKFLOW]

Runs WORKFLOW (default deploy/examples/release.fabro) on a server of its own, on this machine only.

  --answer KEY   answer the next question with this choice instead of asking you (the example: A, S or R); may be repeated
  --once         stop the server when the run has ended; exit code 0 completed, 1 failed, 130 cancelled
  --port N       listen there (default 3000, or a free port when 3000 is taken)
  --no-install   install no packages
  --help         this text

The server keeps its data and its log in build/quickstart; delete that folder to start over.
HELP
}

started=$SECONDS
say() { printf '== %3dm%02ds  %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
fail() {
  echo "quickstart.sh: $*" >&2
  exit 1
}

answers=()
once=false
port=
install=true
workflow=deploy/examples/release.fabro
while [[ $# -gt 0 ]]; do
  case "$1" in
    --answer | --port)
      [[ $# -ge 2 && -n "$2" ]] || fail "$1 needs a value"
      if [[ "$1" == --answer ]]; then answers+=(--answer "$2"); else port=$2; fi
      shift
      ;;
    --once) once=true ;;
    --no-install) install=false ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; fail "no option is called '$1'" ;;
    *) workflow=$1 ;;
  esac
  shift
done
[[ -r "$workflow" ]] || fail "cannot read $workflow"
[[ -z "$port" || "$port" =~ ^[0-9]+$ ]] || fail "--port needs a number, not '$port'"

if $install; then
  say "packages"
  deploy/install.sh build
fi

say "build (the first time takes some minutes)"
build_log="$(mktemp /tmp/fabro-build.XXXXXX.log)"
if ! { cmake --preset dev && cmake --build build/dev --target fabro -- -j"$(nproc)"; } >"$build_log" 2>&1; then
  tail -n 40 "$build_log" >&2
  fail "the build failed; its whole output is $build_log"
fi
rm -f "$build_log"
fabro=$PWD/build/dev/bin/fabro

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
if [[ -z "$port" ]]; then
  port=3000
  while listens "$port"; do port=$((port + 1)); done
elif listens "$port"; then
  fail "something listens on port $port already"
fi
url=http://127.0.0.1:$port
storage=$PWD/build/quickstart
mkdir -p "$storage"

# In a session of its own, so that Ctrl-C reaches this script alone, which then stops the server in good order.
say "serve on $url (log: build/quickstart/server.log)"
setsid "$fabro" serve --host 127.0.0.1 --port "$port" --storage-dir "$storage" >>"$storage/server.log" 2>&1 </dev/null &
server=$!
stop() {
  trap - EXIT INT TERM
  if kill -TERM "$server" 2>/dev/null; then
    wait "$server" || true
    say "the server has stopped; runs that had not ended go on at its next start"
  fi
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

for ((tries = 0; ; tries++)); do
  curl --silent --fail --output /dev/null "$url/health/ready" && break
  if ! kill -0 "$server" 2>/dev/null || ((tries >= 300)); then
    tail -n 20 "$storage/server.log" >&2
    fail "the server did not become ready"
  fi
  sleep 0.1
done

say "run $workflow"
if [[ ${#answers[@]} -eq 0 && ! -t 0 ]]; then
  cat <<TEXT
There is no terminal to ask on. When the run asks, answer from elsewhere:
  $fabro --server $url answer RUN_ID KEY
or with curl, as the README shows; or start again with --answer KEY.
TEXT
fi
code=0
"$fabro" --server "$url" run "$workflow" "${answers[@]}" || code=$?
if $once; then
  exit "$code"
fi

cat <<TEXT

Still serving on $url. From another terminal:
  curl $url/runs
  $fabro --server $url ps
  $fabro --server $url run deploy/examples/waits.fabro
Ctrl-C stops the server.
TEXT
wait "$server" || fail "the server ended by itself; see build/quickstart/server.log"
