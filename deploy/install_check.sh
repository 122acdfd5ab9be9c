#!/usr/bin/env bash
# Installs the hub into a fresh Debian and takes it away again: install_check.sh [FOLDER]
# In a root made by debootstrap: a bundle, install.sh, `hub setup --answers` against a mosquitto secured as in
# deploy/mosquitto, a command that a home in software confirms, an update, the uninstallation, and the list of files as
# it was. Only apt-get has a network; everything of the hub's runs in a network namespace with nothing but loopback.
# Takes some minutes and 2 GB in FOLDER; a Debian of before that lies there is used again. Needs root and debootstrap.
set -euo pipefail
folder=$(readlink -m -- "${1:-$(dirname "$0")/../runs/install-check}") root=$folder/root
# shellcheck source=debian_root.sh
. "$(dirname "$0")/debian_root.sh"

fresh
remember

step "a bundle"
bundle=$folder/bundle
rm -rf "$bundle"
"$python" -m hub bundle "$bundle" --extras ""
mkdir -p "$root/mnt/bundle"
cp -r "$bundle/." "$root/mnt/bundle/"

step "install.sh"
inside bash /mnt/bundle/install.sh --no-setup
inside apt-get install -y -qq --no-install-recommends mosquitto openssl >/dev/null

step "hub setup --answers, a command, hub doctor"
cat > "$root/mnt/answers.toml" <<'ANSWERS'
[board]
[broker]
where = "typed"
host = "localhost"
port = 8883
tls = true
ca_file = "/etc/hub/ca.crt"
username = "hub"
password_file = "/mnt/password"
[models]
[devices]
test = "Bathroom light"
[sensitive]
[service]
[command]
say = "turn on the kitchen light"
ANSWERS
cat > "$root/mnt/work.sh" <<'WORK'
set -euo pipefail
head -c 18 /dev/urandom | base64 > /mnt/password
bash /opt/hub/deploy/mosquitto/secure.sh localhost 127.0.0.1 < /mnt/password
mosquitto_passwd -b /etc/mosquitto/hub/passwords house house
printf '\nuser house\ntopic readwrite #\n' >> /etc/mosquitto/hub/acl
install -m 644 /etc/mosquitto/hub/ca.crt /etc/hub/ca.crt
install -d -o mosquitto /run/mosquitto # which systemd makes elsewhere
mosquitto -c /etc/mosquitto/mosquitto.conf & broker=$!
cd /mnt
until (exec 3<>/dev/tcp/127.0.0.1/1883) 2>/dev/null; do kill -0 $broker; sleep 0.1; done
MQTT_PASSWORD=house /opt/hub/bin/python -m devices.simulator --user house > home.log 2>&1 & home=$!
until grep -q ready home.log; do kill -0 $home; sleep 0.1; done
hub setup --answers answers.toml --json | tee report.json
grep -q '"well": true' report.json
hub run & hub=$!
for _ in $(seq 100); do hub doctor --json > doctor.json || true; grep -q 'is running' doctor.json && break; sleep 0.2; done
hub say "turn off the bathroom light"
hub doctor
stat -c '%a %U %n' /etc/hub/hub.toml | grep -q '^600 root'
kill $hub
wait $hub
kill $home $broker
wait $broker || true
WORK
alone bash /mnt/work.sh

step "an update, without a network"
before=$(sha256sum "$root/etc/hub/hub.toml")
alone bash /mnt/bundle/install.sh --no-setup
[ "$before" = "$(sha256sum "$root/etc/hub/hub.toml")" ] || fail "the update changed the settings"
alone hub settings check

step "away with it"
alone bash /mnt/bundle/install.sh --uninstall
[ -e "$root/etc/hub/hub.toml" ] || fail "--uninstall took the settings away"
alone bash /mnt/bundle/install.sh --uninstall --purge
nothing_left
step "nothing is left; the hub was installed, worked, and is gone"

if command -v systemd-nspawn >/dev/null; then
    step "the same under systemd"
    bash "$here/deploy/install_check_systemd.sh" "$folder"
else
    echo "The service was not tried: apt-get install systemd-container"
fi
