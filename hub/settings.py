"""One TOML file, one frozen Settings. A wrong file never starts anything: the error names the file, line and key."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from devices.house import Override, Overrides
from devices.link import LinkError, LinkSettings
from hub import HubError
from hub.forms import NEWEST, VERSION, FormError, brought, differs, form
from hub.pin import is_kept
from hub.wyoming.settings import WyomingSettings

SYSTEM_FILE = Path("/etc/hub/hub.toml")
VARIABLE = "HUB_CONFIG"

_STRICT = ConfigDict(extra="forbid", frozen=True)


class SettingsError(HubError):
    """The settings cannot be used; the text names the file, and the line and key where there is one."""


@dataclass(frozen=True, slots=True)
class BrokerSettings(LinkSettings):
    """`LinkSettings` as a table of the file: keys that it does not have are refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    port: Annotated[int, Field(gt=0, lt=65536)] = 1883
    keepalive: Annotated[int, Field(gt=0, lt=65536)] = 20

    def __post_init__(self) -> None:
        try:
            LinkSettings.__post_init__(self)
        except LinkError as error:
            raise ValueError(str(error)) from None  # which pydantic gathers with the others


@dataclass(frozen=True, slots=True)
class DeviceSettings(Override):
    """`Override` as a table of the file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class HouseSettings(BaseModel):
    """What the announcements do not say: rooms, their floors, and other names for devices."""

    model_config = _STRICT
    areas: tuple[str, ...] = ()
    floors: Mapping[str, str] = Field(default_factory=dict)  # area -> floor
    devices: Mapping[str, DeviceSettings] = Field(default_factory=dict)  # id or announced name -> what is different

    def overrides(self) -> Overrides:
        return Overrides(
            devices=MappingProxyType(dict(self.devices)),
            floors=MappingProxyType(dict(self.floors)),
            areas=self.areas,
        )


class ConventionSettings(BaseModel):
    """Which payload languages are listened to, and under which topics. An empty text or list turns one off."""

    model_config = _STRICT
    home_assistant: str = "homeassistant"  # the discovery prefix
    zigbee2mqtt: tuple[str, ...] = ("zigbee2mqtt",)  # the base topic of each bridge


class ModelSettings(BaseModel):
    """The language model that reads the sentences."""

    model_config = _STRICT
    file: str = "home"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    chat: str = ""


class SafetySettings(BaseModel):
    """How sure the model must be (the share of such readings that is right, 0 to 1) before something is done, and the PIN
    that has to be said before the house is opened.
    """

    model_config = _STRICT
    sure: Annotated[float, Field(ge=0, le=1)] = 0.2
    sure_to_unlock: Annotated[float, Field(ge=0, le=1)] = 0.5
    pin: Annotated[str, Field(repr=False)] = ""  # as hub.pin keeps one, never the digits

    @field_validator("pin")
    @classmethod
    def _kept(cls, pin: str) -> str:
        if pin and not is_kept(pin):
            raise ValueError("a PIN is not written here but set by: hub setup sensitive")
        return pin


WakeWords = Mapping[str, Annotated[float, Field(ge=0, lt=1)]]


class RoomSettings(BaseModel):
    """One place to hear and to speak at, with a microphone and a loudspeaker of this machine."""

    model_config = _STRICT
    room: str = ""  # where it stands; empty where the table is called as the room is
    microphone: str = ""
    loudspeaker: str = ""
    wake_words: WakeWords = Field(default_factory=dict)  # empty for those of [voice]


class VoiceSettings(BaseModel):
    """What the hub hears and speaks with, and how long it waits for whom; the times in seconds."""

    model_config = _STRICT
    microphone: str = ""  # of `hub listen`: the default one; or a part of its name, or its number
    hearing: str = "whisper-tiny.en"  # a folder; without a slash, one in the state folder's models
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] = "en"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    silence: Annotated[float, Field(ge=0.1, le=1.9)] = 0.38  # after the last word
    patience: Annotated[float, Field(ge=1, le=60)] = 5.0  # for the first one
    longest: Annotated[float, Field(ge=2, le=28)] = 15.0  # Whisper's window of 30, less what is kept around it
    answer_within: Annotated[float, Field(ge=1, le=60)] = 8.0  # after a question of the hub's
    wake_words: WakeWords = Field(default={"okay_nabu": 0.0})
    stop_words: tuple[str, ...] = ()  # models of the user's own that are listened for while the hub speaks
    voice: str = ""  # espeak-ng; or a Piper voice: the path of its .onnx file, or a name in the state folder's models
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    volume: Annotated[float, Field(ge=0, le=1)] = 1.0
    brief: bool = True
    quiet_hours: Annotated[str, Field(pattern=r"^(([01]?\d|2[0-3]):[0-5]\d-([01]?\d|2[0-3]):[0-5]\d)?$")] = ""
    at_night: Literal["chime", "nothing", "softly"] = "chime"
    rooms: Mapping[str, RoomSettings] = Field(default_factory=dict)

    @property
    def wanted(self) -> bool:
        """Whether `hub run` is to listen and speak at devices of this machine."""
        return bool(self.rooms)


class Settings(BaseModel):
    """Everything that is chosen once. `id` is the second level of the hub's own topics."""

    model_config = _STRICT
    version: Annotated[int, Field(ge=1, le=NEWEST)] = NEWEST
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "home"
    room: str = ""  # where a command was said that names no room and came without one
    state_folder: str = ""  # timers and lists; empty stands for the usual place
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    broker: BrokerSettings = BrokerSettings()
    conventions: ConventionSettings = ConventionSettings()
    house: HouseSettings = HouseSettings()
    model: ModelSettings = ModelSettings()
    safety: SafetySettings = SafetySettings()
    voice: VoiceSettings = VoiceSettings()
    wyoming: WyomingSettings = WyomingSettings()

    @property
    def listens(self) -> bool:
        """Whether `hub run` is to hear and speak anywhere, here or at satellites."""
        return self.voice.wanted or self.wyoming.drives

    def topic(self, last: str) -> str:
        """One of the hub's own topics: status, say or turn."""
        return f"hub/{self.id}/{last}"

    def folder(self) -> Path:
        """Where the state is kept: as set, or as systemd says, or as the desktop standard says."""
        if self.state_folder:
            return Path(self.state_folder).expanduser()
        if folder := os.environ.get("STATE_DIRECTORY"):
            return Path(folder.split(":")[0])
        return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "hub"


