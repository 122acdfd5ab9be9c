"""The hub is found by its name on the network, and forgotten when it ends; all of it on loopback."""

from __future__ import annotations

import asyncio
import sys

import pytest

pytest.importorskip("zeroconf", reason="the extra `wyoming` is not installed")

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from hub.wyoming.announce import KIND, AnnounceError, announced, own_addresses

HERE = "127.0.0.1"


async def found(zeroconf: AsyncZeroconf, name: str) -> AsyncServiceInfo | None:
    return await zeroconf.async_get_service_info(KIND, f"{name}.{KIND}", timeout=300)


async def test_it_is_found_while_it_is_there() -> None:
    async with AsyncZeroconf(interfaces=[HERE]) as somebody:
        async with announced("hub-test", HERE, 10600) as name:
            entry = await found(somebody, name)
            assert entry is not None
            assert (entry.parsed_addresses(), entry.port) == ([HERE], 10600)
        async with asyncio.timeout(30):
            while await found(somebody, name) is not None:
                pass


def test_own_addresses_are_those_that_others_can_reach() -> None:
    assert own_addresses()
    assert own_addresses() == ["127.0.0.1"] or not any(ip.startswith("127.") for ip in own_addresses())


async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(AnnounceError, match="pip install"):
        async with announced("hub-test", HERE, 10600):
            pass
