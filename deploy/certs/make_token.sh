#!/usr/bin/env bash
# Signs a token that the gateway's "jwt" strategy lets in. For trying things out and for scripts; people get theirs from
# whatever signs them in.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: deploy/certs/make_token.sh --key FILE --user NAME [OPTION...]

Prints a token for Authorization: Bearer (or FABRO_TOKEN).

  --key FILE       the Ed25519 private key: jwt.key of make_certs.sh --jwt
  --user NAME      who it is for; must be in web.auth.allowed_usernames of server.toml
  --ttl TIME       how long it is good: seconds, or a number with s, m, h or d (1h)
  --help           this text
HELP
}

fail() {
  echo "make_token.sh: $*" >&2
  exit 1
}

key= user= ttl=1h
while [[ $# -gt 0 ]]; do
  case "$1" in
    --key | --user | --ttl)
      [[ $# -ge 2 && -n "$2" ]] || fail "$1 needs a value"
      case "$1" in
        --key) key=$2 ;;
        --user) user=$2 ;;
        --ttl) ttl=$2 ;;
      esac
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "no option is called '$1'" ;;
  esac
  shift
done
[[ -n "$key" && -n "$user" ]] || { usage >&2; fail "--key and --user are needed"; }
[[ ${#user} -le 64 && "$user" =~ ^[A-Za-z0-9._@-]+$ ]] || fail "'$user' cannot be a name: at most 64 letters, digits and . _ @ -"
[[ "$ttl" =~ ^([1-9][0-9]{0,8})([smhd]?)$ ]] || fail "--ttl: '$ttl' is no time; 90, 15m, 8h and 7d are"
case "${BASH_REMATCH[2]}" in
  m) unit=60 ;;
  h) unit=3600 ;;
  d) unit=86400 ;;
  *) unit=1 ;;
esac
seconds=$((BASH_REMATCH[1] * unit))
command -v openssl >/dev/null || fail "openssl is not installed (Debian: apt-get install openssl)"
[[ -r "$key" ]] || fail "cannot read $key"
openssl pkey -in "$key" -noout -text 2>/dev/null | grep -q ED25519 || fail "$key is no Ed25519 private key"

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

now=$(date +%s)
header=$(printf '{"alg":"EdDSA","typ":"JWT"}' | base64url)
claims=$(printf '{"iss":"fabro-web","sub":"https://fabro.local/users/%s","iat":%d,"exp":%d}' "$user" "$now" $((now + seconds)) | base64url)
# The signature is over the file as a whole: openssl reads no Ed25519 input from a pipe.
work=$(mktemp)
trap 'rm -f "$work"' EXIT
printf '%s.%s' "$header" "$claims" >"$work"
signature=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$work" | base64url)
printf '%s.%s.%s\n' "$header" "$claims" "$signature"
