#!/usr/bin/env bash
# The tests talk to a real broker. Installed from Debian's packages where that is allowed, else asked for.
set -euo pipefail
PATH=$PATH:/usr/sbin
command -v mosquitto >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing mosquitto for the tests"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mosquitto >/dev/null
else
    echo "The tests need the mosquitto broker: sudo apt-get install mosquitto" >&2
    exit 1
fi
