#!/usr/bin/env bash
# Installs the hub on Raspberry Pi OS, Debian, Ubuntu or JetPack, or brings it up to date; then begins `hub setup`.
#   sudo bash deploy/install.sh                    from this checkout; needs the network
#   sudo bash FOLDER/install.sh                    from a folder that `hub bundle FOLDER` made; needs none
# Options:
#   --extras LIST      what else is installed: voice, find, demo, wyoming, with commas between [voice,find; of a bundle, its own]
#   --answers FILE     `hub setup` asks nobody: the answers are in this file
#   --no-setup         do not begin `hub setup`
#   --uninstall        take the program and the service away; settings, state and the broker's files stay
#   --purge            with --uninstall: those too
#   --packaged         as the .deb calls it, whose own the service files, the command and the packages are
# The program goes to /opt/hub, the settings to /etc/hub, timers and models to /var/lib/hub. What it prints goes to
# /var/log/hub-install.log too.
set -euo pipefail

place=/opt/hub settings=/etc/hub state=/var/lib/hub units=/etc/systemd/system
log=/var/log/hub-install.log
command_link=/usr/local/bin/hub
# Brings a Python of its own where the system's is too old (JetPack 5 and 6, Debian 11). Which builds of Python uv takes,
# and their digests, are part of uv; uv's own are here.
uv_version=0.9.11 python_version=3.12
uv_x86_64=e97906ca1b90dac91c23af20e282e2e37c8eb80c3721898733928a295f2defda
uv_aarch64=cb680948e678590b5960744af2ecea6f2c0307dbb74ac44daf5c00e84ad8c09f

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$1" >&2; exit 1; }

extras="" answers="" setup=yes doing=install purge=no packaged=no
while [ $# -gt 0 ]; do
    case $1 in
        --extras) extras=${2?--extras needs a list}; shift ;;
        --answers) answers=$(readlink -f -- "${2?--answers needs a file}"); shift ;;
        --no-setup) setup=no ;;
        --uninstall) doing=uninstall ;;
        --purge) purge=yes ;;
        --packaged) packaged=yes ;;
        -h | --help) sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || fail "it has to be run as root: sudo bash $0"
[ "$purge" = no ] || [ "$doing" = uninstall ] || fail "--purge goes with --uninstall"
[ -z "$answers" ] || [ -r "$answers" ] || fail "$answers cannot be read"
here=$(cd "$(dirname "$(readlink -f -- "$0")")" && pwd)

has_systemd() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }

# -- away with it

remove_units() {
    rm -f "$units/hub.service" "$units/hub-certificates.service" "$units/hub-certificates.timer"
    rm -f "$units/hub.service.d/local-network.conf" "$units/hub.service.d/back-off.conf"
    [ "$(readlink "$command_link" 2>/dev/null)" != "$place/bin/hub" ] || rm -f "$command_link"
}

remove() {
    if has_systemd; then
        systemctl disable --now hub hub-certificates.timer 2>/dev/null || true
    fi
    remove_units
    rm -f "$units/multi-user.target.wants/hub.service" "$units/timers.target.wants/hub-certificates.timer"
    rm -rf "$units/hub.service.d"
    if has_systemd; then systemctl daemon-reload; fi
    local packages=""
    [ ! -r "$place/apt-packages" ] || packages=$(tr '\n' ' ' < "$place/apt-packages")
    rm -rf "$place"
    if [ "$purge" = yes ]; then
        rm -rf "$settings" "$state" /var/lib/private/hub /etc/mosquitto/hub "$log"
        rm -f /etc/mosquitto/conf.d/hub.conf
        say "The hub is gone, with its settings, its state and what it wrote for mosquitto."
    else
        say "The hub is gone. $settings, $state and /etc/mosquitto/hub are still there (--uninstall --purge removes them)."
    fi
    [ -z "$packages" ] || say "Packages that came with it and may be of use to others: sudo apt-get purge --auto-remove $packages"
}

if [ "$doing" = uninstall ]; then
    remove
    exit 0
fi

# -- what it is installed from, and onto

if [ -e "$here/bundle.json" ]; then
    bundle=$here source="" deploy=$here/deploy
    [ -e "$bundle/SHA256SUMS" ] || fail "$bundle is not finished: make it again with hub bundle"
    (cd "$bundle" && sha256sum --quiet -c SHA256SUMS) || fail "$bundle is damaged: copy it again"
    grep -q "\"machine\": \"$(uname -m)\"" "$bundle/bundle.json" || fail "this bundle is for another processor than $(uname -m)"
    [ -n "$extras" ] || extras=$(sed -n '/"extras"/,/]/p' "$bundle/bundle.json" | tr -d '\n "' | sed 's/.*\[\(.*\)\].*/\1/')
else
    bundle="" source=$(dirname "$here") deploy=$here
    [ -e "$source/pyproject.toml" ] || fail "$source is no checkout of the hub"
    [ -n "$extras" ] || extras=voice,find
fi
[[ $extras =~ ^[a-z,]*$ ]] || fail "--extras: names with commas between"
. /etc/os-release
case " ${ID:-} ${ID_LIKE:-} " in
    *" debian "* | *" ubuntu "*) ;;
    *) fail "this is ${PRETTY_NAME:-another system}: Raspberry Pi OS, Debian, Ubuntu or JetPack is needed" ;;
esac
command -v apt-get >/dev/null || fail "apt-get is needed"

mkdir -p "$(dirname "$log")"
exec 3>&1 4>&2 > >(tee -a "$log") 2>&1
tee=$!
say "Installing the hub from ${bundle:-$source} on ${PRETTY_NAME:-this system}, $(date '+%Y-%m-%d %H:%M')."

