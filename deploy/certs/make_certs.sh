#!/usr/bin/env bash
# A private certificate authority for Fabro, the certificates that core, gateway and users need, and a key pair for tokens.
set -euo pipefail
umask 077

usage() {
  cat <<'HELP'
usage: deploy/certs/make_certs.sh [OPTION...] DIRECTORY

Makes what is missing in DIRECTORY and renews what ends soon; what is good stays. Call it again as often as you like, from
a timer too: the servers notice the new files by themselves.

  ca.crt       ca.key        the authority. Keep ca.key where no server runs; it is needed only to issue and renew
  core.crt     core.key      [core.tls]     the core, toward the gateway (server)
  gateway.crt  gateway.key   [gateway.tls]  the gateway, toward the core (client); its name belongs in core.trusted_gateways
  api.crt      api.key       [api.tls]      the gateway, toward everyone (HTTPS server)
  users/NAME.crt, NAME.key                  one for each --user (client); NAME is who they are
  jwt.key      jwt.pub                      with --jwt: what signs tokens, and FABRO_JWT_PUBLIC_KEY

  --core-name NAME     a host name or address of the core, beside localhost, 127.0.0.1, ::1 and fabro-core; may be repeated
  --api-name NAME      the same for the HTTPS server, beside localhost, 127.0.0.1 and ::1
                       Without these options a certificate keeps the names that it has.
  --gateway-cn NAME    the gateway's name toward the core (the one it has, at first fabro-gateway)
  --user NAME          a certificate for this user; may be repeated. Users of earlier calls are renewed too
  --jwt                an Ed25519 key pair for tokens; make_token.sh signs with it
  --days N             how long certificates are good (90)
  --ca-days N          how long a new authority is good (3650)
  --renew-before N     renew what ends within so many days (30)
  --renew              renew every certificate now, with the key it has
  --rekey              the same, with new keys
  --new-ca             a new authority; ca.crt holds it and, behind it, the old one, which goes on being trusted. Once every
                       program has this ca.crt: --renew, and once every program has those certificates: --drop-old-ca
  --drop-old-ca        leaves only the newest authority in ca.crt
  --help               this text

Keys are P-256 and readable by their owner only. Renewing replaces one file by renaming, so that a reader sees the old
certificate or the new one, never half of it.
HELP
}

fail() {
  echo "make_certs.sh: $*" >&2
  exit 1
}

whole() {  # OPTION VALUE
  [[ "$2" =~ ^[1-9][0-9]{0,4}$ ]] || fail "$1 needs a whole number of days from 1 to 99999, not '$2'"
}

san_of() {  # OPTION NAME
  if [[ "$2" =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ || ("$2" == *:* && "$2" =~ ^[0-9a-fA-F:.]+$) ]]; then
    echo "IP:$2"
  elif [[ ${#2} -le 253 && "$2" =~ ^(\*\.)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$ ]]; then
    echo "DNS:$2"
  else
    fail "$1: '$2' is neither a host name nor an address"
  fi
}

core_names=() api_names=() users=() directory=
gateway_cn= jwt=false days=90 ca_days=3650 renew_before=30 renew=false rekey=false new_ca=false drop_old_ca=false
while [[ $# -gt 0 ]]; do
  case "$1" in
    --core-name | --api-name | --gateway-cn | --user | --days | --ca-days | --renew-before)
      [[ $# -ge 2 && -n "$2" ]] || fail "$1 needs a value"
      case "$1" in
        --core-name) core_names+=("$(san_of "$1" "$2")") ;;
        --api-name) api_names+=("$(san_of "$1" "$2")") ;;
        --gateway-cn) gateway_cn=$2 ;;
        --user) users+=("$2") ;;
        --days) whole "$1" "$2"; days=$2 ;;
        --ca-days) whole "$1" "$2"; ca_days=$2 ;;
        --renew-before) whole "$1" "$2"; renew_before=$2 ;;
      esac
      shift
      ;;
    --jwt) jwt=true ;;
    --renew) renew=true ;;
    --rekey) renew=true; rekey=true ;;
    --new-ca) new_ca=true ;;
    --drop-old-ca) drop_old_ca=true ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; fail "no option is called '$1'" ;;
    *) [[ -z "$directory" ]] || fail "one directory, not '$directory' and '$1'"; directory=$1 ;;
  esac
  shift
