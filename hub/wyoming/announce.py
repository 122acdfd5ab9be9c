"""Names on the local network (zeroconf, mDNS): ours is announced, so that Home Assistant finds the hub by itself, and
satellites are found by theirs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Any

from hub import HubError

KIND = "_wyoming._tcp.local."
_WAITING = 100  # services that have appeared and were not asked yet for their address
_ASK_MS = 3000.0


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


async def appearing(addresses: Sequence[str] = ()) -> AsyncGenerator[tuple[str, int], None]:
    """The address and port of each service as it appears, for ever; one may come again. Looked for on these of our
    addresses, else on all. Raises AnnounceError.
    """
    zeroconf = _zeroconf()
    daemon = await _open(zeroconf, list(addresses) or own_addresses())
    names: asyncio.Queue[str] = asyncio.Queue(_WAITING)

    def heard(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if state_change.name != "Removed":
            with suppress(asyncio.QueueFull):
                names.put_nowait(name)

    try:
        browser = zeroconf.asyncio.AsyncServiceBrowser(daemon.zeroconf, KIND, handlers=[heard])
        try:
            while True:
                entry = await daemon.async_get_service_info(KIND, await names.get(), _ASK_MS)
                for host in entry.parsed_addresses(zeroconf.IPVersion.V4Only)[:1] if entry else ():
                    yield host, entry.port
        finally:
            await browser.async_cancel()
    finally:
        await daemon.async_close()


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
