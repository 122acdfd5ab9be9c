"""The hub at satellites: small real ones on loopback, made of the wyoming package's own server and events."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")
pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
pytest.importorskip("pymicro_wakeword", reason="the extra `voice` is not installed")
pytest.importorskip("soxr", reason="the extra `voice` is not installed")

from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info
from wyoming.info import Satellite as SatelliteInfo
from wyoming.ping import Ping, Pong
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.server import AsyncEventHandler, AsyncTcpServer
from wyoming.snd import Played
from wyoming.wake import Detection

from devices.link import Inbox, Link, LinkSettings
from devices.simulator import Home
from hub import daemon, ears
from hub.daemon import Hub, opened, settled
from hub.finding import Level
from hub.mouth import Mouth
from hub.reading import Lines
from hub.rooms import Rooms
from hub.scripted import Dictated, Hum
from hub.settings import BrokerSettings, Settings, SettingsError, VoiceSettings, parse
from hub.sound import RATE, Resampler, Samples, as_samples, as_values
from hub.turn import Turn
from hub.wyoming import checks, satellites
from hub.wyoming import satellite as satellites_module
from hub.wyoming.announce import announced, appearing
from hub.wyoming.satellites import Fleet, driven, place_of
from hub.wyoming.settings import WyomingSettings
from models.voice import Manner

LINES = {
    "printer on": "<turn_on><what> printer",
    "lamp on": "<turn_on><what> the lamp",
}
needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no synthetic voice: apt install espeak-ng")


class Broker(Protocol):
    host: str
    port: int


class Satellite:
    """A satellite on a port of its own, which it keeps. `told` are the events that it got, without pings."""

    def __init__(
        self, area: str | None = None, *, is_one: bool = True, plays: bool = True, answers: bool = True
    ) -> None:
        self.area = area
        self.is_one = is_one
        self.plays = plays  # tells when it has played what it got
        self.answers = answers  # pings
        self.pings = 0
        self.told: list[Event] = []
        self.news = asyncio.Condition()
        self.talks: list[Talk] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._server: AsyncTcpServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = AsyncTcpServer("127.0.0.1", self.port)
        await self._server.start(lambda reader, writer: Talk(self, reader, writer))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Ends at once, with what is connected; it can be entered again."""
        server, self._server = self._server, None
        talks, self.talks = self.talks, []
        if server is not None:
            await server.stop()
        for talk in talks:
            talk.writer.transport.abort()
            await talk.ended.wait()

    async def until(self, *types: str) -> list[Event]:
        """What it was told until events of these types had come in this order, with any others in between."""
        async with asyncio.timeout(30), self.news:
            await self.news.wait_for(lambda: _in_order([e.type for e in self.told], types))
        return self.told

    async def pinged(self, times: int) -> None:
        async with asyncio.timeout(30), self.news:
            await self.news.wait_for(lambda: self.pings >= times)

    async def send(self, *events: Event) -> None:
        for event in events:
            await self.talks[-1].write_event(event)

    async def say(self, samples: Samples) -> None:
        for at in range(0, len(samples), 1024):
            await self.send(AudioChunk(RATE, 2, 1, samples[at : at + 1024].tobytes()).event())

    def raw(self, sent: bytes) -> None:
        self.talks[-1].writer.write(sent)

    def texts(self, kind: str) -> list[str]:
        return [event.data["text"] for event in self.told if event.type == kind]

    def seconds(self) -> float:
        return sum(AudioChunk.from_event(e).seconds for e in self.told if AudioChunk.is_type(e.type))