done
[[ -n "$directory" ]] || { usage >&2; fail "which directory?"; }
! { $new_ca && { $renew || $drop_old_ca; }; } || fail "--new-ca goes alone: first every program must have the new ca.crt"
# A common name ends up in logs, file names and -subj.
check_name() {  # NAME
  [[ ${#1} -le 64 && "$1" =~ ^[A-Za-z0-9]([A-Za-z0-9._@-]*[A-Za-z0-9])?$ ]] ||
    fail "'$1' cannot be a name: at most 64 letters, digits and . _ @ - between them"
}
for name in ${gateway_cn:+"$gateway_cn"} "${users[@]}"; do check_name "$name"; done
[[ "$renew_before" -lt "$days" ]] || fail "--renew-before $renew_before is not less than --days $days: every call would renew"
command -v openssl >/dev/null || fail "openssl is not installed (Debian: apt-get install openssl)"

if [[ ! -d "$directory" ]]; then
  (umask 022; mkdir -p "$directory") || fail "cannot make $directory"
fi
cd "$directory" || fail "cannot enter $directory"
[[ -w . ]] || fail "cannot write in $directory"
exec 9>.lock
flock -n 9 || fail "another make_certs.sh is at work in $directory"
work=$(mktemp -d .work.XXXXXX)
trap 'rm -rf "$work"' EXIT
# openssl talks on standard error when all is well, too.
quietly() {  # COMMAND...
  "$@" 2>"$work/error" || fail "$(tail -n 3 "$work/error" | tr '\n' ' ')(in: ${*:1:2})"
}

end_of() { openssl x509 -in "$1" -noout -enddate | cut -d = -f 2; }
seconds_left() { echo $(($(date -d "$(end_of "$1")" +%s) - $(date +%s))); }
public_of_key() { openssl pkey -in "$1" -pubout 2>/dev/null; }
public_of_cert() { openssl x509 -in "$1" -noout -pubkey 2>/dev/null; }
cn_of() { openssl x509 -in "$1" -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= //p'; }
names_in() { sed -n '/Subject Alternative Name/{n;s/^ *//;p}'; }
names_of() { openssl x509 -in "$1" -noout -text | names_in; }

new_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

begin_ca() {  # [CERTIFICATES to trust as well]
  new_key "$work/ca.key"
  quietly openssl req -x509 -new -sha256 -key "$work/ca.key" -days "$ca_days" -subj "/CN=Fabro private CA $(openssl rand -hex 4)" \
    -set_serial "0x01$(openssl rand -hex 15)" -config /dev/null -out "$work/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
    -addext subjectKeyIdentifier=hash
  printf '%s' "${1:+$1$'\n'}" >>"$work/ca.crt"
  publish ca
}

# The first certificate in ca.crt is the authority that signs; others are trusted until they are dropped.
prepare_ca() {
  if [[ ! -e ca.crt ]]; then
    [[ ! -e ca.key ]] || fail "ca.key is here, but ca.crt is not: put it back, or move ca.key away to begin anew"
    begin_ca
    echo "ca.crt: made, until $(end_of ca.crt)"
    return
  fi
  openssl x509 -in ca.crt -noout 2>/dev/null || fail "ca.crt is no certificate"
  [[ ! -e ca.key || "$(public_of_key ca.key)" == "$(public_of_cert ca.crt)" ]] || fail "ca.key is not the key of ca.crt"
  if $new_ca; then
    begin_ca "$(openssl x509 -in ca.crt)"
    echo "ca.crt: made anew, until $(end_of ca.crt); the old one is behind it"
    return
  fi
  if $drop_old_ca; then
    quietly openssl x509 -in ca.crt -out "$work/ca.crt"
    publish ca
  fi
  local left=$(($(seconds_left ca.crt) / 86400))
  [[ $left -ge $days ]] || fail "ca.crt ends in $left days ($(end_of ca.crt)), before what it would sign: --new-ca begins a new one"
  echo "ca.crt: kept, until $(end_of ca.crt)"
}

publish() {  # FILE: moves what is made into its place, the key first
  [[ ! -e "$work/$(basename "$1").key" ]] || mv "$work/$(basename "$1").key" "$1.key"
  chmod 0644 "$work/$(basename "$1").crt"
  mv "$work/$(basename "$1").crt" "$1.crt"
}

# Why FILE.crt must be issued; nothing when it is good. The request beside it says which names are wanted.
reason() {  # FILE PURPOSE CN
  local file=$1
  [[ -e "$file.crt" ]] || { echo "new"; return; }
  openssl x509 -in "$file.crt" -noout 2>/dev/null || { echo "it was no certificate"; return; }
  [[ "$(cn_of "$file.crt")" == "$3" ]] ||
    { echo "it had another name"; return; }
  [[ "$(names_of "$file.crt")" == "$(openssl req -in "$work/request" -noout -text | names_in)" ]] || { echo "its names have changed"; return; }
  [[ "$(public_of_key "$file.key")" == "$(public_of_cert "$file.crt")" ]] || { echo "its key is another"; return; }
  [[ "$(seconds_left "$file.crt")" -gt $((renew_before * 86400)) ]] || { echo "it ends on $(end_of "$file.crt")"; return; }
  openssl verify -CAfile ca.crt -purpose "ssl${2%Auth}" "$file.crt" >/dev/null 2>&1 || { echo "it was not for this authority and use"; return; }
  if $renew; then echo "asked for"; fi
}

issue() {  # FILE CN clientAuth|serverAuth [SAN...]
  local file=$1 cn=$2 purpose=$3 why request=() key=$1.key
  shift 3
  if $rekey || [[ ! -e "$key" ]]; then
    key=$work/$(basename "$file").key
    new_key "$key"
  fi
  openssl pkey -in "$key" -noout 2>/dev/null || fail "$directory/$key is no private key; move it away to get a new one"
  local sans
  sans=$(IFS=,; echo "$*")
  [[ -z "$sans" ]] || request=(-addext "subjectAltName=$sans")
  quietly openssl req -new -sha256 -key "$key" -subj "/CN=$cn" -config /dev/null "${request[@]}" -out "$work/request"
  why=$(reason "$file" "$purpose" "$cn")
  if [[ -z "$why" ]]; then
    echo "$file.crt: kept, until $(end_of "$file.crt")"
    return
  fi
  [[ -e ca.key ]] || fail "$file.crt must be issued ($why), but ca.key is not here: bring it for as long as this takes"
  {
    echo "basicConstraints = critical, CA:FALSE"
    echo "keyUsage = critical, digitalSignature"
    echo "extendedKeyUsage = $purpose"
    echo "subjectKeyIdentifier = hash"
    echo "authorityKeyIdentifier = keyid"
    [[ -z "$sans" ]] || echo "subjectAltName = $sans"
  } >"$work/extensions"
  quietly openssl x509 -req -sha256 -in "$work/request" -CA ca.crt -CAkey ca.key -set_serial "0x01$(openssl rand -hex 15)" \
    -days "$days" -extfile "$work/extensions" -out "$work/$(basename "$file").crt"
  quietly openssl verify -CAfile ca.crt -purpose "ssl${purpose%Auth}" "$work/$(basename "$file").crt" >/dev/null
  publish "$file"
  echo "$file.crt: issued ($why), until $(end_of "$file.crt")"
}

# The names that a certificate has, for when none were given.
kept_names() {  # FILE
  names_of "$1.crt" 2>/dev/null | sed 's/IP Address:/IP:/g; s/, /\n/g'
}

issue_server() {  # FILE COUNT_OF_GIVEN DEFAULT_AND_GIVEN...
  local file=$1 given=$2 names=()
  shift 2
  [[ "$given" -gt 0 ]] || mapfile -t names < <(kept_names "$file")
  [[ ${#names[@]} -gt 0 ]] || names=("$@")
  issue "$file" "fabro-$file" serverAuth "${names[@]}"
}

if [[ -z "$gateway_cn" && -e gateway.crt ]]; then gateway_cn=$(cn_of gateway.crt); fi
gateway_cn=${gateway_cn:-fabro-gateway}
for name in "${users[@]}"; do
  [[ "$name" != "$gateway_cn" ]] || fail "no user may be called '$name': the core takes whoever has that name for the gateway"
done
prepare_ca
local_names=(DNS:localhost IP:127.0.0.1 IP:::1)
issue_server core "${#core_names[@]}" "${local_names[@]}" DNS:fabro-core "${core_names[@]}"
issue gateway "$gateway_cn" clientAuth
issue_server api "${#api_names[@]}" "${local_names[@]}" "${api_names[@]}"
for certificate in users/*.crt; do
  [[ ! -e "$certificate" ]] || users+=("$(basename "$certificate" .crt)")
done
while IFS= read -r user; do
  [[ -n "$user" ]] || continue
  mkdir -p users
  issue "users/$user" "$user" clientAuth
done < <(printf '%s\n' "${users[@]}" | sort -u)

if $jwt; then
  if [[ -e jwt.key ]]; then
    openssl pkey -in jwt.key -noout -text 2>/dev/null | grep -q ED25519 || fail "jwt.key is no Ed25519 key; move it away to get a new one"
    echo "jwt.key: kept"
  else
    quietly openssl genpkey -algorithm ED25519 -out "$work/jwt.key"
    mv "$work/jwt.key" jwt.key
    echo "jwt.key: made"
  fi
  quietly openssl pkey -in jwt.key -pubout -out "$work/jwt.pub"
  chmod 0644 "$work/jwt.pub"
  mv "$work/jwt.pub" jwt.pub
fi
