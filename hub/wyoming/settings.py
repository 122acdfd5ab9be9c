"""What of the hub is offered by the Wyoming protocol, where, and to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)


class WyomingSettings(BaseModel):
    """The address that is listened on, and who may come; the protocol itself knows neither passwords nor encryption."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    serve: bool = False
    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 10600
    peers: tuple[str, ...] = ()  # addresses and networks; those of this machine may always come
    connections: Annotated[int, Field(ge=2, le=256)] = 32
    announce: bool = True
    transcripts: Literal["handle", "intent"] = "handle"  # who acts on a sentence: the hub, or who sent it
    rooms: Mapping[str, str] = Field(default_factory=dict)  # Home Assistant's id of a device or satellite -> room
    satellites: Mapping[str, str] = Field(default_factory=dict)  # host:port -> room, "" for the one that it names
    find_satellites: bool = False

    @field_validator("address")
    @classmethod
    def _address(cls, text: str) -> str:
        try:
            return str(ip_address(text))
        except ValueError:
            raise ValueError("give an address of this machine, such as 192.0.2.5; 0.0.0.0 is all of them") from None

    @field_validator("peers")
    @classmethod
    def _networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        for peer in peers:
            try:
                ip_network(peer)
            except ValueError:
                raise ValueError(f"{peer} is neither an address nor a network such as 192.0.2.0/24") from None
        return peers

    @field_validator("satellites")
    @classmethod
    def _places(cls, satellites: Mapping[str, str]) -> Mapping[str, str]:
        for place in satellites:
            found = _PLACE.fullmatch(place)
            if found is None or not 0 < int(found[2]) < 65536:
                raise ValueError(f'{place} is no host and port; write it as "kitchen-satellite.local:10700"')
        return satellites

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.serve and self.reachable and not self.peers:
            raise ValueError(
                f'{self.address} can be reached from outside: list who may come, as peers = ["192.0.2.10"]'
            )
        if self.find_satellites and not self.peers:
            raise ValueError("only satellites that are peers are taken: list them, or their network, as peers")
        return self

    @property
    def drives(self) -> bool:
        """Whether there may be satellites to listen at."""
        return bool(self.satellites) or self.find_satellites

    @property
    def reachable(self) -> bool:
        """Whether others than this machine can come."""
        return not ip_address(self.address).is_loopback
