#!/usr/bin/env bash
# Makes .venv with the project and these extras in it: environment.sh PYTHON EXTRAS
# llama.cpp is compiled from source, which takes minutes: what is being done is shown, with a clock.
set -euo pipefail
python=${1:-} extras=${2:-demo}
cd "$(dirname "$0")/.."

fail() { echo "$1" >&2; exit 1; }
[ -n "$python" ] || fail "Python 3.11 or newer is needed: apt-get install python3 python3-venv"
command -v cc >/dev/null || command -v gcc >/dev/null || fail "a C compiler is needed: apt-get install gcc g++"
[ -x .venv/bin/python ] || "$python" -m venv .venv || fail "python3-venv is needed: apt-get install python3-venv"

log=.venv/install.log
echo "Installing into .venv. llama.cpp is built from source if pip has no wheel of it yet: about 7 minutes on two cores."
(.venv/bin/python -m pip install --quiet --upgrade pip &&
 .venv/bin/python -m pip install --verbose --prefer-binary -e ".[$extras]") >"$log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
start=$SECONDS
while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    elapsed=$((SECONDS - start))
    if [ $((elapsed % 10)) -eq 0 ]; then
        doing=$(grep -aoE '\[[0-9]+/[0-9]+\] Building [^ ]+ object [^ ]+|Building wheel for [a-z-]+|Downloading [^ ]+|Installing collected packages|Collecting [a-z0-9-]+' "$log" | tail -n 1 || true)
        printf '  %4d s  %s\n' "$elapsed" "${doing:0:100}"
    fi
done
wait "$pid" || { tail -n 25 "$log" >&2; fail "The installation failed; the whole of its output is in $log"; }
printf '  %4d s  done\n' $((SECONDS - start))