class Talk(AsyncEventHandler):
    """One connection of the hub to a satellite."""

    def __init__(self, satellite: Satellite, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.satellite = satellite
        self.ended = asyncio.Event()
        satellite.talks.append(self)

    async def handle_event(self, event: Event) -> bool:
        if Ping.is_type(event.type):
            if self.satellite.answers:
                await self.write_event(Pong(Ping.from_event(event).text).event())
            async with self.satellite.news:
                self.satellite.pings += 1
                self.satellite.news.notify_all()
            return True
        if Describe.is_type(event.type):
            here = SatelliteInfo("s", Attribution("me", ""), True, None, None, area=self.satellite.area)
            await self.write_event(Info(satellite=here if self.satellite.is_one else None).event())
        if AudioStop.is_type(event.type) and self.satellite.plays:
            await self.write_event(Played().event())
        async with self.satellite.news:
            self.satellite.told.append(event)
            self.satellite.news.notify_all()
        return True

    async def disconnect(self) -> None:
        self.ended.set()


def _in_order(shown: Sequence[str], wanted: Sequence[str]) -> bool:
    left = iter(shown)
    return all(kind in left for kind in wanted)


def spoken(text: str, before: float = 1.0, after: float = 1.0) -> Samples:
    done = subprocess.run(["espeak-ng", "-s", "160", "--stdout", text], capture_output=True, check=True, timeout=30)
    samples = np.frombuffer(done.stdout[44:], "<i2").astype(np.int16)
    voice = as_samples(Resampler(22050).take(as_values(samples), last=True))
    return np.concatenate([np.zeros(int(before * RATE), np.int16), voice, np.zeros(int(after * RATE), np.int16)])


HEARS_ITSELF = RunPipeline(PipelineStage.ASR, PipelineStage.TTS, wake_word_name="ok_nabu").event()
STREAMS = RunPipeline(PipelineStage.WAKE, PipelineStage.TTS, restart_on_end=True).event()


class House:
    """A hub with its rooms, whose ears hear what they are told, over the demo's home."""

    def __init__(self, hub: Hub, home: Home, rooms: Rooms, turns: Inbox) -> None:
        self.hub = hub
        self.home = home
        self.rooms = rooms
        self._turns = turns

    async def turn(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            told: dict[str, Any] = json.loads((await anext(self._turns)).payload)
            return told


Open = Callable[..., Any]


@pytest.fixture
def house(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens it with satellites, each with its room; nothing is waited for long."""
    monkeypatch.setattr(satellites, "FIRST_WAIT", 0.01)

    @asynccontextmanager
    async def open_house(places: dict[Satellite, str], *says: str, **wyoming: Any) -> AsyncIterator[House]:
        settings = Settings(
            broker=BrokerSettings(broker.host, port=broker.port),
            state_folder=str(tmp_path),
            wyoming=WyomingSettings(satellites={s.address: room for s, room in places.items()}, **wyoming),
        )
        async with (
            Home(LinkSettings(broker.host, broker.port), travel=0.1) as home,
            opened(settings, completer=Lines(LINES)) as hub,
        ):
            await settled(hub.link, hub.house)
            turns = hub.link.listen(settings.topic("turn"), qos=1)
            await hub.link.settled()
            mouth = Mouth(Hum(), hub.cores, Manner())
            rooms = Rooms(hub, Dictated(*says), mouth)
            try:
                async with driven(settings, rooms):
                    yield House(hub, home, rooms, turns)
            finally:
                await mouth.close()

    return open_house


# -- a command


@needs_voice
async def test_from_the_wake_word_at_a_satellite_to_the_answer_there(broker: Broker, tmp_path: Path) -> None:
    ears.write(tmp_path / "ears", "printer on")
    stop = asyncio.Event()
    async with Satellite() as there, Home(LinkSettings(broker.host, broker.port), travel=0.1) as home:
        settings = Settings(
            broker=BrokerSettings(broker.host, port=broker.port),
            state_folder=str(tmp_path),
            voice=VoiceSettings(hearing=str(tmp_path / "ears")),
            wyoming=WyomingSettings(satellites={there.address: "Kitchen"}),
        )
        async with Link(LinkSettings(broker.host, broker.port)) as link:
            turns = link.listen("hub/home/turn", qos=1)
            await link.settled()
            running = asyncio.create_task(daemon.run(settings, stop, Lines(LINES)))
            await there.until("run-satellite")
            await there.send(STREAMS)
            await there.until("detect")
            await there.say(spoken("okay nabu turn on the printer"))
            await there.until("detection", "transcribe", "voice-stopped", "audio-start", "audio-stop", "transcript")
            turn = json.loads((await anext(turns)).payload)
            assert home.state("office_printer")["state"] == "ON"
            stop.set()
            await running
        await there.until("transcript", "pause-satellite")
    assert (turn["room"], turn["spoken"]["wake"], turn["reply"]) == ("Kitchen", "Okay Nabu", "Office printer is on.")
    assert there.texts("synthesize") == ["Office printer is on."]
    assert there.texts("transcript") == ["printer on"]
    assert there.seconds() > 0.8


@needs_voice
async def test_a_satellite_that_hears_the_word_itself_streams_until_the_transcript(house: Open) -> None:
    async with Satellite("Hall") as there, house({there: ""}, "lamp on", "the bedroom one") as home:
        await there.until("run-satellite")
        await there.send(Detection("ok_nabu").event(), HEARS_ITSELF)
        await there.say(spoken("turn on the light", before=0.1))
        asked = await home.turn()
        assert (asked["outcome"], asked["room"], asked["spoken"]["wake"]) == ("ask", "Hall", "ok_nabu")
        await there.until("transcribe", "synthesize", "audio-stop", "transcribe")
        await there.say(spoken("the bedroom one", after=0))
        assert not there.texts("transcript")  # it was still listened to: the hub had asked something
        await there.send(AudioStop().event())  # the satellite itself finds the end
        answered = await home.turn()
        await there.until("transcript")
    assert answered["reply"] == "Bedroom lamp is on."
    assert there.texts("transcript") == ["the bedroom one"]
    assert "detection" not in [event.type for event in there.told]  # it knows


@needs_voice
async def test_one_that_only_says_that_it_streams_was_woken_too(house: Open) -> None:
    async with Satellite("Kitchen", plays=False) as there, house({there: "Hall"}, "printer on") as home:
        await there.until("run-satellite")
        await there.send(HEARS_ITSELF)
        await there.say(spoken("turn on the printer", before=0.1))
        turn = await home.turn()
        await there.until("audio-stop", "transcript")  # although it never tells that it has played that
    assert (turn["room"], turn["spoken"]["wake"], turn["reply"]) == ("Hall", "ok_nabu", "Office printer is on.")


async def test_who_says_nothing_after_the_wake_word_is_let_go(house: Open) -> None:
    async with Satellite() as there, house({there: "Hall"}) as home:
        await there.until("run-satellite")
        await there.send(HEARS_ITSELF)
        await there.say(np.zeros(6 * RATE, np.int16))
        await there.until("audio-start", "audio-stop", "transcript")
        assert there.texts("transcript") == [""]
        assert not home.rooms.mouth.voice.said


async def test_the_wake_word_cuts_what_is_played_there(house: Open) -> None:
    async with Satellite() as there, house({there: "Hall"}) as home:
        await there.until("run-satellite")
        home.rooms.announce(Turn("x", " ".join(["word"] * 200), "answer", done=True, room="Hall"))
        await there.until("synthesize", "audio-chunk")
        await there.send(HEARS_ITSELF)
        await there.until("synthesize", "transcribe", "audio-stop")
        await there.say(np.zeros(6 * RATE, np.int16))
        await there.until("transcribe", "audio-stop", "transcript")
    assert there.seconds() < 20  # of 30 and more


async def test_an_alarm_sounds_where_it_was_set(house: Open) -> None:
    async with Satellite() as here, Satellite() as there, house({here: "Hall", there: "Office"}) as home:
        await here.until("run-satellite")
        await there.until("run-satellite")
        home.rooms.announce(Turn("tea", "Your tea is done.", "answer", done=True, room="hall"))
        await here.until("synthesize", "audio-start", "audio-stop")
        assert here.texts("synthesize") == ["Your tea is done."]
        assert "audio-start" not in [event.type for event in there.told]


# -- connections


async def test_it_comes_back(house: Open) -> None:
    async with Satellite() as there, house({there: "Hall"}) as home:
        for _ in range(2):
            await there.until("describe", "run-satellite")
            await there.stop()
            there.told.clear()
            await there.__aenter__()
        await there.until("describe", "run-satellite")
        home.rooms.announce(Turn("x", "Hello.", "answer", done=True, room="Hall"))
        await there.until("audio-start", "audio-stop")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n",
        b"x" * 100_000,
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "audio-chunk", "data": {"rate": 0, "width": 2, "channels": 1}}\n',
        b'{"type": "detection", "data": {"name": [1]}}\n',
        b'{"type": "run-pipeline", "data": {"start_stage": "asr", "wake_word_name": 3}}\n',
    ],
)
async def test_one_that_talks_nonsense_is_hung_up_and_tried_again(house: Open, sent: bytes) -> None:
    async with Satellite() as bad, Satellite() as good, house({bad: "Hall", good: "Office"}) as home:
        await bad.until("run-satellite")
        await good.until("run-satellite")
        bad.raw(sent)
        await bad.until("run-satellite", "run-satellite")
        home.rooms.announce(Turn("x", "Hello.", "answer", done=True, room="Office"))
        await good.until("audio-start", "audio-stop")
        assert [event.type for event in good.told].count("run-satellite") == 1


async def test_one_that_stops_in_the_middle_is_noticed(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satellites_module, "GONE_SECONDS", 0.3)
    monkeypatch.setattr(satellites_module, "PING_SECONDS", 0.1)
    monkeypatch.setattr("hub.wyoming.wire.FRAME_SECONDS", 0.1)
    async with Satellite() as bad, Satellite() as good, house({bad: "Hall", good: "Office"}):
        await bad.until("run-satellite")
        await good.until("run-satellite")
        for half in (b'{"type": "audio-chunk", "payload_length": 5000}\nabc', b'{"type": "aud'):
            count = [event.type for event in bad.told].count("run-satellite")
            bad.raw(half)
            await bad.until(*["run-satellite"] * (count + 1))
        assert [event.type for event in good.told].count("run-satellite") == 1  # its pongs keep it


async def test_one_that_answers_no_more_has_gone(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satellites_module, "GONE_SECONDS", 0.3)
    monkeypatch.setattr(satellites_module, "PING_SECONDS", 0.05)
    async with Satellite() as there, Satellite(answers=False) as old, house({there: "Hall", old: "Office"}):
        await there.pinged(2)
        there.answers = False
        await there.until("run-satellite", "run-satellite")
        await old.pinged(20)
        assert [event.type for event in old.told].count("run-satellite") == 1  # it has never answered any


async def test_what_goes_away_while_it_is_spoken_to_costs_only_that(house: Open) -> None:
    async with Satellite() as there, house({there: "Hall"}) as home:
        await there.until("run-satellite")
        home.rooms.announce(Turn("x", " ".join(["word"] * 100), "answer", done=True, room="Hall"))
        await there.until("audio-start")
        await there.stop()
        there.told.clear()
        await there.__aenter__()
        await there.until("run-satellite")
        home.rooms.announce(Turn("x", "Hello.", "answer", done=True, room="Hall"))
        await there.until("audio-start", "audio-stop")


async def test_another_service_is_no_satellite(
    house: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Satellite(is_one=False) as other, house({other: "Hall"}):
        await other.until("describe", "describe")
        assert "run-satellite" not in [event.type for event in other.told]
    assert caplog.text.count("it is no satellite") == 1


async def test_the_doctor_asks_each_satellite_what_it_is(house: Open) -> None:
    async with Satellite("Hall") as there, Satellite() as nowhere, Satellite(is_one=False) as other:
        async with house({there: ""}) as home:
            await there.until("run-satellite")
            gone = place_of("127.0.0.1:1").name
            places = {there.address: "", nowhere.address: "", other.address: "Attic", gone: "Cellar"}
            asked = home.hub.settings.model_copy(update={"wyoming": WyomingSettings(serve=True, satellites=places)})
            found = [finding async for finding in checks.findings(asked)]
            assert [(f.level, f.what) for f in found[:2]] == [
                (Level.FINE, "offered on port 10600, to this machine only"),
                (Level.FINE, "Hall: it answers"),
            ]
            wrong = ["number 2: it names no room", "Attic: it is no satellite", "Cellar: it cannot be reached"]
            assert all(f.level is Level.WRONG and f.what.startswith(w) for f, w in zip(found[2:], wrong, strict=True))
            home.rooms.announce(Turn("x", "Hello.", "answer", done=True, room="Hall"))
            await there.until("run-satellite", "describe", "audio-start", "audio-stop")
        assert [event.type for event in there.told].count("run-satellite") == 1  # it was not disturbed


async def test_the_doctor_has_nothing_to_say_where_nothing_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [finding async for finding in checks.findings(Settings())]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    wanted = Settings(wyoming=WyomingSettings(serve=True))
    (finding,) = [finding async for finding in checks.findings(wanted)]
    assert "pip install" in finding.mend


# -- found


async def test_what_is_announced_appears() -> None:
    pytest.importorskip("zeroconf", reason="the extra `wyoming` is not installed")
    async with announced("satellite-test", "127.0.0.1", 10701):
        places = appearing(["127.0.0.1"])
        async with asyncio.timeout(30):
            while (await anext(places)) != ("127.0.0.1", 10701):
                pass
        await places.aclose()


async def test_only_peers_that_are_not_in_the_settings_are_taken(house: Open) -> None:
    async with Satellite() as listed, Satellite("Hall") as found, Satellite(is_one=False) as other:
        async with house({listed: "Office"}) as home:
            await listed.until("run-satellite")
            fleet = Fleet(home.hub.settings, home.rooms, ())
            for address in (listed.address, found.address, other.address, found.address, "192.0.2.9:10700"):
                await fleet.consider(place_of(address))
            await found.until("run-satellite")
            await other.until("describe")
            assert fleet.found == {found.address, other.address}
            await fleet.close()
        for satellite in (listed, found):
            assert [event.type for event in satellite.told].count("run-satellite") == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[wyoming.satellites]\n"kitchen" = "Kitchen"', "no host and port"),
        ('[wyoming.satellites]\n"kitchen:99999" = "Kitchen"', "no host and port"),
        ('[wyoming.satellites]\n"kitchen:0" = "Kitchen"', "no host and port"),
        ("[wyoming]\nfind_satellites = true", "list them, or their network"),
    ],
)
def test_settings_that_cannot_be(text: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        parse(text, "hub.toml")


def test_places() -> None:
    assert place_of("kitchen.local:10700", "Kitchen").name == "kitchen.local:10700"
    assert place_of("[fd00::7]:1").host == "fd00::7"
