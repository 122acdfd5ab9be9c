"""Groups, which can what their members can, and the scenes that groups and devices keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from devices.command import Action
from devices.conventions.values import is_topic, items, mapping, number, spoken, text
from devices.conventions.zigbee2mqtt.acting import ACTING
from devices.conventions.zigbee2mqtt.entity import Bridged, ZigbeeEntity, made
from devices.conventions.zigbee2mqtt.naming import Name
from devices.conventions.zigbee2mqtt.part import MOST_PARTS, Feature, Part, Said, exact
from devices.device import Kind

MOST_MEMBERS = 1_000
_LAMPS = frozenset({Kind.LIGHT, Kind.SWITCH})


def group(base: str, said: Said, devices: Mapping[str, Bridged]) -> Iterator[ZigbeeEntity]:
    """The group as one device, where its members have something in common, and its scenes."""
    friendly, id = exact(said.get("friendly_name")), number(said.get("id"))
    if friendly is None or id is None or not is_topic(friendly) or not friendly.strip():
        return
    name, mark = Name(friendly), f"group_{base}_{int(id)}"
    own = frozenset({f"{base}/{friendly}/set"})
    members = dict(_members(said, devices))
    part = _common(list(members.values()))
    if part is not None:
        part.name, part.aliases = name.part("")
        part.area, part.floor = name.area, name.floor
        yield made(base, friendly, part.id(mark), part, own, tuple(members))
    yield from _scenes(base, name, mark, own, items(said.get("scenes")))


def scenes(base: str, bridged: Bridged) -> Iterator[ZigbeeEntity]:
    """The scenes that the device itself keeps."""
    own = frozenset({bridged.address, f"zigbee2mqtt_{bridged.address}", f"{base}/{bridged.friendly}/set"})
    yield from _scenes(base, Name(bridged.friendly), f"{bridged.address}_scene", own, bridged.scenes)


def _members(said: Said, devices: Mapping[str, Bridged]) -> Iterator[tuple[str, Part]]:
    """The parts that are in the group, by their ids: of a device with several, the one at the member's end point."""
    for member in map(mapping, items(said.get("members"))[:MOST_MEMBERS]):
        bridged = devices.get((text(member.get("ieee_address")) or "").lower())
        acting = [p for p in bridged.parts if p.kind in ACTING] if bridged is not None else []
        if bridged is None or not acting:
            continue
        at = number(member.get("endpoint"))
        endpoint = bridged.endpoints.get(int(at)) if at is not None else None
        part = next((p for p in acting if endpoint is not None and p.endpoint == endpoint), acting[0])
        yield part.id(bridged.address), part


def _common(members: Sequence[Part]) -> Part | None:
    """What all members can be told alike. Lamps and plugs are switched together; nothing else mixes."""
    kinds = {m.kind for m in members}
    if not kinds or (len(kinds) > 1 and not kinds <= _LAMPS):
        return None
    kind = kinds.pop() if len(kinds) == 1 else Kind.SWITCH
    shared = _own(members[0])
    for member in members[1:]:
        other = _own(member)
        shared = {name: f.shared(other[name]) for name, f in shared.items() if name in other}
    part = Part(kind, features=shared)
    ACTING[kind](part)
    return part if part.writes else None


def _own(part: Part) -> dict[str, Feature]:
    """The features under the keys of a group, which has no end points."""
    own = {name: f.ending(part.endpoint) for name, f in part.features.items()}
    if part.kind in _LAMPS and "state" in own:
        own["state"] = replace(own["state"], key="state")
    return own


def _scenes(base: str, name: Name, mark: str, own: frozenset[str], listed: Sequence[object]) -> Iterator[ZigbeeEntity]:
    seen: set[int] = set()
    for said in map(mapping, listed[:MOST_PARTS]):
        id, called = number(said.get("id")), text(said.get("name"))
        if id is None or called is None or not called.strip() or int(id) in seen:
            continue
        seen.add(int(id))
        part = Part(Kind.SCENE, spoken(called), aliases=(f"{name.called} {spoken(called)}",))
        part.area, part.floor = name.area, name.floor
        _recalls(part, int(id))
        yield made(base, name.friendly, part.id(f"{mark}_{int(id)}"), part, own | {f"{mark}_{int(id)}"})


def _recalls(part: Part, id: int) -> None:
    part.can(Action.ACTIVATE, lambda _, __: {"scene_recall": id})
