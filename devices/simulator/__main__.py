"""The home in software on a broker of yours: python -m devices.simulator [HOST] [--port N] [--user NAME].

Where a user is named, the password is that of the variable MQTT_PASSWORD.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from devices.device import DeviceError
from devices.link import LinkSettings
from devices.simulator import Home


async def main() -> None:
    """Runs until it is interrupted. Raises LinkError."""
    parser = argparse.ArgumentParser(prog="python -m devices.simulator", description="A home in software.")
    parser.add_argument("host", nargs="?", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--user")
    asked = parser.parse_args()
    password = os.environ.get("MQTT_PASSWORD") if asked.user else None
    async with Home(LinkSettings(asked.host, asked.port, username=asked.user, password=password)) as home:
        print(f"{len(home.things)} devices are ready; Ctrl-C ends them.", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except DeviceError as error:
        sys.exit(f"simulator: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
