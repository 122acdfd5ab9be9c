"""One spoken command through the real path: sound, end of speech, Whisper in its process, and the hub over a broker.

The voice is vowels made of harmonics, and the Whisper hears its own sentence whatever is said: what is tested is
everything around the two.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from devices.device import Capability, Device, Kind
from devices.house import Override
from devices.link import LinkSettings
from devices.simulator import Home
from hub import ears
from hub.listen import Listened, bias, first_utterance, folder, listen, meter, said, source, unseen
from hub.scripted import silent, spoken
from hub.settings import BrokerSettings, DeviceSettings, HouseSettings, Settings, VoiceSettings
from hub.sound import FRAME, RATE, Samples, SoundError
from hub.utterance import AFTER, BEFORE
from models import ModelError
from models.hearing import Heard
from models.vad import SECONDS, Patience, Phase, SpeechDetector

for package in ("faster_whisper", "onnxruntime", "soxr"):
    pytest.importorskip(package, reason="the extra `voice` is not installed")

SAYS = "turn on the bathroom light"


async def frames(samples: Samples) -> AsyncGenerator[Samples, None]:
    for at in range(0, len(samples) - FRAME + 1, FRAME):
        yield samples[at : at + FRAME]


def file_of(path: Path, samples: Samples, rate: int = RATE, channels: int = 1) -> Path:
    """A WAV file in which the samples are said at this rate, by repeating or leaving out."""
    at = np.arange(int(len(samples) * rate / RATE)) * RATE // rate
    with path.open("wb") as out, wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples[at], channels).tobytes())
    return path


# -- the utterance


async def test_an_utterance_is_cut_out_with_a_margin() -> None:
    levels: list[float] = []
    samples = spoken(2, before=3, after=3)
    utterance = await first_utterance(frames(samples), SpeechDetector(), Patience(), levels.append)
    assert utterance.phase is Phase.ENDED
    assert utterance.waited == pytest.approx(3000, abs=250)
    assert utterance.spoken == pytest.approx(2000, abs=300)
    assert 380 < utterance.decided < 420
    assert len(utterance.samples) / RATE == pytest.approx(utterance.spoken / 1000 + BEFORE + AFTER, abs=2 * SECONDS)
    assert levels[0] == -96
    assert max(levels) > -30
    assert len(levels) * FRAME < len(samples)  # what came after the end was not waited for


@pytest.mark.parametrize(
    ("samples", "phase"),
    [
        (silent(7), Phase.NOTHING),
        (silent(0), Phase.NOTHING),
        (np.concatenate([spoken(0.18, before=1.0)[: RATE + 1400], silent(6)]), Phase.NOTHING),
        (spoken(8, before=1.0, after=0), Phase.TOO_LONG),
        (spoken(1, before=1.0, after=0), Phase.ENDED),
    ],
    ids=["silence", "no sound at all", "a cough", "a television", "cut off behind the last word"],
)
async def test_what_is_no_utterance_is_none(samples: Samples, phase: Phase) -> None:
    utterance = await first_utterance(frames(samples), SpeechDetector(), Patience(longest=5), unseen)
    assert utterance.phase is phase
    assert bool(len(utterance.samples)) == (phase is Phase.ENDED)


async def test_who_speaks_at_once_is_heard_from_the_first_syllable() -> None:
    utterance = await first_utterance(frames(spoken(2, before=0)), SpeechDetector(), Patience(), unseen)
    assert utterance.phase is Phase.ENDED
    assert np.array_equal(utterance.samples, spoken(2, before=0)[: len(utterance.samples)])


# -- what is needed


def test_no_engine_is_loaded_with_it() -> None:
    engines = ("faster_whisper", "onnxruntime", "pymicro_wakeword", "piper", "sounddevice", "soxr", "ctranslate2")
    code = f"import sys, hub.listen, hub.ears, models.wake, models.voice; print([e for e in {engines} if e in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "[]", done.stderr


def test_the_names_of_the_home_come_with_its_rooms_first() -> None:
    settings = Settings(
        house=HouseSettings(
            areas=("Attic",),
            floors={"Kitchen": "Ground"},
            devices={"x": DeviceSettings(name="Corner lamp", aliases=("moon",))},
        )
    )
    devices = [
        Device("l", "Ceiling", Kind.LIGHT, frozenset({Capability.ON_OFF}), aliases=("top light",), area="Hall"),
        Device("s", "CPU load", Kind.SENSOR, frozenset(), read_only="a sensor"),
    ]
    assert bias(settings, devices) == ["Attic", "Kitchen", "Hall", "Corner lamp", "moon", "Ceiling", "top light"]
    assert isinstance(settings.house.devices["x"], Override)


def test_a_model_is_a_path_or_a_name_and_what_is_missing_is_said(tmp_path: Path) -> None:
    settings = Settings(state_folder=str(tmp_path))
    with pytest.raises(ModelError, match=r"models/whisper-tiny.en: .*; hub model fetch whisper-tiny.en"):
        folder(settings)
    with pytest.raises(ModelError, match=r"models/mine: .*\[voice\] hearing"):
        folder(settings.model_copy(update={"voice": VoiceSettings(hearing="mine")}))
    ears.write(tmp_path / "models" / "whisper-tiny.en", SAYS)
    assert folder(settings) == tmp_path / "models" / "whisper-tiny.en"
    elsewhere = settings.model_copy(update={"voice": VoiceSettings(hearing=f"{tmp_path}/models/whisper-tiny.en")})
    assert folder(elsewhere) == folder(settings)


async def test_raw_sound_is_only_what_is_said_to_be_raw(tmp_path: Path) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(np.repeat(spoken(before=1.0), 2).astype("<i4").tobytes())
    with pytest.raises(SoundError, match="not a WAV"):
        await anext(source(Settings(), raw))
    assert len(await anext(source(Settings(), raw, "48000/2/s32"))) == FRAME
    for wrong in ("fast", "48000/2/s32/1", "48000/x", "48000/2/s12", "1/1", "48000/0"):
        with pytest.raises(SoundError):
            source(Settings(), raw, wrong)


def test_what_came_of_it_is_shown_as_lines_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard(SAYS, -0.1, 0.01, 0.8, 30)
    listened = Listened("heard", "It is on.", {"speech": 1000.4, "hear": 35.6}, heard, SAYS, {"done": False})
    assert listened.as_text().splitlines() == [SAYS, "It is on.", "speech 1000 ms, hear 36 ms"]
    assert not listened.done
    shown = json.loads(json.dumps(listened.as_json()))
    assert (shown["text"], shown["heard"]["logprob"], shown["ms"]["hear"]) == (SAYS, -0.1, 35.6)
    assert Listened("heard", "", {}, heard).done
    assert not Listened("nothing", "I heard nothing.", {}).done
    meter(-30)
    assert capsys.readouterr().err.startswith("\r###")


# -- the whole path


class Address(Protocol):
    host: str
    port: int


Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Settings with a Whisper that always hears SAYS, and a broker that is not there."""

    def settings(broker: Address | None = None, **how: Any) -> Settings:
        ears.write(tmp_path / "models" / "whisper-tiny.en", SAYS, **how)
        address = BrokerSettings(broker.host, broker.port) if broker else BrokerSettings("127.0.0.1", 1)
        return Settings(state_folder=str(tmp_path), broker=address)

    return settings


