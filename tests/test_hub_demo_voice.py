"""The demo's commands aloud: said by a real voice, heard by ears that were written down, done by devices in software."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

for package in ("amqtt", "faster_whisper", "onnxruntime", "soxr"):
    pytest.importorskip(package, reason="the extras `demo` and `voice` are not installed")

from devices.simulator import Home  # noqa: E402 - after the check that it can be imported at all
from hub import demo, demo_voice, ears  # noqa: E402
from hub.daemon import opened, settled  # noqa: E402
from hub.reading import Lines  # noqa: E402
from hub.settings import Settings  # noqa: E402

SAYS = "turn on the bathroom light"
LINES = Lines({SAYS: "<turn_on><what> bathroom light"})


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_a_command_goes_from_a_voice_to_a_device_and_back(tmp_path: Path) -> None:
    ears.write(tmp_path / "ears", SAYS)
    said: list[str] = []
    async with (
        demo.broker() as address,
        Home(address) as home,
        opened(demo.inside(Settings(), address, str(tmp_path)), completer=LINES) as hub,
        demo_voice.speaking(hub, said.append, tmp_path / "ears") as ask,
    ):
        await settled(hub.link, hub.house)
        for reply in ("Bathroom light is on.", "Bathroom light is already on."):
            turn = await ask("please turn on the light in the bathroom")
            assert (turn.text, turn.reply, turn.confirmed) == (SAYS, reply, True)
        assert home.state("bathroom_light")["state"] == "ON"
        assert turn.spoken is not None
        assert turn.spoken.at["sound"] > turn.spoken.at["heard"] > turn.spoken.at["ended"]
        text = demo.told(turn, "as it was said")
    assert "said        as it was said\n    heard       turn on the bathroom light" in text
    assert "last word: " in text


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_what_is_not_believed_is_a_turn_too(tmp_path: Path) -> None:
    ears.write(tmp_path / "ears", SAYS, sure=0.0)
    async with (
        demo.broker() as address,
        opened(demo.inside(Settings(), address, str(tmp_path)), completer=LINES) as hub,
        demo_voice.speaking(hub, print, tmp_path / "ears") as ask,
    ):
        turn = await ask("turn it on")
    assert (turn.kind, turn.done) == ("refuse", False)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("espeak-ng"):
        assert demo_voice.missing(tmp_path) == "the ears of the demo are not made yet: python -m hub.make_ears --ship"
        ears.write(tmp_path / "ears", SAYS)
        assert demo_voice.missing(tmp_path / "ears") == ""
    monkeypatch.setenv("PATH", "")
    assert "apt-get install espeak-ng" in demo_voice.missing(tmp_path)


async def test_without_ears_the_commands_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_voice, "missing", lambda: "no ears")
    monkeypatch.setattr(demo, "SCRIPT", (SAYS,))
    said: list[str] = []
    assert await demo.demo(Settings(), talk=False, voice=True, completer=LINES, out=said.append) == 0
    assert "The commands are typed, not spoken: no ears" in said
    assert said[-1].strip() == "1 of 1 commands were confirmed."
