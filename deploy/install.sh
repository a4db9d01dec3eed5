#!/usr/bin/env bash
# Installs the Debian packages of deploy/packages.txt that are missing. Does nothing, and needs no root, when none is.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: deploy/install.sh [GROUP...]

Installs what the groups of deploy/packages.txt name: build test bazel bench runtime runtime-core images. Without a group: build.
  --list    print the packages of the groups, one a line, and install nothing
  --help    this text
HELP
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

list_file="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/packages.txt"
groups=()
list_only=false
for argument in "$@"; do
  case "$argument" in
    --list) list_only=true ;;
    --help | -h) usage; exit 0 ;;
    build | test | bazel | bench | runtime | runtime-core | images) groups+=("$argument") ;;
    *) usage >&2; fail "no group or option is called '$argument'" ;;
  esac
done
[[ ${#groups[@]} -gt 0 ]] || groups=(build)

packages_of() {  # GROUP...: "package [command]" lines
  awk -v groups=" $* " '!/^#/ && NF && index(groups, " " $1 " ") { print $2, $3 }' "$list_file"
}

if $list_only; then
  packages_of "${groups[@]}" | awk '{ print $1 }'
  exit 0
fi

is_installed() {  # PACKAGE
  [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null || true)" == installed ]]
}

missing=()
while read -r package command; do
  [[ -n "$command" ]] && command -v "$command" >/dev/null && continue
  is_installed "$package" || missing+=("$package")
done < <(packages_of "${groups[@]}")
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "install.sh: everything is installed (${groups[*]})"
  exit 0
fi

# shellcheck source=/dev/null
system="$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-unknown} ${VERSION_CODENAME:-}" || echo unknown)"
[[ "$system" == *bookworm* ]] || fail "the package list is for Debian 12 (bookworm), this is: $system
Install the equivalents of these yourself, then pass --no-install to the script that called this one:
  ${missing[*]}"

as_root=()
if [[ "$(id -u)" -ne 0 ]]; then
  command -v sudo >/dev/null || fail "needs root to install packages, and sudo is not here. As root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
echo "install.sh: installing ${#missing[@]} packages (a fresh system takes some minutes): ${missing[*]}"
log="$(mktemp /tmp/fabro-install.XXXXXX.log)"
"${as_root[@]}" apt-get update -qq || fail "apt-get update failed; is the network there?"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq \
  -o Dpkg::Use-Pty=0 "${missing[@]}" >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  fail "apt-get install failed; the whole log is $log"
}
rm -f "$log"
echo "install.sh: done"
