#!/usr/bin/env bash
# Makes the certificates of a broker, and renews them: certificates.sh FOLDER [NAME...]
#   FOLDER  where they lie: ca.crt (to be copied to every client), server.crt and server.key for the broker, and ca.key,
#           which whoever has it can be your broker with
#   NAME    each name and address by which clients call the broker; when renewing, those of before if none is given
# Run as often as you like: what is good for another 30 days and has the same names stays as it is. A renewal keeps
# ca.crt and the keys, so that no client has to be told.
set -euo pipefail
umask 077
fail() { echo "certificates.sh: $1" >&2; exit 1; }

[ $# -ge 1 ] && [ "${1#-}" = "$1" ] || fail "usage: certificates.sh FOLDER [NAME...]"
command -v openssl >/dev/null || fail "openssl is needed: sudo apt-get install openssl"
folder=$1
shift
mkdir -p "$folder" 2>/dev/null && cd "$folder" 2>/dev/null && [ -w . ] || fail "$folder cannot be written: try sudo"
[ $# -gt 0 ] || { [ -r names ] && mapfile -t given < names && set -- "${given[@]}"; }
[ $# -gt 0 ] || fail "give each name and address by which clients call the broker"

alternatives=""
for name in "$@"; do
    [[ $name =~ ^[A-Za-z0-9:][A-Za-z0-9.:_-]*$ ]] || fail "'$name' is neither a name nor an address"
    if [[ $name == *:* || $name =~ ^[0-9.]+$ ]]; then kind=IP; else kind=DNS; fi
    alternatives+="${alternatives:+,}$kind:$name"
done

new=$(mktemp -d ./.new.XXXXXX)
trap 'rm -rf "$new"' EXIT
month=2592000 # seconds
curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

if [ ! -e ca.key ] && [ ! -e ca.crt ]; then
    openssl req -x509 "${curve[@]}" -keyout "$new/ca.key" -out "$new/ca.crt" -days 3650 -subj "/CN=The home's own CA" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
    chmod 644 "$new/ca.crt"
    mv "$new/ca.key" "$new/ca.crt" .
    echo "made ca.crt: copy it to every client"
fi
[ -r ca.key ] && [ -r ca.crt ] || fail "one of ca.key and ca.crt is missing: put it back, or remove both to begin anew"
openssl x509 -in ca.crt -noout -checkend $month >/dev/null ||
    fail "ca.crt ends within a month: remove ca.crt and ca.key, run this again, and copy the new ca.crt to every client"

good() {
    [ -r server.key ] && [ -r server.crt ] && [ "$(cat names 2>/dev/null)" = "$(printf '%s\n' "$@")" ] &&
        openssl verify -CAfile ca.crt server.crt >/dev/null 2>&1 &&
        [ "$(openssl x509 -in server.crt -noout -pubkey)" = "$(openssl pkey -in server.key -pubout 2>/dev/null)" ] &&
        openssl x509 -in server.crt -noout -checkend $month >/dev/null
}
if good "$@"; then
    echo "server.crt is good until $(openssl x509 -in server.crt -noout -enddate | cut -d= -f2)"
    exit 0
fi

[ -e server.key ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$new/server.key" 2>/dev/null
[ -e "$new/server.key" ] && mv "$new/server.key" .
openssl req -new -key server.key -subj "/CN=The home's broker" -out "$new/request" 2>/dev/null || fail "server.key is damaged: remove it"
printf '%s\n' "subjectAltName=$alternatives" basicConstraints=critical,CA:FALSE \
    keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth > "$new/extensions"
openssl x509 -req -in "$new/request" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days 825 \
    -extfile "$new/extensions" -out "$new/server.crt" 2>/dev/null || fail "the names cannot be in a certificate: $*"
openssl verify -CAfile ca.crt "$new/server.crt" >/dev/null || fail "ca.key is not the key of ca.crt: put the right one back"
printf '%s\n' "$@" > "$new/names"
chmod 644 "$new/server.crt"
if [ "$(id -u)" = 0 ] && getent group mosquitto >/dev/null; then
    chgrp mosquitto server.key
    chmod 640 server.key
fi
mv "$new/server.crt" "$new/names" .
echo "made server.crt for $*, good until $(openssl x509 -in server.crt -noout -enddate | cut -d= -f2)"
# A broker that runs goes on with the old one until it is told.
if [ -d /run/systemd/system ] && systemctl is-active --quiet mosquitto; then
    systemctl reload mosquitto || systemctl restart mosquitto
fi
