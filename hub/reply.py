"""What is said back, in one sentence or two. Pure. A thing is called done only where its own report said so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from devices.command import Action, Command, State, StateValue
from devices.control import Outcome, Report
from devices.device import Capability, Device, Kind
from intents.intent import Because, Trouble

SEVERAL = 4  # names in one breath; more become a number, because nobody listens to twelve names

# What a thing is once it has obeyed; {} is the value.
BECOMES: Mapping[Action, str] = MappingProxyType(
    {
        Action.TURN_ON: "on",
        Action.TURN_OFF: "off",
        Action.TOGGLE: "switched over",
        Action.ACTIVATE: "started",
        Action.SET_BRIGHTNESS: "at {} percent",
        Action.SET_COLOR: "in the new color",
        Action.SET_COLOR_TEMP: "at {} kelvin",
        Action.OPEN: "open",
        Action.CLOSE: "closed",
        Action.SET_POSITION: "{} percent open",
        Action.LOCK: "locked",
        Action.UNLOCK: "unlocked",
        Action.SET_TEMPERATURE: "set to {} degrees",
        Action.SET_MODE: "set to {}",
        Action.SET_FAN_SPEED: "at {} percent",
        Action.SET_SWING: "set to {}",
        Action.SET_HUMIDITY: "set to {} percent",
        Action.SET_INTENSITY: "set to {}",
        Action.SET_INTERVAL: "set to {}",
        Action.SET_VOLUME: "at volume {}",
        Action.MUTE: "muted",
        Action.UNMUTE: "not muted any more",
        Action.MEDIA_PLAY: "playing",
        Action.MEDIA_PAUSE: "paused",
        Action.MEDIA_STOP: "stopped",
        Action.MEDIA_NEXT: "at the next one",
        Action.MEDIA_PREVIOUS: "at the previous one",
        Action.VACUUM_START: "cleaning",
        Action.VACUUM_DOCK: "on its way back",
        Action.VACUUM_PAUSE: "paused",
        Action.VACUUM_STOP: "stopped",
        Action.MOWER_START: "mowing",
        Action.MOWER_DOCK: "on its way back",
        Action.SET_NUMBER: "set to {}",
        Action.SELECT_OPTION: "set to {}",
    }
)

_COLORS: tuple[tuple[float, str], ...] = (
    *((15, "red"), (45, "orange"), (70, "yellow"), (160, "green"), (200, "turquoise")),
    *((255, "blue"), (290, "purple"), (340, "pink"), (360, "red")),
)

# How a binary sensor of a device class puts it: on, off.
_BINARY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "door": ("open", "closed"),
        "window": ("open", "closed"),
        "garage_door": ("open", "closed"),
        "opening": ("open", "closed"),
        "lock": ("unlocked", "locked"),
        "motion": ("detecting motion", "detecting no motion"),
        "occupancy": ("occupied", "not occupied"),
        "presence": ("at home", "away"),
        "moisture": ("wet", "dry"),
        "smoke": ("detecting smoke", "detecting no smoke"),
        "gas": ("detecting gas", "detecting no gas"),
        "carbon_monoxide": ("detecting carbon monoxide", "detecting no carbon monoxide"),
        "battery": ("low on battery", "well charged"),
        "battery_charging": ("charging", "not charging"),
        "connectivity": ("connected", "not connected"),
        "plug": ("plugged in", "unplugged"),
        "problem": ("reporting a problem", "reporting no problem"),
        "running": ("running", "not running"),
        "tamper": ("tampered with", "not tampered with"),
        "vibration": ("vibrating", "still"),
        "cold": ("cold", "not cold"),
        "heat": ("hot", "not hot"),
        "light": ("in the light", "in the dark"),
        "moving": ("moving", "still"),
        "power": ("under power", "without power"),
        "safety": ("unsafe", "safe"),
        "sound": ("detecting sound", "detecting no sound"),
        "update": ("waiting for an update", "up to date"),
    }
)


def reports(made: Sequence[Report], devices: Mapping[str, Device]) -> str:
    """What came of the orders; those that came to the same are said together."""
    grouped: dict[tuple[object, ...], list[Report]] = {}
    for report in made:
        by_reason = report.reason if report.outcome in _REASONED else None
        key = (report.outcome, report.command.action, report.command.value, by_reason)
        grouped.setdefault(key, []).append(report)
    return " ".join(_SENTENCES[group[0].outcome](group, devices) for group in grouped.values())


def becomes(command: Command) -> str:
    """`on`, `at 40 percent`, `red`: what the thing is when the command is done."""
    if command.action is Action.SET_COLOR and isinstance(command.value, tuple):
        return color(command.value)
    if command.value is None and "{}" in BECOMES[command.action]:
        return "changed"
    return BECOMES[command.action].format(value(command.value) if command.value is not None else "")


def color(hue_saturation: tuple[float, float]) -> str:
    hue, saturation = hue_saturation
    if saturation < 15:
        return "white"
    return next(name for limit, name in _COLORS if hue % 360 <= limit)


def value(said: StateValue) -> str:
    """A state's value as it is spoken: no `.0`, no underscores."""
    if isinstance(said, bool):
        return "on" if said else "off"
    if isinstance(said, int | float):
        return f"{round(said, 1):g}"
    if isinstance(said, tuple):
        return color(said)
    return said.replace("_", " ")