# What is missing of these packages is installed, and noted so that it can be taken away again.
mkdir -p "$place"
need() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$packaged" = no ] || fail "${missing[*]} should have come with the package"
    say "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || say "(the lists of packages cannot be brought up to date; trying with those of before)"
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || fail "${missing[*]} cannot be installed"
    printf '%s\n' "${missing[@]}" >> "$place/apt-packages"
}

# -- Python

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The first Python that is new enough; nothing where there is none.
system_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && new_enough "$name"; then command -v "$name"; return; fi
    done
}

# A Python of the hub's own under /opt/hub/python, through uv, whose wheel is taken only with the digest above.
bring_python() {
    [ -z "$bundle" ] || fail "this bundle needs Python 3.11 or newer, and this system has none"
    local arch digest
    arch=$(uname -m)
    case $arch in
        x86_64) digest=$uv_x86_64 ;;
        aarch64) digest=$uv_aarch64 ;;
        *) fail "there is no ready-made Python for $arch: install Python 3.11 or newer" ;;
    esac
    need python3-venv python3-pip ca-certificates
    say "Python is older than 3.11 here: bringing $python_version by uv $uv_version"
    local tools=$place/tools
    python3 -m venv "$tools"
    printf 'uv==%s --hash=sha256:%s\n' "$uv_version" "$digest" > "$tools/uv.txt"
    "$tools/bin/python" -m pip install -q --upgrade 'pip>=21'
    "$tools/bin/python" -m pip install -q --only-binary :all: --require-hashes -r "$tools/uv.txt" ||
        fail "uv cannot be had with the digest that is known of it"
    UV_PYTHON_INSTALL_DIR=$place/python "$tools/bin/uv" python install --no-bin "$python_version" ||
        fail "Python $python_version cannot be fetched; install Python 3.11 or newer yourself, and run this again"
    rm -rf "$tools"
}

python=$(system_python)
if [ -z "$python" ] && [ -d "$place/python" ]; then python=$(find "$place/python" -path '*/bin/python3.1*' | sort | head -n 1); fi
if [ -z "$python" ]; then
    need python3 python3-venv
    python=$(system_python)
fi
if [ -z "$python" ]; then
    bring_python
    python=$(find "$place/python" -path '*/bin/python3.1?' | sort | head -n 1)
fi
case $python in "$place"/*) ;; *) need "$(basename "$(readlink -f "$python")")-venv" ;; esac
say "Python: $("$python" --version), $python"

# -- the program

new_enough "$place/bin/python" || "$python" -m venv "$place"
pip() { "$place/bin/python" -m pip --disable-pip-version-check "$@"; }
what="homeward-hub${extras:+[$extras]}"
wheels=$place/wheels new=$place/wheels.new
rm -rf "$new"

# Everything is there as wheels before anything of the running hub is changed.
if [ -n "$bundle" ]; then
    if [ "$packaged" = yes ]; then ln -s "$bundle/wheels" "$new"; else cp -r "$bundle/wheels" "$new"; fi
else
    need gcc g++ make libc6-dev ca-certificates
    flags=$(bash "$deploy/llama_flags.sh")
    say "Getting what the hub needs. llama.cpp is compiled where there is no wheel of it: 7 minutes on two quick cores, half an"
    say "hour on a Raspberry Pi 4.${flags:+ Its flags: $flags}"
    CMAKE_ARGS="${CMAKE_ARGS:-$flags}" pip wheel --progress-bar off --wheel-dir "$new" --find-links "$wheels" \
        --prefer-binary "$what @ file://$source" || fail "not all of it can be had; see above and $log"
fi
rm -rf "$wheels"
mv "$new" "$wheels"
need libgomp1 # which llama.cpp is linked with
case ",$extras," in *,voice,*) need libportaudio2 espeak-ng ;; esac
say "Installing into $place"
pip install -q --no-index --find-links "$wheels" --upgrade "$what" || fail "$wheels is not whole"
pip install -q --no-index --find-links "$wheels" --no-deps --force-reinstall homeward-hub
rm -rf "$place/deploy"
cp -r "$deploy" "$place/deploy"
if [ -e "$settings/hub.toml" ]; then
    "$place/bin/hub" settings migrate --config "$settings/hub.toml" || say "The settings stay as they are; hub doctor says more."
fi

# -- the command and the service

if [ "$packaged" = yes ]; then
    remove_units # of an installation without the package, which would go before the package's
else
    ln -sfn "$place/bin/hub" "$command_link"
    mkdir -p "$units/hub.service.d"
    cp "$deploy/hub.service" "$deploy"/mosquitto/hub-certificates.* "$units/"
    cp "$deploy/hub.service.d/local-network.conf" "$units/hub.service.d/"
    version=$(systemctl --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p' || true)
    if [ "${version:-0}" -ge 254 ]; then cp "$deploy/hub.service.d/back-off.conf" "$units/hub.service.d/"; fi
fi
mkdir -p "$settings" "$state"
chmod 700 "$settings" "$state"
if has_systemd; then
    systemctl daemon-reload
    if systemctl is-active --quiet hub; then systemctl restart hub; fi
fi
if [ -n "$bundle" ] && [ -d "$bundle/models" ]; then
    mkdir -p "$state/models"
    cp -ru "$bundle/models/." "$state/models/"
fi
say "$("$place/bin/hub" --version) is in $place."

exec >&3 2>&4
wait "$tee" || true

# -- and then

if [ "$setup" = yes ] && [ -n "$answers" ]; then
    exec "$place/bin/hub" setup --answers "$answers"
elif [ "$setup" = yes ] && [ -t 0 ]; then
    exec "$place/bin/hub" setup
fi
say "Go on with: sudo hub setup"
