"""What a device exposes, taken out of its description, and the entity that is being made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from devices.command import NEEDS, Action, State, StateValue
from devices.conventions.values import items, mapping, number, span, text
from devices.device import Capability, Kind, Range

MOST_PARTS = 100  # of one device, and features of one part
MOST_WORDS = 200  # of one feature
SAYS, TAKES, TELLS = 1, 2, 4  # the bits of `access`: it is published, can be set, can be asked for

Said = Mapping[str, object]  # a JSON object
Changes = Mapping[str, StateValue]
Take = Callable[[Said, State], Changes]  # from a report, and what was known before it
Write = Callable[[StateValue | None, State], Said]  # the JSON to set; raises CannotDo
Scalar = str | bool | int | float


def exact(value: object) -> str | None:
    """A text that can be used as it stands; None where it would have to be cut or cleaned first."""
    return value if isinstance(value, str) and text(value) == value else None


@dataclass(frozen=True, slots=True)
class Feature:
    """One value of a device: the JSON key under which it goes, and what may be done with it."""

    name: str
    key: str
    access: int
    on: Scalar | None = None
    off: Scalar | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None
    words: tuple[str, ...] = ()

    @property
    def takes(self) -> bool:
        return bool(self.access & TAKES)

    @property
    def says(self) -> bool:
        return bool(self.access & SAYS)

    @property
    def tells(self) -> bool:
        return bool(self.access & TELLS)

    @property
    def range(self) -> Range | None:
        return span(self.low, self.high, self.step)

    def ending(self, endpoint: str | None) -> Feature:
        """The same value without the end point in its key."""
        return replace(self, key=self.key.removesuffix(f"_{endpoint}")) if endpoint else self

    def shared(self, other: Feature) -> Feature:
        """What both can."""
        lows = [f.low for f in (self, other) if f.low is not None]
        highs = [f.high for f in (self, other) if f.high is not None]
        return replace(
            self,
            access=self.access & other.access,
            low=max(lows, default=None),
            high=min(highs, default=None),
            words=tuple(w for w in self.words if w in other.words),
        )


def feature(said: Said) -> Feature | None:
    """The value that is described; None where it has no name."""
    name = exact(said.get("name"))
    key = exact(said.get("property")) or name
    if name is None or key is None:
        return None
    access = number(said.get("access", SAYS))
    return Feature(
        name=name,
        key=key,
        access=0 if access is None else int(access) & 7,
        on=_scalar(said.get("value_on")),
        off=_scalar(said.get("value_off")),
        low=number(said.get("value_min")),
        high=number(said.get("value_max")),
        step=number(said.get("value_step")),
        words=tuple(w for item in items(said.get("values"))[:MOST_WORDS] if (w := text(item)) is not None),
    )


def features(said: Said) -> Iterator[Feature]:
    """The values of a light, a lock and so on, in their order."""
    for entry in items(said.get("features"))[:MOST_PARTS]:
        found = feature(mapping(entry))
        if found is not None:
            yield found


def _scalar(value: object) -> Scalar | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if number(value) is not None else None
    return exact(value)


@dataclass(slots=True)
class Part:
    """One entity in the making. `mark` tells it from the others of its device."""

    kind: Kind
    name: str = ""
    mark: str = ""
    endpoint: str | None = None
    aliases: tuple[str, ...] = ()
    area: str | None = None
    floor: str | None = None
    device_class: str | None = None
    unit: str | None = None
    options: tuple[str, ...] = ()
    capabilities: set[Capability] = field(default_factory=set)
    limits: dict[Capability, Range] = field(default_factory=dict)
    takes: list[Take] = field(default_factory=list)
    writes: dict[Action, Write] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    features: dict[str, Feature] = field(default_factory=dict)  # by name

    @property
    def of_use(self) -> bool:
        return bool(self.takes or self.writes)

    def id(self, address: str) -> str:
        """The id of the device that this part of the address makes."""
        return "_".join(filter(None, (f"{self.kind.value}.{address}", self.mark)))

    def read(self, feature: Feature, take: Take) -> None:
        if feature.says:
            self.takes.append(take)
            self.capabilities.add(Capability.STATE)
        if feature.tells and feature.key not in self.asked:
            self.asked.append(feature.key)

    def can(self, action: Action, write: Write) -> None:
        self.capabilities.add(NEEDS[action])
        self.writes[action] = write

    def limit(self, capability: Capability, limits: Range | None) -> None:
        if limits is not None:
            self.limits[capability] = limits


# -- how values are taken out of a report


def binary(feature: Feature, on: Scalar, off: Scalar) -> Take:
    words = (
        (feature.on if feature.on is not None else on, True),
        (feature.off if feature.off is not None else off, False),
    )

    def take(said: Said, _: State) -> Changes:
        value = said.get(feature.key)
        for word, is_on in words:
            if value == word and isinstance(value, bool) == isinstance(word, bool):
                return {"on": is_on}
        return {}

    return take


def numeric(feature: Feature, key: str, convert: Callable[[float], StateValue]) -> Take:
    def take(said: Said, _: State) -> Changes:
        found = number(said.get(feature.key))
        return {} if found is None else {key: convert(found)}

    return take


def worded(feature: Feature, table: Mapping[str, Changes]) -> Take:
    return lambda said, _: table.get(text(said.get(feature.key)) or "", {})
