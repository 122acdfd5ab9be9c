#!/usr/bin/env bash
# Makes a Debian package of a bundle: deb.sh BUNDLE [FOLDER]
# BUNDLE is a folder that `hub bundle` made, for whichever processor; the package comes to FOLDER [beside the bundle].
# It is for the one release of Debian or Ubuntu that has the bundle's Python. By debhelper and dpkg-buildpackage: needs
# Debian's debhelper. DEBFULLNAME and DEBEMAIL say who made it, else git knows. deb_check.sh tries it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "deb.sh: $1" >&2; exit 1; }
bundle=$(readlink -m -- "${1:?deb.sh BUNDLE [FOLDER]}") folder=$(readlink -m -- "${2:-$1/..}")
[ -e "$bundle/SHA256SUMS" ] || fail "$bundle is no finished bundle: hub bundle makes one"
command -v dh >/dev/null || fail "debhelper is needed: apt-get install debhelper"
maker="${DEBFULLNAME:-$(git -C "$here" config user.name || true)} <${DEBEMAIL:-$(git -C "$here" config user.email || true)}>"
[[ $maker =~ ^.+\ \<.+@.+\>$ ]] || fail "say who makes it: DEBFULLNAME=... DEBEMAIL=... $0"

about() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" "$bundle/bundle.json"; }
case $(about machine) in
    aarch64) arch=arm64 ;;
    x86_64) arch=amd64 ;;
    *) fail "for $(about machine) Debian has no name that is known here" ;;
esac
python=$(about python) version=$(about hub)
needs="python3 (>= $python), python3 (<< ${python%.*}.$((${python#*.} + 1))~), python3-venv, libgomp1"
if grep -q '"voice"' "$bundle/bundle.json"; then needs+=", libportaudio2, espeak-ng"; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
made=$work/homeward-hub
mkdir "$made"
cp -r "$here/debian" "$made/debian"
cp -r "$bundle" "$made/bundle"
cd "$made"
sed -i "s/@MAINTAINER@/$maker/; s/@NEEDS@/$needs/" debian/control
units=(bundle/deploy/hub.service bundle/deploy/mosquitto/hub-certificates.*)
{
    printf '%s lib/systemd/system\n' "${units[@]}"
    echo "bundle/deploy/hub.service.d/local-network.conf lib/systemd/system/hub.service.d"
    # Debian 12, whose Python is 3.11, has a systemd that warns of it.
    [ "$python" = 3.11 ] || echo "bundle/deploy/hub.service.d/back-off.conf lib/systemd/system/hub.service.d"
    echo "bundle/* usr/lib/homeward-hub"
} > debian/homeward-hub.install
cat > debian/changelog <<CHANGELOG
homeward-hub ($version) unstable; urgency=medium

  * The hub $version, for Python $python.

 -- $maker  $(date -R --date="@${SOURCE_DATE_EPOCH:-$(date +%s)}")
CHANGELOG

echo "Packing $(du -sm "$bundle" | cut -f 1) MB for $arch and Python $python"
# -d: nothing is compiled, so a package for another processor needs no compiler for that.
dpkg-buildpackage --host-arch "$arch" -b -us -uc -d > build.log 2>&1 || { tail -n 20 build.log >&2; fail "it cannot be built"; }
package=homeward-hub_${version}_$arch.deb
mkdir -p "$folder"
mv "$work/$package" "$folder/"
echo "$folder/$package, $(du -m "$folder/$package" | cut -f 1) MB. There: sudo apt install ./$package, then sudo hub setup"
