"""Names on the local network (zeroconf, mDNS): ours is announced, so that Home Assistant finds the hub by itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from hub import HubError

KIND = "_wyoming._tcp.local."


class AnnounceError(HubError):
    """Nothing can be announced or found on this network; the text says why."""


@asynccontextmanager
async def announced(name: str, address: str, port: int) -> AsyncIterator[str]:
    """The service, announced under this name, or a similar one where another has it; gives the name it got.

    0.0.0.0 stands for all addresses of this machine. Raises AnnounceError.
    """
    zeroconf = _zeroconf()
    addresses = [address] if not ip_address(address).is_unspecified else own_addresses()
    server = f"{socket.gethostname().partition('.')[0]}.local."
    entry = zeroconf.ServiceInfo(KIND, f"{name}.{KIND}", port, server=server, parsed_addresses=addresses)
    daemon = await _open(zeroconf, addresses)
    try:
        try:
            await (await daemon.async_register_service(entry, allow_name_change=True))
        except (zeroconf.Error, OSError) as error:
            raise AnnounceError(f"{name} cannot be announced ({error or type(error).__name__})") from None
        yield str(entry.name).removesuffix(f".{KIND}")
    finally:
        await daemon.async_close()  # which takes the name back; others would keep it for an hour


def own_addresses() -> list[str]:
    """The addresses of this machine that others may know."""
    import ifaddr  # which zeroconf brings with it

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return [ip for ip in found if not ip_address(ip).is_loopback] or ["127.0.0.1"]


async def _open(zeroconf: Any, addresses: list[str]) -> Any:
    try:
        return zeroconf.asyncio.AsyncZeroconf(interfaces=addresses)
    except (zeroconf.Error, OSError) as error:
        raise AnnounceError(f"nobody can be told on {', '.join(addresses)} ({error})") from None


def _zeroconf() -> Any:
    try:
        import zeroconf
        import zeroconf.asyncio
    except ImportError:
        raise AnnounceError("announcing needs zeroconf: pip install 'homeward-hub[wyoming]'") from None
    return zeroconf