async def test_what_was_said_is_heard(make: Make) -> None:
    listened = await listen(make(), frames(spoken(before=1.0)))
    assert (listened.outcome, listened.reply, listened.done) == ("heard", "", True)
    assert listened.heard is not None
    assert listened.heard.text == SAYS
    assert listened.ms.keys() == {"speech", "end", "hear"}


@pytest.mark.parametrize(
    ("samples", "how", "outcome", "reply"),
    [
        (silent(6), {}, "nothing", "I heard nothing."),
        (spoken(17, before=1.0, after=0), {}, "too long", "That was too long"),
        (spoken(before=1.0), {"sure": 0.2}, "doubtful", "too unsure"),
        (spoken(before=1.0), {"endless": True}, "doubtful", "it repeats itself"),
    ],
    ids=["silence", "ten minutes of speech", "an unsure text", "an endless text"],
)
async def test_what_is_no_command_is_never_said_to_the_hub(
    make: Make, samples: Samples, how: dict[str, Any], outcome: str, reply: str
) -> None:
    settings = make(**how)
    listened = await said(settings, await listen(settings, frames(samples)))  # a broker that is asked is an error
    assert listened.outcome == outcome
    assert reply in listened.reply
    assert listened.turn is None
    assert not listened.done


async def test_what_was_heard_is_done_and_confirmed(make: Make, broker: Address) -> None:
    settings = make(broker)
    async with Home(LinkSettings(broker.host, broker.port)) as home:
        listened = await said(settings, await listen(settings, frames(spoken(before=1.0))), "Bathroom")
        assert listened.reply == "Bathroom light is on."
        assert listened.done
        assert listened.turn is not None
        assert listened.turn["room"] == "Bathroom"
        assert listened.ms["say"] > 0
        assert home.state("bathroom_light")["state"] == "ON"


