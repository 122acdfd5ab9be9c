#!/usr/bin/env bash
# Secures the mosquitto of this machine for the hub and its devices: secure.sh NAME...
#   NAME    each name and address by which devices call the broker, for its certificate
# The password of the user `hub` is read from stdin, so that it stands in no list of processes. Run again, it gives that
# user another password and leaves the other users, the ACL and the certificates as they are. ROOT is for tests.
set -euo pipefail
umask 027
fail() { echo "secure.sh: $1" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
root=${ROOT:-}
folder=$root/etc/mosquitto/hub
[ $# -gt 0 ] || fail "usage: secure.sh NAME..., with the password of the user hub on stdin"
command -v mosquitto_passwd >/dev/null || fail "mosquitto is needed: sudo apt-get install mosquitto"
IFS= read -r password || [ -n "$password" ] || fail "no password came on stdin"
case $password in *:*) fail "a colon cannot be in the password" ;; esac

mkdir -p "$folder" "$root/etc/mosquitto/conf.d" || fail "$folder cannot be written: try sudo"
[ -e "$folder/acl" ] || cp "$here/acl" "$folder/acl"
bash "$here/certificates.sh" "$folder" "$@"

# mosquitto_passwd -U turns plain lines into hashed ones; those of the others are hashed already and kept aside.
new=$(mktemp "$folder/.passwords.XXXXXX")
trap 'rm -f "$new"' EXIT
chmod 600 "$new"
printf 'hub:%s\n' "$password" > "$new"
mosquitto_passwd -U "$new"
if [ -e "$folder/passwords" ]; then grep -v '^hub:' "$folder/passwords" >> "$new" || true; fi
mv "$new" "$folder/passwords"
if getent group mosquitto >/dev/null && [ "$(id -u)" = 0 ]; then
    chgrp -R mosquitto "$folder"
    chmod 640 "$folder/passwords" "$folder/acl"
    chmod 600 "$folder/ca.key"
fi
sed "s#/etc/mosquitto/hub#$folder#" "$here/hub.conf" > "$root/etc/mosquitto/conf.d/hub.conf"
chmod 644 "$root/etc/mosquitto/conf.d/hub.conf"
echo "the broker is secured: $folder, and conf.d/hub.conf beside it"
if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl restart mosquitto; fi
