"""Brokers that announce themselves in the local network by mDNS (DNS-SD, `_mqtt._tcp` and `_secure-mqtt._tcp`).

The only file that looks for them. Without the package zeroconf nothing is found, and the address is typed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

SERVICES = {"_mqtt._tcp.local.": False, "_secure-mqtt._tcp.local.": True}  # and whether it is TLS
WITHIN = 2.0  # seconds; whoever is there answers within one


@dataclass(frozen=True, slots=True)
class Announced:
    """A broker that somebody announces."""

    name: str
    host: str
    port: int
    tls: bool


def brokers(within: float = WITHIN, interfaces: tuple[str, ...] = ()) -> tuple[Announced, ...]:
    """Those that answer in this time, on these interfaces (addresses; all where none is given). Never raises."""
    try:
        import zeroconf
    except ImportError:
        return ()
    names: set[tuple[str, str]] = set()
    came = threading.Event()

    def heard(zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        names.add((service_type, name))
        came.set()

    try:
        with zeroconf.Zeroconf(interfaces=list(interfaces) or zeroconf.InterfaceChoice.All) as network:
            ends = time.monotonic() + within
            zeroconf.ServiceBrowser(network, list(SERVICES), handlers=[heard])
            came.wait(within)  # then a little longer for the others
            time.sleep(min(max(0.0, ends - time.monotonic()), within / 4))
            found = [_resolved(network, kind, name) for kind, name in sorted(names)]
    except (OSError, zeroconf.Error):
        return ()
    return tuple(each for each in found if each is not None)


def _resolved(network: Any, kind: str, name: str) -> Announced | None:
    info = network.get_service_info(kind, name, 1000)
    if info is None or not info.port:
        return None
    addresses = info.parsed_addresses()
    host = (info.server or "").rstrip(".") or (addresses[0] if addresses else "")
    return Announced(name.removesuffix(f".{kind}"), host, info.port, SERVICES[kind]) if host else None