async def test_a_name_that_was_misheard_is_put_right(tmp_path: Path, broker: Address) -> None:
    ears.write(tmp_path / "models" / "whisper-tiny.en", "turn on the barfroom light")
    settings = Settings(state_folder=str(tmp_path), broker=BrokerSettings(broker.host, broker.port))
    async with Home(LinkSettings(broker.host, broker.port)):
        listened = await listen(settings, frames(spoken(before=1.0)))
    assert listened.heard is not None
    assert (listened.heard.text, listened.text) == ("turn on the barfroom light", SAYS)


# -- the command line


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def command(settings: Settings, folder: Path, *arguments: str) -> list[str]:
    config = folder / "hub.toml"
    address = f'[broker]\nhost = "{settings.broker.host}"\nport = {settings.broker.port}\n'
    config.write_text(f'state_folder = "{settings.state_folder}"\n{address}')
    return [sys.executable, "-m", "hub", "listen", *arguments, "--config", str(config)]


async def run_hub(line: list[str], given: bytes = b"") -> Ended:
    process = await asyncio.create_subprocess_exec(
        *line,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    out, err = await asyncio.wait_for(process.communicate(given), 60)
    assert b"Traceback" not in out + err
    return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (8_000, 1), (48_000, 2)])
async def test_a_file_of_any_rate_is_heard(make: Make, tmp_path: Path, rate: int, channels: int) -> None:
    file = file_of(tmp_path / "a.wav", spoken(before=1.0), rate, channels)
    ended = await run_hub(command(make(), tmp_path, str(file)))
    assert (ended.code, ended.err) == (0, "")
    text, times = ended.out.splitlines()
    assert text == SAYS
    assert times.startswith("speech 1")
    assert ", end 384 ms" in times


async def test_a_pipe_is_heard(make: Make, tmp_path: Path) -> None:
    ended = await run_hub(command(make(), tmp_path, "-", "--json"), spoken(before=1.0).tobytes())
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["text"] == SAYS


async def test_mistakes_are_one_line(make: Make, tmp_path: Path) -> None:
    good = file_of(tmp_path / "good.wav", spoken(before=1.0))
    broken = tmp_path / "broken.wav"
    broken.write_bytes(good.read_bytes()[:20_000])
    settings = make()
    none = Settings(state_folder=str(tmp_path / "nowhere"))
    for where, arguments, what in (
        (settings, [str(broken)], "seconds are missing"),
        (settings, [str(tmp_path / "none.wav")], "No such file"),
        (settings, [str(tmp_path)], "directory"),
        (settings, [str(good), "--raw", "x"], "48000/2/s32"),
        (none, [str(good)], "no such model for hearing"),
    ):
        ended = await run_hub(command(where, tmp_path, *arguments))
        assert (ended.code, ended.out) == (1, "")
        assert what in ended.err
        assert len(ended.err.splitlines()) == 1


async def test_ctrl_c_ends_it_and_its_child(make: Make, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = await asyncio.create_subprocess_exec(
        *command(make(), tmp_path, str(pipe)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    with await asyncio.to_thread(pipe.open, "wb", buffering=0) as file:  # which returns when it is listened to
        file.write(spoken(1, before=1.0, after=0).tobytes())
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := children.read_text().split()):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert not [pid for pid in found if Path(f"/proc/{pid}").exists()]
