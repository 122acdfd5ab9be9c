"""Lights, which are announced in three schemas: a topic a value, one JSON object, or templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from devices.command import Action, State, StateValue
from devices.conventions import CannotDo, Message
from devices.conventions.home_assistant.entity import NOTHING, Config, Draft, Send, Unusable, words
from devices.conventions.values import (
    Color,
    color_of,
    color_of_hs,
    color_of_rgb,
    color_of_xy,
    kelvin,
    load,
    mapping,
    mired,
    number,
    rgb,
    span,
    tidy,
    wanted_color,
    wanted_number,
    wanted_share,
    xy,
)
from devices.device import Capability, Kind, Range
from devices.templates import Template, TemplateError

Changes = dict[str, StateValue]

FULL = 255.0  # of a brightness scale, where none is given
COLDEST, WARMEST = 153.0, 500.0  # mired, where no range is given


def light(config: Config) -> Draft:
    """A light of any schema."""
    schema = config.text("schema") or "default"
    build = _SCHEMAS.get(schema.lower())
    if build is None:
        raise Unusable(f"its schema {schema!r} is not known")
    draft = Draft(config, Kind.LIGHT)
    build(draft)
    return draft


# -- the default schema: a topic for each value


def _default(draft: Draft) -> None:
    config = draft.config
    on, off = config.payload("payload_on", "ON"), config.payload("payload_off", "OFF")
    draft.read("state_topic", "state_value_template", words({on: {"on": True}, off: {"on": False}}), "on")
    send = draft.sender("command_topic", "")
    if send is None:
        raise Unusable("it names no command_topic")
    dim = draft.sender("brightness_command_topic", "brightness_command_template")
    scale = _scale(config)
    lit = _lit(config, send(on), dim, scale)
    draft.can_switch(lambda state: lit((), state), lambda _: (send(off),))
    draft.read(
        "brightness_state_topic", "brightness_value_template", _number(lambda n: _bright(n, scale)), "brightness"
    )
    if dim is not None:
        _can_dim(draft, lambda share, state: lit((dim(_raw(share, scale)),), state, dims=True))
    _default_whites(draft, lit)
    _default_colors(draft, lit)


def _lit(config: Config, on: Message, dim: Send | None, scale: float) -> Callable[..., tuple[Message, ...]]:
    """What sets a style and switches on, in the order that the light wants."""
    order = config.text("on_command_type") or "last"

    def lit(style: tuple[Message, ...], state: State, dims: bool = False) -> tuple[Message, ...]:
        if order == "brightness" and dim is not None:
            share = state.get("brightness")
            level = share if isinstance(share, int | float) and share > 0 else 100
            return style if dims else (*style, dim(_raw(level, scale)))
        return (on, *style) if order == "first" else (*style, on)

    return lit


def _default_whites(draft: Draft, lit: Callable[..., tuple[Message, ...]]) -> None:
    in_kelvin = draft.config.flag("color_temp_kelvin")
    take = _number(lambda n: {} if (k := _kelvin(n, in_kelvin)) is None else {"kelvin": k})
    draft.read("color_temp_state_topic", "color_temp_value_template", take, "kelvin")
    send = draft.sender("color_temp_command_topic", "color_temp_command_template")
    if send is not None:
        _can_whiten(draft, lambda value, state: lit((send(_white(value, in_kelvin)),), state))


def _default_colors(draft: Draft, lit: Callable[..., tuple[Message, ...]]) -> None:
    for style, (parts, plain) in _STYLES.items():
        take = _color_take(plain)
        draft.read(f"{style}_state_topic", f"{style}_value_template", take, "color")
        send = draft.sender(f"{style}_command_topic", f"{style}_command_template")
        if send is None or Capability.COLOR in draft.capabilities:
            continue
        _can_color(draft, _default_color(send, parts, lit))


def _default_color(
    send: Send, parts: Callable[[Color], dict[str, float]], lit: Callable[..., tuple[Message, ...]]
) -> Callable[[Color, State], tuple[Message, ...]]:
    def write(color: Color, state: State) -> tuple[Message, ...]:
        values = parts(color)
        return lit((send(",".join(str(tidy(v)) for v in values.values()), **values),), state)

    return write


def _color_take(plain: Callable[..., Color | None]) -> Callable[[str, State], Changes]:
    def take(payload: str, state: State) -> Changes:
        parts = [number(part) for part in payload.split(",")]
        if len(parts) < 2 or any(part is None for part in parts):
            return {}
        try:
            color = plain(*parts)
        except TypeError:  # another count of numbers than this style has
            return {}
        return {} if color is None else {"color": color}

    return take


def _hs(color: Color) -> dict[str, float]:
    return {"hue": round(color[0], 2), "sat": round(color[1], 2)}


def _rgb(color: Color) -> dict[str, float]:
    return dict(zip(("red", "green", "blue"), rgb(color), strict=True))


def _rgbw(color: Color) -> dict[str, float]:
    return {**_rgb(color), "white": 0}


def _rgbww(color: Color) -> dict[str, float]:
    return {**_rgb(color), "cold_white": 0, "warm_white": 0}


def _xy(color: Color) -> dict[str, float]:
    return dict(zip(("x", "y"), xy(color), strict=True))


# How a colour is written in the default schema, the best first: to its parts, and back from the plain numbers.
_STYLES: Mapping[str, tuple[Callable[[Color], dict[str, float]], Callable[..., Color | None]]] = MappingProxyType(
    {
        "hs": (_hs, color_of_hs),
        "xy": (_xy, color_of_xy),
        "rgb": (_rgb, color_of_rgb),
        "rgbw": (_rgbw, lambda r, g, b, w: color_of_rgb(r, g, b)),
        "rgbww": (_rgbww, lambda r, g, b, c, w: color_of_rgb(r, g, b)),
    }
)


# -- the JSON schema: one object that holds what is known or wanted


def _json(draft: Draft) -> None:
    config = draft.config
    send = draft.sender("command_topic", "")
    if send is None:
        raise Unusable("it names no command_topic")
    modes = _modes(config)
    scale, in_kelvin = _scale(config), config.flag("color_temp_kelvin")

    def set_to(**values: object) -> tuple[Message, ...]:
        return (send(json.dumps({"state": "ON", **values})),)

    draft.can_switch(lambda _: set_to(), lambda _: (send(json.dumps({"state": "OFF"})),))
    keys = ["on"]
    if config.flag("brightness") or modes - {"onoff"}:
        keys.append("brightness")
        _can_dim(draft, lambda share, _: set_to(brightness=_raw(share, scale)))
    if "color_temp" in modes:
        keys.append("kelvin")
        _can_whiten(draft, lambda value, _: set_to(color_temp=_white(value, in_kelvin)))
    style = next((s for s in _JSON_COLORS if s in modes), None)
    if style is not None:
        keys.append("color")
        _can_color(draft, lambda color, _: set_to(color=_JSON_COLORS[style](color)))
    draft.read("state_topic", "value_template", _json_take(scale, in_kelvin), *keys)


def _modes(config: Config) -> frozenset[str]:
    """The colour modes; older announcements have a flag for each."""
    old = {mode for mode in ("color_temp", "hs", "rgb", "xy") if config.flag(mode)}
    return frozenset(config.words("supported_color_modes")) | old


def _json_take(scale: float, in_kelvin: bool) -> Callable[[str, State], Changes]:
    def take(payload: str, state: State) -> Changes:
        said = mapping(load(payload))
        changes: Changes = {}
        if said.get("state") in ("ON", "OFF"):
            changes["on"] = said["state"] == "ON"
        if (level := number(said.get("brightness"))) is not None:
            changes |= _bright(level, scale)
        mode = said.get("color_mode")
        if mode in (None, "color_temp") and (found := number(said.get("color_temp"))) is not None:
            value = _kelvin(found, in_kelvin)
            changes |= {} if value is None else {"kelvin": value}
        if mode != "color_temp" and (color := color_of(said.get("color"))) is not None:
            changes["color"] = color
        return changes

    return take


_JSON_COLORS: Mapping[str, Callable[[Color], dict[str, float]]] = MappingProxyType(
    {
        "hs": lambda color: {"h": round(color[0], 2), "s": round(color[1], 2)},
        "xy": _xy,
        "rgb": lambda color: dict(zip("rgb", rgb(color), strict=True)),
        "rgbw": lambda color: {**dict(zip("rgb", rgb(color), strict=True)), "w": 0},
        "rgbww": lambda color: {**dict(zip("rgb", rgb(color), strict=True)), "c": 0, "w": 0},
    }
)


# -- the template schema: one topic, and a template for each direction of each value


def _template(draft: Draft) -> None:
    config = draft.config
    on, off = (
        draft.sender("command_topic", "command_on_template"),
        draft.sender("command_topic", "command_off_template"),
    )
    given = {key for key in _READ_BY if key in config}
    takes = {key: template for key in _READ_BY if (template := config.template(key)) is not None}
    if "command_on_template" not in config or "command_off_template" not in config:
        raise Unusable("it names no command_on_template and command_off_template")
    if on is None or off is None:
        if config.topic("command_topic") is None:
            raise Unusable("it names no command_topic")
        return  # a template of it cannot be used: it can only be read, which its problems say

    in_kelvin = config.flag("color_temp_kelvin")

    def set_to(**values: object) -> tuple[Message, ...]:
        return (on("", state="on", **values),)

    draft.can_switch(lambda _: set_to(), lambda _: (off("", state="off"),))
    if "brightness_template" in given:
        _can_dim(draft, lambda share, _: set_to(brightness=_raw(share, FULL)))
    if "color_temp_template" in given:
        _can_whiten(draft, lambda value, _: set_to(color_temp=_white(value, in_kelvin)))
    if {"red_template", "green_template", "blue_template"} <= given:
        _can_color(draft, lambda color, _: set_to(**_rgb(color), **_hs(color)))
    if "state_template" in takes:
        keys = [key for name, key in _READ_BY.items() if name in takes]
        draft.read("state_topic", "", _template_take(takes, in_kelvin), *keys)


_READ_BY: Mapping[str, str] = MappingProxyType(
    {
        "state_template": "on",
        "brightness_template": "brightness",
        "color_temp_template": "kelvin",
        "red_template": "color",
        "green_template": "color",
        "blue_template": "color",
    }
)


def _template_take(takes: Mapping[str, Template], in_kelvin: bool) -> Callable[[str, State], Changes]:
    def read(name: str, payload: str) -> str | None:
        if name not in takes:
            return None
        try:
            found = takes[name].read(payload)
        except TemplateError:
            return None
        return None if found in NOTHING else found

    def take(payload: str, state: State) -> Changes:
        changes: Changes = {}
        if (said := read("state_template", payload)) in ("on", "off"):
            changes["on"] = said == "on"
        if (level := number(read("brightness_template", payload))) is not None:
            changes |= _bright(level, FULL)
        found = number(read("color_temp_template", payload))
        if found is not None and (white := _kelvin(found, in_kelvin)) is not None:
            changes["kelvin"] = white
        parts = [number(read(name, payload)) for name in ("red_template", "green_template", "blue_template")]
        red, green, blue = parts
        if red is not None and green is not None and blue is not None:
            color = color_of_rgb(red, green, blue)
            changes |= {} if color is None else {"color": color}
        return changes

    return take


_SCHEMAS: Mapping[str, Callable[[Draft], None]] = MappingProxyType(
    {"default": _default, "basic": _default, "json": _json, "template": _template}
)


# -- what all schemas share


def _can_dim(draft: Draft, write: Callable[[float, State], tuple[Message, ...]]) -> None:
    def dim(value: StateValue | None, state: State) -> tuple[Message, ...]:
        share = wanted_share(value)
        if share == 0:
            return draft.off(state)
        return write(share, state)

    draft.can(Action.SET_BRIGHTNESS, dim, "brightness")


def _can_whiten(draft: Draft, write: Callable[[float, State], tuple[Message, ...]]) -> None:
    limits = _white_limits(draft.config)
    draft.limit(Capability.COLOR_TEMP, limits)
    draft.can(Action.SET_COLOR_TEMP, lambda value, state: write(wanted_number(value, limits), state), "kelvin")


def _can_color(draft: Draft, write: Callable[[Color, State], tuple[Message, ...]]) -> None:
    draft.can(Action.SET_COLOR, lambda value, state: write(wanted_color(value), state), "color")


def _white_limits(config: Config) -> Range | None:
    coldest, warmest = config.number("min_mireds") or COLDEST, config.number("max_mireds") or WARMEST
    low, high = config.number("min_kelvin") or kelvin(warmest), config.number("max_kelvin") or kelvin(coldest)
    return span(low, high)


def _white(value: float, in_kelvin: bool) -> int:
    if value <= 0:
        raise CannotDo("it needs a colour temperature for that")
    return round(value) if in_kelvin else mired(value)


def _kelvin(found: float, in_kelvin: bool) -> int | None:
    if in_kelvin:
        return round(found) if 500 <= found <= 50_000 else None
    return kelvin(found)


def _scale(config: Config) -> float:
    given = config.number("brightness_scale")
    return given if given is not None and given >= 1 else FULL


def _raw(share: float, scale: float) -> int:
    """The brightness as it is sent; never nothing, which would be off."""
    return max(1, round(share * scale / 100))


def _bright(level: float, scale: float) -> Changes:
    return {"brightness": tidy(min(max(level / scale * 100, 0), 100), 1)}


def _number(changes: Callable[[float], Changes]) -> Callable[[str, State], Changes]:
    def take(payload: str, state: State) -> Changes:
        found = number(payload)
        return {} if found is None else changes(found)

    return take
