#!/usr/bin/env bash
# The hub for 64-bit ARM boards, tried on a PC: arm64_check.sh [FOLDER]
# llama.cpp cross-compiled, a bundle with it and everything else's aarch64 wheels, install.sh in a fresh Debian for arm64 without a
# network, and the project's own sentences read there by `hub understand`, on the processors of the boards as QEMU knows them:
# their meaning must be that on this machine. No speed is measured, and no board is replaced: QEMU is the processor only.
# FEATURES="asimd asimddp asimdhp" compiles for a Raspberry Pi 5 instead of for each board. Needs root, debootstrap,
# qemu-user-static and g++-aarch64-linux-gnu, and 2 GB in FOLDER, of which the Debian and the wheel are used again. EVERY=10 takes a tenth of the
# sentences.
set -euo pipefail
folder=$(readlink -m -- "${1:-$(dirname "$0")/../runs/arm64-check}") root=$folder/root arch=arm64
# shellcheck source=debian_root.sh
. "$(dirname "$0")/debian_root.sh"
features=${FEATURES:-asimd}
needed qemu-aarch64-static qemu-user-static
needed aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
boards=(cortex-a53 cortex-a72 cortex-a76) # Raspberry Pi 3 and Zero 2, 4, 5
[[ $features != *asimddp* ]] || boards=(cortex-a76)

# The kernel hands ARM's programs to QEMU: Debian's rule for that, where it is not in force already.
rules=/proc/sys/fs/binfmt_misc
[ -e $rules/register ] || mount -t binfmt_misc none $rules
if [ ! -e $rules/qemu-aarch64 ]; then
    cat /usr/lib/binfmt.d/qemu-aarch64.conf > $rules/register
    trap 'echo -1 > $rules/qemu-aarch64' EXIT
fi

wheel=$folder/wheel-${features// /-}
if ! compgen -G "$wheel/*.whl" >/dev/null; then
    step "llama.cpp for arm64"
    bash "$here/deploy/arm64_wheel.sh" "$wheel" "$features"
fi
step "a bundle for arm64"
bundle=$folder/bundle
rm -rf "$bundle"
mkdir -p "$bundle/wheels"
cp "$wheel"/*.whl "$bundle/wheels/"
"$python" -m hub bundle "$bundle" --extras "" --machine aarch64

fresh
step "what install.sh would bring by apt-get"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends python3-venv libgomp1 >/dev/null
step "install.sh, without a network"
cp -r "$bundle" "$root/mnt/bundle"
alone bash /mnt/bundle/install.sh --no-setup

step "sentences"
sentences
for board in "${boards[@]}"; do
    step "on a $board"
    same_meaning QEMU_CPU="$board"
done
step "on arm64 they mean what they mean here"
