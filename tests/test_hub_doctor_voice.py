"""What `hub doctor` says of hearing and speaking: each fault planted once, on a sound card in software."""

from __future__ import annotations

from ctypes.util import find_library
from pathlib import Path

import pytest

from hub import doctor_voice, ears
from hub.finding import Finding, Level
from hub.settings import RoomSettings, Settings, VoiceSettings

for package in ("faster_whisper", "sounddevice", "soxr", "pymicro_wakeword"):
    pytest.importorskip(package, reason="the extra `voice` is not installed")
ALSA = Path("/usr/share/alsa/alsa.conf")
if find_library("portaudio") is None or not ALSA.exists():
    pytest.skip("there is no PortAudio or ALSA: apt-get install libportaudio2", allow_module_level=True)


@pytest.fixture(autouse=True)
def alsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A microphone called desk and a loudspeaker called shelf."""
    said = tmp_path / "said.raw"
    said.write_bytes(bytes(3200))
    (tmp_path / "asound.conf").write_text(
        f"<{ALSA}>\n"
        f'pcm.desk {{ type file slave.pcm null file "/dev/null" infile "{said}" format raw hint.show on }}\n'
        'pcm.shelf { type file slave.pcm null file "/dev/null" format raw hint.show on }\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))


def settings(folder: Path, room: RoomSettings | None, **voice: object) -> Settings:
    rooms = {} if room is None else {"Study": room}
    return Settings(
        state_folder=str(folder),
        voice=VoiceSettings.model_validate({"hearing": f"{folder}/ears", "rooms": rooms, **voice}),
    )


async def found(wanted: Settings) -> dict[str, Finding]:
    return {finding.about: finding async for finding in doctor_voice.findings(wanted)}


GOOD = RoomSettings(microphone="desk", loudspeaker="shelf")


async def test_who_only_types_is_told_no_more_than_that(tmp_path: Path) -> None:
    said = await found(settings(tmp_path, None))
    assert {about: finding.level for about, finding in said.items()} == {"hearing": Level.NOTE}


async def test_a_room_that_hears_and_speaks_is_well(tmp_path: Path) -> None:
    ears.write(tmp_path / "ears", "turn on the light")
    said = await found(settings(tmp_path, GOOD))
    voice = said.pop("voice")
    assert {about: finding.level for about, finding in said.items()} == dict.fromkeys(
        ("microphone", "wake word", "hearing", "speaker"), Level.FINE
    )
    assert said["microphone"].what == "Study: desk"
    assert voice.level is Level.FINE or "espeak-ng" in voice.mend


async def test_each_part_that_is_missing_is_named(tmp_path: Path) -> None:
    bad = RoomSettings(microphone="bathtub", loudspeaker="ceiling", wake_words={"hey_moon": 0.0})
    said = await found(settings(tmp_path, bad, voice=str(tmp_path / "none.onnx")))
    assert {finding.level for finding in said.values()} == {Level.WRONG}
    assert "no microphone 'bathtub'; there is: " in said["microphone"].what
    assert "no loudspeaker 'ceiling'" in said["speaker"].what
    assert "no such wake word" in said["wake word"].what
    assert "none.onnx" in said["voice"].what
    assert all(finding.mend for finding in said.values())
