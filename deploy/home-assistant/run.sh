#!/usr/bin/env bash
# Starts the hub inside Home Assistant's supervisor: the broker is the one that the supervisor names, the settings are in
# the add-on's folder, and everything in them but the broker is the user's own.
set -euo pipefail
config=/config/hub.toml
umask 077
mkdir -p /data/state
[ -e "$config" ] || printf 'state_folder = "/data/state"\n' > "$config"

answers=$(mktemp)
trap 'rm -f "$answers"' EXIT
# The token and the password go from the environment and the answer into the file, and never through a command line.
python3 - > "$answers" <<'PYTHON'
import json
import os
import urllib.request

asked = urllib.request.Request("http://supervisor/services/mqtt")
asked.add_header("Authorization", f"Bearer {os.environ['SUPERVISOR_TOKEN']}")
with urllib.request.urlopen(asked, timeout=20) as answer:
    said = json.load(answer)["data"]
print('[broker]\nwhere = "typed"')
for key, value in (("host", said["host"]), ("port", str(said["port"])), ("username", said.get("username") or "-")):
    print(f"{key} = {json.dumps(value)}")
print(f"password = {json.dumps(said.get('password') or '')}")
print(f"tls = {'true' if said.get('ssl') else 'false'}")
PYTHON
hub setup broker --answers "$answers" --config "$config"
rm -f "$answers"
exec hub run --config "$config"