def find(given: Path | None = None) -> Path | None:
    """The file to read: the one given, that of HUB_CONFIG, the user's, the system's; None where there is none.

    Raises SettingsError where a file that was asked for by name is not there, or this user may not look for one.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        if not _is_file(named):
            raise SettingsError(f"{named}: there is no such settings file")
        return named
    return next((path for path in (user_file(), SYSTEM_FILE) if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """Raises SettingsError where this user may not even look."""
    try:
        return path.is_file()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be reached ({error.strerror}); run it again with sudo") from None


def user_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "hub" / "hub.toml"


def load(given: Path | None = None) -> Settings:
    """The settings of the file that `find` finds, or the defaults. Raises SettingsError."""
    path = find(given)
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from None
    return parse(text, str(path))


def older(path: Path) -> str:
    """What is to be said of the form of a file that `load` can read; "" where nothing in it is old."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return f"it is of form {form(table)}, and read as one of form {NEWEST}" if differs(table) else ""
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, FormError):
        return ""


def as_toml(shown: Mapping[str, object], table: str = "") -> str:
    """The settings as a TOML file has them; what is not set is left out."""
    plain = [f"{_key(key)} = {_value(v)}" for key, v in shown.items() if v is not None and not isinstance(v, dict)]
    head = f"[{table}]\n" if table and (plain or not shown) else ""
    parts = [head + "\n".join(plain)] if head or plain else []
    for key, inner in shown.items():
        if isinstance(inner, dict):
            parts.append(as_toml(inner, f"{table}.{_key(key)}" if table else _key(key)))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # for texts, numbers, booleans and lists TOML and JSON agree


def parse(text: str, name: str) -> Settings:
    """The settings in the TOML `text` of the file `name`, also where it is of an older form. Raises SettingsError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name}: this is not TOML: {error}") from None
    try:
        return Settings.model_validate(brought(table))
    except FormError as error:
        raise SettingsError(f"{name}, line {line_of(text, (VERSION,))}: {error}") from None
    except ValidationError as error:
        problems = [_problem(text, name, dict(p)) for p in error.errors()]
    raise SettingsError("\n".join(problems))


def _problem(text: str, name: str, problem: Mapping[str, object]) -> str:
    where = problem["loc"]
    path = tuple(str(part) for part in where) if isinstance(where, tuple) else ()
    kind = problem["type"]
    what = str(problem["msg"]).removeprefix("Value error, ")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        what = "there is no such setting"
    return f"{name}, line {line_of(text, path)}, {'.'.join(path)}: {what}"


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line, from 1, on which the key of this path stands, or the deepest table around it."""
    best, found = 0, 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            here = table = _keys(header[1])
        elif pair := re.match(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*'|\s*\.\s*)+?)\s*=", line):
            here = (*table, *_keys(pair[1]))
        else:
            continue
        if here == path[: len(here)] and len(here) > best:
            best, found = len(here), number
    return found


def _keys(dotted: str) -> tuple[str, ...]:
    """The parts of a TOML key such as `house.devices."Lamp 2"`."""
    return tuple(bare or one or two for bare, one, two in re.findall(r"([\w-]+)|\"([^\"]*)\"|'([^']*)'", dotted))
