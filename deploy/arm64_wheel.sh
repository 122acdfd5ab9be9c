#!/usr/bin/env bash
# Compiles llama-cpp-python for 64-bit ARM on a PC, as a wheel: arm64_wheel.sh FOLDER [FEATURES]
# FEATURES are words of the board's /proc/cpuinfo: asimd, which every board has (and which is taken where nothing is said);
# "asimd asimddp asimdhp" for a Raspberry Pi 5 or a Jetson Orin. Needs Debian's g++-aarch64-linux-gnu.
# Then `hub bundle FOLDER/.. --machine aarch64`, where FOLDER is the `wheels` of a bundle.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(readlink -m -- "${1:?arm64_wheel.sh FOLDER [FEATURES]}") features=${2:-asimd}
python=${PYTHON:-$here/.venv/bin/python}
command -v aarch64-linux-gnu-g++ >/dev/null || { echo "apt-get install g++-aarch64-linux-gnu" >&2; exit 1; }
wanted=$(sed -n 's/.*"\(llama-cpp-python==[^"]*\)".*/\1/p' "$here/pyproject.toml")

board=$(mktemp -d)
trap 'rm -rf "$board"' EXIT
mkdir "$board/proc"
printf 'Features\t: %s\n' "$features" > "$board/proc/cpuinfo"
flags=$(bash "$here/deploy/llama_flags.sh" "$board")
flags+=" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64"
flags+=" -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++"
echo "$wanted for 64-bit ARM: $flags"
# The name of the platform, by which the wheel is called, is that of the board. No wheel of another board is taken from pip's cache.
_PYTHON_HOST_PLATFORM=linux-aarch64 CMAKE_ARGS=$flags "$python" -m pip --disable-pip-version-check wheel --no-deps \
    --no-cache-dir --no-binary llama-cpp-python --progress-bar off --wheel-dir "$folder" "$wanted"
