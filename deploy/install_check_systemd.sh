#!/usr/bin/env bash
# The service under a real systemd: install_check_systemd.sh [FOLDER], after install_check.sh, whose Debian and bundle it takes.
# A container boots without a network; in it install.sh, `hub setup --answers` with a mosquitto that the wizard secures
# and a service that it starts, a command through the running hub, a hub that hangs and is started again by its
# watchdog, an update, the uninstallation. Needs root and systemd-nspawn (apt-get install systemd-container).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(readlink -m -- "${1:-$here/runs/install-check}")
suite=${SUITE:-bookworm}
fail() { echo "install_check_systemd.sh: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "it has to be run as root"
command -v systemd-nspawn >/dev/null || fail "systemd-nspawn is needed: apt-get install systemd-container"
[ -e "$folder/$suite.tar" ] && [ -e "$folder/bundle/SHA256SUMS" ] || fail "run install_check.sh first"

root=$folder/booted
rm -rf "$root"
mkdir "$root"
tar -C "$root" -xf "$folder/$suite.tar"
rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
chroot "$root" apt-get install -y -qq --no-install-recommends \
    systemd systemd-sysv dbus procps mosquitto openssl python3-venv libgomp1 > "$folder/booted.log" 2>&1
mkdir "$root/mnt/bundle"
cp -r "$folder/bundle/." "$root/mnt/bundle/"
cat > "$root/mnt/first.toml" <<'ANSWERS'
[board]
[broker]
where = "install"
names = "localhost"
[models]
[service]
ANSWERS
cat > "$root/mnt/then.toml" <<'ANSWERS'
[devices]
test = "Bathroom light"
[sensitive]
[command]
say = "turn on the kitchen light"
ANSWERS
cat > "$root/mnt/work.sh" <<'WORK'
set -euo pipefail
cd /mnt
bash bundle/install.sh --no-setup
hub setup --answers first.toml
mosquitto_passwd -b /etc/mosquitto/hub/passwords house house
printf '\nuser house\ntopic readwrite #\n' >> /etc/mosquitto/hub/acl
systemctl reload mosquitto
MQTT_PASSWORD=house /opt/hub/bin/python -m devices.simulator --user house > home.log 2>&1 &
until grep -q ready home.log; do sleep 0.1; done
hub setup --answers then.toml
hub doctor
systemctl status hub --no-pager
[ "$(stat -c %a /etc/hub/hub.toml)" = 600 ]
! journalctl -u hub | grep -F "$(sed -n 's/^password = "\(.*\)"/\1/p' /etc/hub/hub.toml)"

echo "a hub that hangs"
kill -STOP "$(systemctl show hub -p MainPID --value)"
timeout 120 sh -c 'until systemctl show hub -p NRestarts | grep -q =1 && systemctl is-active -q hub; do sleep 1; done'
hub say "turn off the bathroom light"

echo "an update, and away with it"
bash bundle/install.sh --no-setup
systemctl is-active hub
bash bundle/install.sh --uninstall --purge
! systemctl cat hub 2>/dev/null
for gone in /etc/hub /var/lib/hub /var/lib/private/hub /opt/hub; do [ ! -e $gone ]; done
touch /mnt/well
WORK
cat > "$root/etc/systemd/system/work.service" <<'UNIT'
[Service]
Type=oneshot
Environment=HOME=/mnt PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/bash -c "bash /mnt/work.sh > /mnt/work.log 2>&1"
ExecStopPost=/bin/systemctl poweroff
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../work.service "$root/etc/systemd/system/default.target.wants/work.service"
timeout 400 systemd-nspawn -D "$root" --register=no --keep-unit --private-network -b > "$folder/boot.log" 2>&1 || true
cat "$root/mnt/work.log"
[ -e "$root/mnt/well" ] || fail "it did not come to its end; $folder/boot.log says how the container started"
echo "== the service ran under systemd $(chroot "$root" systemctl --version | head -n 1), was started again when it hung, and is gone"
