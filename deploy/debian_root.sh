# shellcheck shell=bash
# A fresh Debian in a folder, and commands in it. Read, not run, by install_check.sh, deb_check.sh and arm64_check.sh.
# They set `folder`, where everything lies, and `root`, the Debian's own folder in it; `arch` where it is another than here.
: "${folder:?}" "${root:?}" "${arch:=}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
suite=${SUITE:-bookworm} mirror=${MIRROR:-http://deb.debian.org/debian}
python=${PYTHON:-$here/.venv/bin/python}
fail() { echo "$(basename "$0"): $1" >&2; exit 1; }
step() { printf '\n== %s (%d s)\n' "$1" $SECONDS; }
needed() { # a command, and the package that brings it
    command -v "$1" >/dev/null || fail "$1 is needed: apt-get install $2"
}

# The Debian that each check begins with: made once, and kept as $image.
image() {
    step "debootstrap $suite${arch:+ for $arch}"
    rm -rf "$folder/new"
    debootstrap ${arch:+"--arch=$arch"} --variant=minbase "$suite" "$folder/new" "$mirror" > "$folder/debootstrap.log"
    # What every image for a board has, beside a Python.
    chroot "$folder/new" apt-get install -y -qq --no-install-recommends python3 ca-certificates iproute2 >/dev/null
    printf '#!/bin/sh\nexit 101\n' > "$folder/new/usr/sbin/policy-rc.d" # no daemon starts in a chroot
    chmod +x "$folder/new/usr/sbin/policy-rc.d"
    tar -C "$folder/new" -cf "$image.part" .
    mv "$image.part" "$image"
    rm -rf "$folder/new"
}

fresh() { # $root, as new
    [ "$(id -u)" = 0 ] || fail "it has to be run as root"
    needed debootstrap debootstrap
    mkdir -p "$folder"
    image=$folder/$suite${arch:+-$arch}.tar
    [ -e "$image" ] || image
    step "a fresh $suite${arch:+ for $arch}"
    rm -rf "$root"
    mkdir "$root"
    tar -C "$root" -xf "$image"
    rm -f "$root/etc/resolv.conf"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    printf '127.0.0.1 localhost\n' > "$root/etc/hosts" # which debootstrap leaves to the installer
}

inside() { # a command in it, with a network, as apt-get needs it
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
remember() { # what there is before the hub
    files > "$folder/before"
    packages > "$folder/packages"
}
nothing_left() { # the packages that came since are taken away, then all must be as it was
    mapfile -t new < <(packages | comm -13 "$folder/packages" -)
    [ ${#new[@]} = 0 ] || inside apt-get purge -y -qq "${new[@]}" >/dev/null
    files > "$folder/after"
    diff "$folder/before" "$folder/after" || fail "these files differ"
}

# The project's own sentences, or one in EVERY, for the root and read here: what they mean to this machine is the measure.
sentences() {
    cp "$here/tests/data/own_homes.json" "$root/mnt/"
    awk -v every="${EVERY:-1}" '(NR - 1) % every == 0' "$here/tests/data/own_set.jsonl" > "$folder/said.jsonl"
    (cd "$here" && "$python" -m hub understand --home tests/data/own_homes.json) < "$folder/said.jsonl" > "$folder/here.jsonl"
}
# What they mean there, against that: outcomes and actions equal, one by one. Words in front: the environment.
same_meaning() {
    alone env "$@" hub understand --home /mnt/own_homes.json < "$folder/said.jsonl" > "$folder/there.jsonl"
    "$python" - "$folder/here.jsonl" "$folder/there.jsonl" <<'PYTHON'
import json, statistics, sys
one, other = ([json.loads(line) for line in open(name, encoding="utf-8")] for name in sys.argv[1:])
parts = ("id", "outcome", "actions")
pairs = list(zip(one, other))
unlike = [(a, b) for a, b in pairs if [a[part] for part in parts] != [b[part] for part in parts]]
for a, b in unlike:
    print("unlike:", *(json.dumps([x["confidence"], *(x[part] for part in parts)]) for x in (a, b)), sep="\n  ")
apart = max((abs(a["confidence"] - b["confidence"]) for a, b in pairs), default=0)
print(f"{len(one)} sentences here, {len(other)} there: {len(unlike)} with other actions or another outcome;", end=" ")
print(f"confidence differs by at most {apart:.4f}; median {statistics.median(x['ms'] for x in other):.1f} ms")
sys.exit(bool(unlike) or not one or len(one) != len(other))
PYTHON
}