def names(devices: Sequence[Device]) -> str:
    """The devices in one breath: `Desk lamp and Fan`, or `6 lights`."""
    if len(devices) > SEVERAL:
        kinds = {d.kind for d in devices}
        return f"{len(devices)} {_plural(kinds.pop()) if len(kinds) == 1 else 'devices'}"
    return listed([_name(d, devices) for d in devices])


def _name(device: Device, among: Sequence[Device]) -> str:
    """With the room where two are called the same."""
    alike = sum(d.name.casefold() == device.name.casefold() for d in among) > 1
    return f"{device.name} in the {device.area.lower()}" if alike and device.area else device.name


def listed(parts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _plural(kind: Kind) -> str:
    word = kind.value.replace("_", " ")
    return word + ("es" if word.endswith(("s", "x", "ch")) else "s")


def are(devices: Sequence[Device]) -> str:
    """`is` or `are`: blinds and curtains are many although they are one device."""
    if len(devices) != 1:
        return "are"
    word = devices[0].name.split()[-1].lower()
    return "are" if word.endswith("s") and not word.endswith(("ss", "us", "is")) else "is"


def first_up(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _of(group: Sequence[Report], devices: Mapping[str, Device]) -> list[Device]:
    known = {r.command.device_id: devices.get(r.command.device_id) for r in group}
    return [d for d in known.values() if d is not None]


def _it(found: Sequence[Device]) -> str:
    return names(found) if found else "it"


def _confirmed(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    found = _of(group, devices)
    return first_up(f"{_it(found)} {are(found)} {becomes(group[0].command)}.")


def _already(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    found = _of(group, devices)
    return first_up(f"{_it(found)} {are(found)} already {becomes(group[0].command)}.")


def _accepted(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    found = _of(group, devices)
    reports_back = "does not report back" if are(found) == "is" else "do not report back"
    return first_up(f"I told {_it(found)}, but {'it' if are(found) == 'is' else 'they'} {reports_back}.")


def _no_answer(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    found = _of(group, devices)
    it = "it is" if are(found) == "is" else "they are"
    return first_up(f"{_it(found)} did not confirm it, so I do not know whether {it} {becomes(group[0].command)}.")


def _unavailable(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    return _because(group, devices, "I could not reach {}")


def _cannot(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    return _because(group, devices, "{} cannot do that")


def _rejected(group: Sequence[Report], devices: Mapping[str, Device]) -> str:
    return _because(group, devices, "{} refused")


def _because(group: Sequence[Report], devices: Mapping[str, Device], what: str) -> str:
    """The sentence, with the reason behind it where that says more."""
    found = _of(group, devices)
    reason = (group[0].reason or "").strip().rstrip(".")
    sentence = first_up(what.format(_it(found)))
    if not reason:
        return f"{sentence}."
    if any(reason.casefold().startswith(d.name.casefold()) for d in found) and len(found) == 1:
        return f"{reason}."
    return f"{sentence}: {reason}."


_Phrase = Callable[[Sequence[Report], Mapping[str, Device]], str]
_REASONED = frozenset({Outcome.UNAVAILABLE, Outcome.CANNOT_DO, Outcome.REJECTED})
_SENTENCES: Mapping[Outcome, _Phrase] = MappingProxyType(
    {
        Outcome.CONFIRMED: _confirmed,
        Outcome.ALREADY_SO: _already,
        Outcome.ACCEPTED: _accepted,
        Outcome.NO_ANSWER: _no_answer,
        Outcome.UNAVAILABLE: _unavailable,
        Outcome.CANNOT_DO: _cannot,
        Outcome.REJECTED: _rejected,
    }
)


# -- answers to questions


def condition(device: Device, state: State) -> str | None:
    """What a device is like now, as the end of `it is ...`; None where it has not said."""
    if device.kind is Kind.BINARY_SENSOR:
        return _binary(device, state)
    if "lock" in state:
        return value(state["lock"])
    if "position" in state and device.can(Capability.OPEN_CLOSE):
        return _opened(state["position"])
    if device.kind is Kind.CLIMATE:
        return _climate(state)
    for key in ("vacuum", "mower", "playback"):
        if key in state:
            return value(state[key])
    if "value" in state:
        return f"{value(state['value'])}{_unit(device)}"
    return _switched(state)


def _switched(state: State) -> str | None:
    on = state.get("on")
    if on is None:
        return None
    brightness, speed = state.get("brightness"), state.get("fan_speed")
    level = brightness if brightness is not None else speed
    if on and isinstance(level, int | float) and level:
        return f"on at {value(level)} percent"
    return "on" if on else "off"


def _binary(device: Device, state: State) -> str | None:
    on = state.get("on", state.get("value"))
    if on is None:
        return None
    if not isinstance(on, bool):
        return value(on)
    return _BINARY.get(device.device_class or "", ("on", "off"))[0 if on else 1]


def _opened(position: StateValue) -> str:
    if position == 0:
        return "closed"
    return "open" if position == 100 else f"{value(position)} percent open"


def _climate(state: State) -> str | None:
    parts = []
    if "current_temperature" in state:
        parts.append(f"{value(state['current_temperature'])} degrees")
    if "temperature" in state:
        parts.append(f"set to {value(state['temperature'])}")
    if "mode" in state:
        parts.append(f"in mode {value(state['mode'])}")
    return listed(parts) or None


def _unit(device: Device) -> str:
    units = {"%": " percent", "°C": " degrees", "°F": " degrees Fahrenheit", None: ""}
    return units.get(device.unit, f" {device.unit}")


def is_so(device: Device, state: State, asked: str) -> bool | None:
    """Whether the device is `asked` ("on", "open", "locked"); None where that cannot be told."""
    word = asked.strip().lower()
    if word in ("on", "off"):
        on = state.get("on")
        return None if on is None else bool(on) is (word == "on")
    if word in ("open", "closed", "shut", "opened") and isinstance(state.get("position"), int | float):
        return (state["position"] != 0) is word.startswith("open")
    now = condition(device, state)
    if now is None:
        return None
    word = {"shut": "closed", "opened": "open"}.get(word, word)
    return now == word or now.startswith(f"{word} ")


def states(asked: Sequence[tuple[Device, State]], word: str = "", quantity: str = "") -> str:
    """The answer to a question about these devices; `word` is the state and `quantity` what else was asked after."""
    if not asked:
        return "I do not know that."
    if quantity and (measured := _measured(asked, quantity)):
        return measured
    if word:
        answers = [(d, is_so(d, s, word)) for d, s in asked]
        if any(a is not None for _, a in answers):
            return _yes_or_no(asked, [(d, a) for d, a in answers if a is not None], word)
    told = [(d, condition(d, s)) for d, s in asked]
    if len(asked) > SEVERAL:
        return _counted(told)
    return " ".join(_told(d, now, [d for d, _ in asked]) for d, now in told)


# The words of a question, and the key of a state that answers it.
_QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("temperature", "warm", "hot", "cold"), "current_temperature"),
        **dict.fromkeys(("brightness", "bright", "level"), "brightness"),
        **dict.fromkeys(("battery", "charge"), "battery"),
        **dict.fromkeys(("humidity", "humid"), "humidity"),
        **dict.fromkeys(("volume", "loud"), "volume"),
        **dict.fromkeys(("position",), "position"),
        **dict.fromkeys(("speed", "fast"), "fan_speed"),
        **dict.fromkeys(("mode",), "mode"),
        **dict.fromkeys(("color", "colour"), "color"),
    }
)


def _measured(asked: Sequence[tuple[Device, State]], quantity: str) -> str:
    """The quantity of each device that tells it, beside what else it tells; empty where none does."""
    key = next((k for word, k in _QUANTITIES.items() if word in quantity.lower().split()), quantity.lower())
    told = [f"{quantity} of {_name(d, [d for d, _ in asked])} is {value(s[key])}" for d, s in asked if key in s]
    return first_up(f"the {listed(told[:SEVERAL])}.") if told else ""


def _told(device: Device, now: str | None, among: Sequence[Device]) -> str:
    name = first_up(_name(device, among))
    if now is None:
        return f"{name} has not said how it is."
    return f"{name} {are([device])} {now}."


def _yes_or_no(asked: Sequence[tuple[Device, State]], answers: Sequence[tuple[Device, bool]], word: str) -> str:
    so = [d for d, yes in answers if yes]
    if len(answers) == 1:
        device, state = next((d, s) for d, s in asked if d is answers[0][0])
        return f"{'Yes' if so else 'No'}, {device.name} {are([device])} {condition(device, state)}."
    if not so:
        return f"No, none of the {len(answers)} {are([])} {word}."
    if len(so) == len(answers):
        return f"Yes, all {len(answers)} are {word}."
    return f"{len(so)} of {len(answers)} {'are' if len(so) > 1 else 'is'} {word}: {names(so)}."


def _counted(told: Sequence[tuple[Device, str | None]]) -> str:
    counts: dict[str, int] = {}
    for _, now in told:
        word = (now or "unknown").split(" at ")[0]
        counts[word] = counts.get(word, 0) + 1
    return (
        f"Of {len(told)}, {listed([f'{n} are {word}' if n > 1 else f'one is {word}' for word, n in counts.items()])}."
    )


def temperatures(asked: Iterable[tuple[Device, State]]) -> str:
    """`It is 21.5 degrees (Thermostat).` for each that knows a temperature."""
    told = []
    for device, state in asked:
        for key in ("current_temperature", "value", "temperature"):
            known = state.get(key)
            if isinstance(known, int | float) and not isinstance(known, bool):
                where = f" in the {device.area.lower()}" if device.area else ""
                told.append(f"it is {value(known)} degrees{where}")
                break
    told = list(dict.fromkeys(told))
    return first_up(listed(told[:SEVERAL])) + "." if told else "No thermometer has told me a temperature."


def clock_time(now: datetime) -> str:
    return f"It is {now.hour % 12 or 12}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}."


def date(now: datetime) -> str:
    return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."


def duration(seconds: float) -> str:
    """`1 hour and 30 minutes`, `45 seconds`; days are the largest."""
    left = max(0, round(seconds))
    parts = []
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {word}{'s' if count > 1 else ''}")
    return listed(parts) or "0 seconds"


# -- refusals and questions back


def locked_out(seconds: float) -> str:
    """Why no PIN is taken now, and for how long; the minutes are rounded up."""
    minutes = -(-seconds // 60)
    return f"There were too many wrong PINs. I take no other for {duration(60 * minutes)}."


def trouble(found: Trouble, devices: Mapping[str, Device]) -> str:
    """Why nothing is done, or what has to be known first."""
    return _TROUBLES[found.because](found, [devices[i] for i in found.candidates if i in devices])


def _which(found: Trouble, candidates: Sequence[Device]) -> str:
    if not candidates or len(candidates) > 2 * SEVERAL:
        return f"Which {found.words or 'one'} do you mean?"
    return f"Which one: {listed([_name(d, candidates) for d in candidates], 'or')}?"


def _no_such(found: Trouble, candidates: Sequence[Device]) -> str:
    return f"I know of no {_bare(found.words)} here." if found.words else "There is no such device here."


def _bare(said: str) -> str:
    """The phrase without its article: `the kitchen fan` -> `kitchen fan`."""
    first, _, rest = said.strip().partition(" ")
    return rest if rest and first in ("the", "a", "an", "my", "our", "any", "some", "all") else said.strip()


def _cannot_that(found: Trouble, candidates: Sequence[Device]) -> str:
    what = found.intent.replace("_", " ")
    if candidates:
        return first_up(f"{names(candidates)} cannot do that{f' ({what})' if what else ''}.")
    return first_up(f"{found.words or 'it'} cannot do that{f' ({what})' if what else ''}.")


def _bad_value(found: Trouble, candidates: Sequence[Device]) -> str:
    known = list(dict.fromkeys(option.replace("_", " ") for d in candidates for option in d.options))
    hint = f" It knows {listed(known[: 2 * SEVERAL])}." if known else ""
    return f"I cannot set that{f' to {found.words}' if found.words else ''}.{hint}"


_TROUBLES: Mapping[Because, Callable[[Trouble, Sequence[Device]], str]] = MappingProxyType(
    {
        Because.NOT_FOR_ME: lambda found, _: "That is nothing that I can do in this house.",
        Because.NOT_UNDERSTOOD: lambda found, _: "I did not understand that. Please say it in other words.",
        Because.NO_SUCH_DEVICE: _no_such,
        Because.NO_SUCH_ROOM: lambda found, _: f"I know of no {_bare(found.words) or 'such room'} in this house.",
        Because.CANNOT: _cannot_that,
        Because.WHICH: _which,
        Because.WHICH_ROOM: lambda found, _: "In which room?",
        Because.BAD_VALUE: _bad_value,
        Because.TOO_LONG: lambda found, _: "That was too long for me. Please say it in fewer words.",
    }
)
