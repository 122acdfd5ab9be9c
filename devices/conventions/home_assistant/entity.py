"""What every announced entity is made of: what it reads, what it can be told, and how it is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from devices import templates
from devices.command import NEEDS, Action, Command, State, StateValue
from devices.conventions import CannotDo, Message
from devices.conventions.availability import Availability, Mode, Source
from devices.conventions.home_assistant.payload import Announcement, texts
from devices.conventions.values import decoded, is_topic, items, mapping, number, slug, span, spoken, text, tidy
from devices.device import Capability, Device, DeviceError, Kind, Range
from devices.templates import Template, TemplateError

Take = Callable[[str, State], Mapping[str, StateValue]]
Write = Callable[[StateValue | None, State], tuple[Message, ...]]
Send = Callable[..., Message]

LONGEST_NAME = 100
NOTHING = ("", "None")  # a report of these says that nothing is known

# Kinds of which one says the word for all of them at once ("the lights"): a setting must not be one of these.
_ACTED_ON = frozenset(Kind) - {Kind.SENSOR, Kind.BINARY_SENSOR, Kind.NUMBER, Kind.SELECT, Kind.BUTTON, Kind.PERSON}
# Entity names that say no more than the kind does, so that people say the device's name instead.
_GENERIC = frozenset(
    "blind blinds button cover curtain door fan garage_door heater humidifier lamp light lights lock mower none outlet "
    "plug power relay scene shade shutter siren state status switch thermostat vacuum valve".split()
)


class Config:
    """An entity's announcement, read without trust. What cannot be used in it is collected in `problems`."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.problems: list[str] = []

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def raw(self, key: str) -> object:
        return self._values.get(key)

    def is_null(self, key: str) -> bool:
        """It is written that there is none, which differs from nothing being written."""
        return key in self._values and self._values[key] is None

    def text(self, key: str) -> str | None:
        return text(self._values.get(key))

    def payload(self, key: str, default: str) -> str:
        """A payload, which may have been written as a number or boolean."""
        return text(self._values.get(key)) or default

    def number(self, key: str) -> float | None:
        return number(self._values.get(key))

    def flag(self, key: str) -> bool:
        value = self._values.get(key)
        return value.lower() in ("true", "yes", "on", "1") if isinstance(value, str) else value is True or value == 1

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(texts(self._values.get(key))))[:200]

    def topic(self, key: str) -> str | None:
        """The topic, where it is there and is one that can be used."""
        value = self._values.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and is_topic(value):
            return value
        self._problem(f"its {key} is not a topic")
        return None

    def template(self, key: str) -> Template | None:
        """The template, where it is there and can be used."""
        value = self._values.get(key)
        if value is None or value == "":
            return None
        try:
            return templates.compile(str(value))
        except TemplateError as error:
            self._problem(f"its {key} cannot be used: {error}")
            return None

    def usable(self, key: str) -> bool:
        """False for a template that is there but cannot be used."""
        return self._values.get(key) in (None, "") or self.template(key) is not None

    def command_topics(self) -> Iterator[str]:
        """Where it takes orders: no two devices share these."""
        for key, value in self._values.items():
            if key.endswith("command_topic") and isinstance(value, str) and value:
                yield value

    def _problem(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Read:
    """One topic, the template that takes the report out of its payload, and what the report changes."""

    topic: str
    template: Template | None
    take: Take

    def of(self, payload: str, state: State) -> Mapping[str, StateValue]:
        try:
            report = payload if self.template is None else self.template.read(payload)
        except TemplateError:
            return {}
        return {} if report in NOTHING else self.take(report, state)


class Unusable(DeviceError):
    """This announcement describes nothing that can be read or told; the text says what is missing."""


class Draft:
    """An entity in the making. What each family of platforms fills in."""

    def __init__(self, config: Config, kind: Kind) -> None:
        self.config = config
        self.kind = kind
        self.capabilities: set[Capability] = set()
        self.limits: dict[Capability, Range] = {}
        self.options: tuple[str, ...] = ()
        self.unit = config.text("unit_of_measurement")
        self.reads: list[Read] = []
        self.writes: dict[Action, Write] = {}
        self.reported: set[str] = set()  # state keys
        self.proven_by: dict[Action, str] = {}  # the state key that shows that it was done

    def read(self, topic_key: str, template_key: str, take: Take, *keys: str) -> bool:
        """Reads the topic of this key and says whether there is one; `keys` are those of the state that it tells."""
        topic = self.config.topic(topic_key)
        template = self.config.template(template_key)
        if topic is None or not self.config.usable(template_key):
            return False
        self.reads.append(Read(topic, template, take))
        self.reported.update(keys)
        return True

    def sender(self, topic_key: str, template_key: str) -> Send | None:
        """What makes the message for the topic of this key out of a value, or None where there is no such topic.

        Without a template the payload is the value as text; a template sees it as `value`, and the other variables.
        """
        topic = self.config.topic(topic_key)
        template = self.config.template(template_key)
        qos = self.config.number("qos")
        if topic is None or not self.config.usable(template_key):
            return None

        def send(value: object, **variables: object) -> Message:
            payload = str(value) if template is None else template.render({"value": value, **variables})
            return Message(topic, payload.encode(errors="replace"), qos=int(qos) if qos in (1.0, 2.0) else 0)

        return send

    def can(self, action: Action, write: Write, proven_by: str | None) -> None:
        self.capabilities.add(NEEDS[action])
        self.writes[action] = write
        if proven_by is not None:
            self.proven_by[action] = proven_by

    def can_switch(
        self, on: Callable[[State], tuple[Message, ...]], off: Callable[[State], tuple[Message, ...]]
    ) -> None:
        """Turning on and off, and so the other way round."""

        def toggle(_: StateValue | None, state: State) -> tuple[Message, ...]:
            if not isinstance(state.get("on"), bool):
                raise CannotDo("it has not said whether it is on")
            return off(state) if state["on"] else on(state)

        self.can(Action.TURN_ON, lambda _, state: on(state), "on")
        self.can(Action.TURN_OFF, lambda _, state: off(state), "on")
        self.can(Action.TOGGLE, toggle, "on")

    def off(self, state: State) -> tuple[Message, ...]:
        """What a speed or a brightness of nothing means. Raises CannotDo."""
        if Action.TURN_OFF not in self.writes:
            raise CannotDo("it cannot be switched off")
        return self.writes[Action.TURN_OFF](None, state)

    def limit(self, capability: Capability, limits: Range | None) -> None:
        if limits is not None:
            self.limits[capability] = limits

    def range(self, low: str, high: str, defaults: tuple[float, float], step: float | None = None) -> Range | None:
        """The range between the numbers of two keys."""
        given = [self.config.number(key) for key in (low, high)]
        lowest, highest = (usual if bound is None else bound for bound, usual in zip(given, defaults, strict=True))
        return span(lowest, highest, step)


def words(table: Mapping[str, Mapping[str, StateValue]]) -> Take:
    """Reads reports that are one of these words."""
    return lambda report, _: table.get(report, {})


def measured(key: str, convert: Callable[[float], StateValue]) -> Take:
    """Reads reports that are a number."""

    def take(report: str, _: State) -> Mapping[str, StateValue]:
        found = number(report)
        return {} if found is None else {key: convert(found)}

    return take


def saying(send: Send, word: str) -> Write:
    """Sends always the same."""
    return lambda _, __: (send(word),)


def switching(draft: Draft, state_template: str) -> None:
    """On and off by one topic, as most platforms have them."""
    config = draft.config
    on, off = config.payload("payload_on", "ON"), config.payload("payload_off", "OFF")
    table = {config.payload("state_on", on): {"on": True}, config.payload("state_off", off): {"on": False}}
    draft.read("state_topic", state_template, words(table), "on")
    send = draft.sender("command_topic", "command_template")
    if send is not None:
        draft.can_switch(lambda _: (send(on),), lambda _: (send(off),))
    elif not config.problems:
        raise Unusable("it names no command_topic")


@dataclass(frozen=True, slots=True)
class HomeAssistantEntity:
    """One entity that was announced in Home Assistant's way. Two are equal when they were announced equally."""

    device: Device
    identities: frozenset[str]
    announced: str
    optimistic: bool
    reads: tuple[Read, ...] = field(compare=False)
    writes: Mapping[Action, Write] = field(compare=False)
    availability: Availability = field(compare=False)

    @property
    def topics(self) -> frozenset[str]:
        return self.availability.topics | {r.topic for r in self.reads}

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        payload = decoded(message.payload)
        if payload is None:
            return {}
        changes: dict[str, StateValue] = {}
        for read in self.reads:
            if read.topic == message.topic:
                changes.update(read.of(payload, {**state, **changes}))
        available = self.availability.take(message.topic, payload)
        if available is not None:
            changes["available"] = available
        return changes

    def rejection(self, message: Message) -> str | None:
        return None  # the convention has no words for it

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        if self.device.read_only is not None:
            raise CannotDo(f"{self.device.name} can only be read: {self.device.read_only}")
        write = self.writes.get(command.action)
        if write is None:
            raise CannotDo(f"{self.device.name} cannot do that ({command.action.value.replace('_', ' ')})")
        try:
            return write(command.value, state)
        except TemplateError as error:
            raise CannotDo(f"{self.device.name} cannot be told that: {error}") from error

    def query(self) -> tuple[Message, ...]:
        return ()  # the convention has no question


def finished(draft: Draft, announcement: Announcement) -> HomeAssistantEntity:
    """The entity that a draft has become."""
    config, component = draft.config, announcement.component
    about = Config(mapping(config.raw("device")))
    availability = _availability(config)
    _try_out(draft)
    if draft.reads:
        draft.capabilities.add(Capability.STATE)
    name, aliases = _names(config, about, draft.kind, announcement.key)
    kind = Kind.SELECT if _is_setting(config) and draft.kind in _ACTED_ON else draft.kind
    device = Device(
        id=f"{component}.{slug(config.text('unique_id') or announcement.key)}",
        name=name,
        kind=kind,
        capabilities=frozenset(draft.capabilities),
        aliases=aliases,
        area=about.text("suggested_area"),
        device_class=config.text("device_class"),
        unit=draft.unit,
        options=draft.options,
        limits=MappingProxyType(draft.limits),
        read_only="; ".join(config.problems) or None,
    )
    return HomeAssistantEntity(
        device=device,
        identities=_identities(config, about),
        announced=json.dumps(dict(announcement.values), sort_keys=True, default=str),
        optimistic=config.flag("optimistic") or any(k not in draft.reported for k in draft.proven_by.values()),
        reads=tuple(draft.reads),
        writes=MappingProxyType(draft.writes),
        availability=availability,
    )


def _is_setting(config: Config) -> bool:
    """It is about the device itself, or Home Assistant hides it until somebody asks for it."""
    return config.text("entity_category") in ("config", "diagnostic") or config.raw("enabled_by_default") is False


# -- names


def _names(config: Config, about: Config, kind: Kind, key: str) -> tuple[str, tuple[str, ...]]:
    """The name that Home Assistant shows, and what else people will say."""
    device, entity = _name(about.text("name")), _name(config.text("name"))
    if entity is None and not config.is_null("name") and kind in (Kind.SENSOR, Kind.BINARY_SENSOR):
        entity = _name(config.text("device_class"))
    if device is None:
        return entity or _name(key) or key, ()
    if entity is None or device.casefold() == entity.casefold():
        return device, ()
    if f"{entity.casefold()} ".startswith(f"{device.casefold()} "):
        return entity, (device,) if kind in _ACTED_ON and _generic(entity[len(device) :]) else ()
    if f" {device.casefold()}".endswith(f" {entity.casefold()}"):
        return device, ()
    if kind not in _ACTED_ON or _is_setting(config):
        return f"{device} {entity}", ()
    return f"{device} {entity}", (device,) if _generic(entity) else (entity,)


def _name(value: str | None) -> str | None:
    return (spoken(value)[:LONGEST_NAME].strip() or None) if value else None


def _generic(words: str) -> bool:
    plain = words.strip().casefold().replace(" ", "_")
    return plain.rstrip("0123456789_") in _GENERIC and not any(c.isdigit() for c in plain)


# -- who it is


def _identities(config: Config, about: Config) -> frozenset[str]:
    found = {id.lower() for id in texts(about.raw("identifiers"))}
    for connection in items(about.raw("connections")):
        found |= {address.lower() for address in list(texts(connection))[1:]}
    if unique := config.text("unique_id"):
        found.add(unique.lower())
    return frozenset(found | set(config.command_topics()))


# -- whether it is there


def _availability(config: Config) -> Availability:
    lines = [line for line in items(config.raw("availability")) if isinstance(line, dict)]
    one = {
        key.removeprefix("availability_"): config.raw(key) for key in ("availability_topic", "availability_template")
    }
    one |= {key: config.raw(key) for key in ("payload_available", "payload_not_available")}
    sources: list[Source] = []
    for line in lines or [one]:
        part = Config({**line, "template": line.get("value_template") or line.get("template")})
        topic, template = part.topic("topic"), part.template("template")
        if topic is not None and part.usable("template"):
            sources.append(Source(topic, _presence(part, template)))
        config.problems += [f"{p} (availability)" for p in part.problems if "template" not in p]
    mode = config.text("availability_mode")
    return Availability(tuple(sources), Mode(mode) if mode in ("all", "any", "latest") else Mode.LATEST)


def _presence(config: Config, template: Template | None) -> Callable[[str], bool | None]:
    words = {
        config.payload("payload_not_available", "offline"): False,
        config.payload("payload_available", "online"): True,
    }

    def read(payload: str) -> bool | None:
        try:
            return words.get(payload if template is None else template.read(payload))
        except TemplateError:
            return None

    return read


# -- whether its command templates work


def _try_out(draft: Draft) -> None:
    """Renders every command once, so that one that fails is known before somebody asks for it."""
    state: dict[str, StateValue] = {"on": True, "brightness": 50}
    for action, write in draft.writes.items():
        try:
            write(_sample(action, draft), state)
        except CannotDo:
            continue
        except TemplateError as error:
            draft.config.problems.append(f"it cannot be told to {action.value.replace('_', ' ')}: {error}")
            return


def _sample(action: Action, draft: Draft) -> StateValue | None:
    if action is Action.SET_COLOR:
        return 120.0, 100.0
    if action in (Action.SET_MODE, Action.SELECT_OPTION):
        return draft.options[0] if draft.options else None
    limits = draft.limits.get(NEEDS[action])
    if limits is not None:
        return tidy(limits.low)
    return {Action.SET_COLOR_TEMP: 3000, Action.SET_TEMPERATURE: 20}.get(action, 50)
