#!/usr/bin/env bash
# Installs the hub into a fresh Debian and takes it away again: install_check.sh [FOLDER]
# In a root made by debootstrap: a bundle, install.sh, `hub setup --answers` against a mosquitto secured as in
# deploy/mosquitto, a command that a home in software confirms, an update, the uninstallation, and the list of files as
# it was. Only apt-get has a network; everything of the hub's runs in a network namespace with nothing but loopback.
# Takes some minutes and 2 GB in FOLDER; a Debian of before that lies there is used again. Needs root and debootstrap.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(readlink -m -- "${1:-$here/runs/install-check}")
python=${PYTHON:-$here/.venv/bin/python}
suite=${SUITE:-bookworm} mirror=${MIRROR:-http://deb.debian.org/debian}
fail() { echo "install_check.sh: $1" >&2; exit 1; }
step() { printf '\n== %s (%d s)\n' "$1" $SECONDS; }

[ "$(id -u)" = 0 ] || fail "it has to be run as root"
command -v debootstrap >/dev/null || fail "debootstrap is needed: apt-get install debootstrap"
mkdir -p "$folder"
root=$folder/root

if [ ! -e "$folder/$suite.tar" ]; then
    step "debootstrap $suite"
    debootstrap --variant=minbase "$suite" "$folder/new" "$mirror" > "$folder/debootstrap.log"
    # What every image for a board has, beside a Python.
    chroot "$folder/new" apt-get install -y -qq --no-install-recommends python3 ca-certificates iproute2 >/dev/null
    printf '#!/bin/sh\nexit 101\n' > "$folder/new/usr/sbin/policy-rc.d" # no daemon starts in a chroot
    chmod +x "$folder/new/usr/sbin/policy-rc.d"
    tar -C "$folder/new" -cf "$folder/$suite.tar.part" .
    mv "$folder/$suite.tar.part" "$folder/$suite.tar"
    rm -rf "$folder/new"
fi
step "a fresh $suite"
rm -rf "$root"
mkdir "$root"
tar -C "$root" -xf "$folder/$suite.tar"
rm -f "$root/etc/resolv.conf"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts" # which debootstrap leaves to the installer

inside() { # with a network, as apt-get needs it
    unshare --mount --pid --fork bash -c '
        mount -t proc none "$1/proc"; mount --bind /dev/null "$1/dev/null" 2>/dev/null || true
        root=$1; shift; exec chroot "$root" env -i PATH="$PATH" HOME=/mnt LC_ALL=C.UTF-8 "$@"' - "$root" "$@"
}
alone() { # with loopback only
    unshare --mount --pid --fork --net bash -c '
        ip link set lo up; mount -t proc none "$1/proc"
        root=$1; shift; exec chroot "$root" env -i PATH="$PATH" HOME=/mnt LC_ALL=C.UTF-8 "$@"' - "$root" "$@"
}
# Every file with its kind and its link; what tools write as they please is left out.
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./mnt -o -path ./var/cache \
        -o -path ./var/lib/apt -o -path ./var/log -o -path ./var/lib/dpkg -o -name __pycache__ -o -name '*-old' -o -name '*-' \) -prune \
        -o -printf '%P %y %l\n' | sort)
}
packages() { chroot "$root" dpkg-query -W -f '${Package}\n' | sort; }
files > "$folder/before"
packages > "$folder/packages"

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
mapfile -t new < <(packages | comm -13 "$folder/packages" -)
inside apt-get purge -y -qq "${new[@]}" >/dev/null
files > "$folder/after"
diff "$folder/before" "$folder/after" || fail "these files differ"
step "nothing is left; the hub was installed, worked, and is gone"

if command -v systemd-nspawn >/dev/null; then
    step "the same under systemd"
    bash "$here/deploy/install_check_systemd.sh" "$folder"
else
    echo "The service was not tried: apt-get install systemd-container"
fi
