#!/usr/bin/env bash
# The Debian package, made and tried in a fresh Debian: deb_check.sh [FOLDER]
# lintian finds no fault with it; without a network it is installed, reads the project's own sentences as this machine does, is installed over itself, removed with the
# settings left, installed again and purged; then every file must be as before. Needs root, debootstrap and debhelper.
# The systemd unit is not started. A Debian and a bundle of install_check.sh that lie in FOLDER are used again.
set -euo pipefail
folder=$(readlink -m -- "${1:-$(dirname "$0")/../runs/install-check}") root=$folder/root
# shellcheck source=debian_root.sh
. "$(dirname "$0")/debian_root.sh"
bundle=$folder/bundle

fresh
remember
if [ ! -e "$bundle/SHA256SUMS" ]; then
    step "a bundle"
    "$python" -m hub bundle "$bundle" --extras ""
fi
step "the package"
rm -f "$folder"/homeward-hub_*.deb
bash "$here/deploy/deb.sh" "$bundle" "$folder"
package=$(basename "$(compgen -G "$folder/homeward-hub_*.deb")")
cp "$folder/$package" "$root/mnt/"
if command -v lintian >/dev/null; then
    step "lintian"
    lintian --allow-root --tag-display-limit 0 --info --fail-on error,warning "$folder/$package"
else
    echo "Not looked at by lintian: apt-get install lintian"
fi
step "what it depends on, by apt-get"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends python3-venv libgomp1 >/dev/null

step "installed, without a network"
alone dpkg -i "/mnt/$package"
sentences
same_meaning
alone hub settings check
printf 'room = "Kitchen"\n' > "$root/etc/hub/hub.toml"

step "installed over itself, removed, installed, purged"
alone dpkg -i "/mnt/$package"
alone hub settings check
alone dpkg --remove homeward-hub
[ -e "$root/etc/hub/hub.toml" ] || fail "its removal took the settings away"
[ ! -e "$root/opt/hub" ] || fail "its removal left the program"
alone dpkg -i "/mnt/$package"
alone dpkg --purge homeward-hub
nothing_left
step "nothing is left; the package was installed, worked, and is gone"
