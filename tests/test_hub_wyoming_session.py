"""The hub's services as Home Assistant uses them: the wyoming package's own client, a real broker and a home in software."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")
pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
pytest.importorskip("pymicro_wakeword", reason="the extra `voice` is not installed")
pytest.importorskip("soxr", reason="the extra `voice` is not installed")

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled, NotHandled
from wyoming.info import Describe, Info, SelectProgram
from wyoming.intent import Intent, NotRecognized, Recognize
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming.wake import Detect, Detection

from devices.link import Link, LinkSettings
from devices.simulator import Home
from hub import daemon, ears
from hub.reading import Lines
from hub.settings import BrokerSettings, Settings, VoiceSettings
from hub.wyoming.settings import WyomingSettings
from hub.wyoming.wire import PAYLOAD, pack

LINES = {
    "printer on": "<turn_on><what> printer",
    "printer off": "<turn_off><what> printer",
    "printer and bathroom light off": "<turn_off><what> printer<and><turn_off><what> bathroom light",
    "light on": "<turn_on><what> light",
    "lights on": "<turn_on><what> lights",
    "boiler on": "<turn_on><what> boiler",
    "printer on for a minute": "<turn_on><what> printer<for> a minute",
}
needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no synthetic voice: apt install espeak-ng")


class Broker(Protocol):
    host: str
    port: int


class Peer:
    """Whoever connects: sends events over a new connection and reads until one of these types has come, or the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: list[asyncio.StreamWriter] = []

    def client(self) -> AsyncTcpClient:
        return AsyncTcpClient("127.0.0.1", self.port, connect_timeout=10, read_timeout=30)

    async def ask(self, *events: Event, until: Sequence[str] = ()) -> list[Event]:
        async with self.client() as client:
            for event in events:
                await client.write_event(event)
            found: list[Event] = []
            while (event := await client.read_event()) is not None:
                found.append(event)
                if event.type in until:
                    break
            return found

    async def say(self, text: str, **context: str) -> Event:
        answers = await self.ask(Transcript(text, context=context).event(), until=("handled", "not-handled", "error"))
        return answers[-1]

    async def info(self) -> Info:
        return Info.from_event((await self.ask(Describe().event(), until=("info",)))[-1])

    async def raw(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection over which this was sent, and nothing more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(sent)
        return reader, writer

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def running(broker: Broker, folder: Path, **wyoming: Any) -> AsyncIterator[Peer]:
    """A hub that serves and knows the home, whose ears hear "printer on" whatever is said."""
    ears.write(folder / "ears", "printer on")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(
        broker=BrokerSettings(broker.host, port=broker.port),
        state_folder=str(folder),
        voice=VoiceSettings(hearing=str(folder / "ears")),
        wyoming=WyomingSettings(serve=True, port=port, **wyoming),
    )
    stop, peer = asyncio.Event(), Peer(port)
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as link:
        status = link.listen("hub/home/status")
        await link.settled()
        serving = asyncio.create_task(daemon.run(settings, stop, Lines(LINES)))
        try:
            async with asyncio.timeout(30):
                while (await anext(status)).payload != b"online":
                    pass
                while not await _knows(peer):
                    pass
            yield peer
        finally:
            stop.set()
            await serving
            peer.close()


async def _knows(peer: Peer) -> bool:
    """Whether the hub offers its services already, and knows the devices."""
    try:
        (answer, *_) = await peer.ask(Recognize("printer off").event(), until=("intents-start", "not-recognized"))
    except ConnectionError:
        return False
    return answer.type == "intents-start"


@pytest.fixture
async def home(broker: Broker) -> AsyncIterator[Home]:
    async with Home(LinkSettings(broker.host, broker.port), travel=0.1) as home:
        yield home


def spoken(text: str, rate: int = 16000, width: int = 2, channels: int = 1) -> list[Event]:
    """A voice that says it, with a second of silence around, as events of another format."""
    done = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True, timeout=30)
    samples = np.frombuffer(done.stdout[44:], "<i2")
    padded = np.concatenate([np.zeros(22050, np.int16), samples, np.zeros(22050, np.int16)])
    at = np.arange(int(len(padded) * rate / 22050)) * 22050 // rate
    wide = np.repeat(padded[at].astype(np.int64) << 8 * (width - 2), channels)
    data = wide.astype(f"<i{width}").tobytes()
    size = 1024 * width * channels
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    stamps = range(0, len(pieces) * 1000, 1000)
    return [
        AudioStart(rate, width, channels).event(),
        *(AudioChunk(rate, width, channels, p, timestamp=t).event() for p, t in zip(pieces, stamps, strict=True)),
        AudioStop().event(),
    ]


def silence(seconds: float) -> list[Event]:
    chunk = AudioChunk(16000, 2, 1, bytes(3200)).event()
    return [AudioStart(16000, 2, 1).event(), *[chunk] * int(seconds * 10), AudioStop().event()]


# -- services


async def test_the_description_is_true(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        info = await peer.info()
    assert [m.name for p in info.asr for m in p.models] == ["ears"]
    assert info.asr[0].models[0].languages == ["en"]
    assert info.asr[0].requires_external_vad
    assert [m.name for m in info.wake[0].models] == ["okay_nabu", "alexa", "hey_jarvis", "hey_mycroft"]
    assert info.wake[0].models[0].phrase == "okay nabu"
    assert info.handle[0].supports_home_control
    assert info.intent[0].models[0].languages == ["en"]
    assert bool(info.tts) == (shutil.which("espeak-ng") is not None)
    assert all(p.installed and p.name == "hub" for p in [*info.asr, *info.tts, *info.wake, *info.intent, *info.handle])
    assert info.satellite is None


async def test_what_is_not_there_is_not_offered(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        shutil.rmtree(tmp_path / "ears")  # it was there when the hub started: then who asks is told
        answers = await peer.ask(Transcribe().event(), *silence(1))
        assert [a.type for a in answers] == ["error"]
        assert "no such model for hearing" in Error.from_event(answers[0]).text
        assert Handled.is_type((await peer.say("printer on")).type)


@needs_voice
async def test_speech_becomes_a_light_that_is_on(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        for rate, width, channels in ((16000, 2, 1), (48000, 4, 2)):
            sound = spoken("printer on", rate, width, channels)
            (heard,) = await peer.ask(Transcribe(language="en-GB").event(), *sound, until=("transcript",))
            assert Transcript.from_event(heard) == Transcript("printer on", language="en")
        handled = Handled.from_event(await peer.say(heard.data["text"], conversation_id="7"))
        assert handled.text == "Office printer is on."
        assert handled.context == {"conversation_id": "7"}
        assert home.state("office_printer")["state"] == "ON"
        sound = await peer.ask(Synthesize(handled.text).event(), until=("audio-stop",))
        assert _seconds(sound) > 0.8


async def test_a_turn_over_wyoming_is_told_over_mqtt(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer, Link(LinkSettings(broker.host, broker.port)) as link:
        turns = link.listen("hub/home/turn", qos=1)
        await link.settled()
        await peer.say("printer on", satellite_id="assist_satellite.office_speaker")
        turn = json.loads((await anext(turns)).payload)
        assert (turn["text"], turn["room"], turn["done"]) == ("printer on", "Office", True)


async def test_what_is_made_up_out_of_silence_is_nothing(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        ears.write(tmp_path / "ears", "printer on", sure=0.05)
        for sound in (silence(1), [], [AudioChunk(16000, 2, 1, b"").event()]):
            events = [Transcribe().event(), *sound, AudioStop().event()]
            (heard,) = await peer.ask(*events, until=("transcript",))
            assert heard.data["text"] == ""


async def test_ten_minutes_of_speech_are_no_command(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        minute = AudioChunk(4000, 1, 1, bytes(240_000)).event()
        answers = await peer.ask(Transcribe().event(), *[minute] * 10, AudioStop().event())
        assert "at most 30 seconds" in Error.from_event(answers[0]).text


@needs_voice
async def test_a_wake_word_is_detected(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        sound = spoken("okay nabu")
        for names in (None, ["okay_nabu"], ["alexa", "okay_nabu", "unknown"]):
            (found,) = await peer.ask(Detect(names).event(), *sound, until=("detection", "not-detected"))
            detection = Detection.from_event(found)
            assert detection.name == "okay_nabu"
            assert detection.timestamp in [e.data["timestamp"] for e in sound[1:-1]]
        for names, events in ((["alexa"], sound), (None, silence(2))):
            (found,) = await peer.ask(Detect(names).event(), *events, until=("detection", "not-detected"))
            assert found.type == "not-detected"
        (found,) = await peer.ask(Detect(["mellon"]).event(), *sound)
        assert "no such wake word" in Error.from_event(found).text


@needs_voice
async def test_sentences_are_spoken_while_the_text_still_comes(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer, peer.client() as client:
        for event in (
            SynthesizeStart(),
            SynthesizeChunk("The light "),
            SynthesizeChunk("is on. The"),
            SynthesizeChunk(" f"),
        ):
            await client.write_event(event.event())
        started = await client.read_event()
        assert started is not None
        assert AudioStart.is_type(started.type)  # although the last word has not come
        rest = [SynthesizeChunk("an is off"), Synthesize("The light is on. The fan is off"), SynthesizeStop()]
        for event in rest:
            await client.write_event(event.event())
        sound = [started]
        while sound[-1].type != "synthesize-stopped":
            event = await client.read_event()
            assert event is not None
            sound.append(event)
        assert [e.type for e in sound if e.type != "audio-chunk"] == ["audio-start", "audio-stop", "synthesize-stopped"]
        whole = await peer.ask(Synthesize("The light is on. The fan is off").event(), until=("audio-stop",))
        assert _seconds(sound) == pytest.approx(_seconds(whole), abs=0.01)


@needs_voice
async def test_a_text_without_words_is_a_sound_of_no_length(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        for text in ("", "...", "\x00"):
            sound = await peer.ask(Synthesize(text, SynthesizeVoice("another")).event(), until=("audio-stop",))
            assert [e.type for e in sound] == ["audio-start", "audio-stop"]
        reader, _ = await peer.raw(b'{"type": "synthesize", "data": {"text": "\\ud83d"}}\n')  # half of a letter
        assert b"audio-start" in await reader.readline()


def _seconds(sound: list[Event]) -> float:
    return sum(AudioChunk.from_event(e).seconds for e in sound if AudioChunk.is_type(e.type))


# -- sentences


async def test_what_cannot_be_done_is_not_handled(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        answer = await peer.say("boiler on")
        assert NotHandled.is_type(answer.type)
        assert "boiler" in answer.data["text"]


async def test_a_question_is_answered_in_its_conversation(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        asked = await peer.say("light on", conversation_id="a")
        assert Handled.is_type(asked.type)
        assert asked.data["text"].startswith("Which")
        other = await peer.say("the bathroom one", conversation_id="b")
        assert NotHandled.is_type(other.type)
        settled = await peer.say("the bathroom one", conversation_id="a")
        assert settled.data["text"] == "Bathroom light is on."


async def test_the_room_is_that_of_the_satellite(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path, rooms={"1f": "Bathroom"}) as peer:
        for context in ({"device_id": "1f"}, {"satellite_id": "assist_satellite.bathroom_2"}, {"area": "Bathroom"}):
            home_says = await peer.say("lights on", **context)
            assert "athroom light" in home_says.data["text"], context


async def test_what_was_meant_is_told_as_intents(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        ends = ("intents-stop", "not-recognized")
        request = Recognize("printer and bathroom light off", context={"conversation_id": "c"}).event()
        start, *found, stop = await peer.ask(SelectProgram("hub").event(), request, until=ends)
        assert (start.type, stop.type) == ("intents-start", "intents-stop")
        intents = [Intent.from_event(event) for event in found]
        assert [(i.name, {e.name: e.value for e in i.entities}) for i in intents] == [
            ("HassTurnOff", {"name": "Office printer", "domain": "switch"}),
            ("HassTurnOff", {"name": "Bathroom light", "domain": "light"}),
        ]
        assert all(event.data["context"] == {"conversation_id": "c"} for event in (start, *found, stop))
        (no,) = await peer.ask(Recognize("boiler on").event(), until=ends)
        assert "boiler" in str(NotRecognized.from_event(no).text)
        (no,) = await peer.ask(Recognize("printer on for a minute").event(), until=ends)
        assert "no intent" in str(NotRecognized.from_event(no).text)
        assert home.state("office_printer")["state"] == "OFF"  # nothing was done


async def test_home_assistant_may_be_the_one_that_acts(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path, transcripts="intent") as peer:
        ends = ("intents-stop", "not-recognized", "handled")
        _, intent, _ = await peer.ask(Transcript("printer on").event(), until=ends)
        assert Intent.from_event(intent).name == "HassTurnOn"
        (no,) = await peer.ask(Transcript("boiler on").event(), until=ends)
        assert NotRecognized.is_type(no.type)
        assert home.state("office_printer")["state"] == "OFF"


# -- peers


async def test_a_peer_that_misbehaves_costs_nobody_else_anything(broker: Broker, home: Home, tmp_path: Path) -> None:
    bad = [
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"{" * 200_000,
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "transcribe"}\n{"type": "audio-chunk", "data": {"rate": 16000, "width": 9, "channels": 1}}\n',
        b'{"type": "audio-start", "data": {"rate": -1, "width": 2, "channels": 1e99}}\n',
        b'{"type": "transcribe"}\n{"type": "audio-chunk", "data": {"rate": 1, "width": 2, "channels": 1}}\n',
        b'{"type": "transcript"}\n',
        b'{"type": "recognize", "data": {"text": ["x"]}}\n',
        b'{"type": "synthesize", "data": {"text": null}}\n',
        b'{"type": "detect", "data": {"names": {"a": 1}}}\n',
        b'{"type": "ping", "data": {"text": 3}}\n',
    ]
    halves = [
        b"",
        b"\x16\x03\x01\x02\x00",
        b'{"type": "audio-chunk", "payload_length": 5000}\nabc',
        b'{"type": "transcribe"}\n{"type"',
    ]
    async with running(broker, tmp_path) as peer:
        open_ones = [await peer.raw(sent) for sent in halves]
        for sent in bad:
            await ended((await peer.raw(sent))[0])
        assert Handled.is_type((await peer.say("printer on")).type)
        for _, writer in open_ones:
            writer.transport.abort()
        assert Handled.is_type((await peer.say("printer off")).type)


async def ended(reader: asyncio.StreamReader) -> None:
    """Returns when the other side has closed the connection."""
    with suppress(ConnectionError):
        async with asyncio.timeout(30):
            while await reader.read(4096):
                pass


async def test_unknown_events_are_nothing(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as peer:
        events = [Event("made-up", {"x": 1}, b"\x00" * PAYLOAD), AudioStop().event(), SynthesizeStop().event()]
        (pong,) = await peer.ask(*events, Ping("still there").event(), until=("pong",))
        assert Pong.from_event(pong).text == "still there"


async def test_whatever_an_event_holds_the_hub_has_no_fault(
    broker: Broker, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(1)
    kinds = "transcribe detect audio-start audio-chunk audio-stop synthesize synthesize-start synthesize-chunk synthesize-stop"
    keys = (
        "text",
        "names",
        "name",
        "language",
        "rate",
        "width",
        "channels",
        "context",
        "timestamp",
        "voice",
        "transcript_names",
    )
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        2,
        16000,
        1e300,
        "",
        "en",
        "\x00",
        [],
        ["alexa"],
        [1],
        {},
        {"a": {}},
        "x" * 9000,
    ]
    values += ["printer on", {"conversation_id": "a", "area": "\x00"}, {"conversation_id": 3, "satellite_id": "."}]
    async with running(broker, tmp_path, connections=256) as peer:
        for _ in range(80):
            reader, writer = await peer.raw(b"")
            for _ in range(chance.randrange(1, 5)):
                kind = chance.choice([*kinds.split(), "transcript", "recognize", "ping", "describe"])
                data = {key: chance.choice(values) for key in chance.sample(keys, chance.randrange(5))}
                writer.write(pack(Event(kind, data, bytes(chance.choice((0, 1, 999, 4096))))))
            writer.write(pack(Event("ping")))
            async with asyncio.timeout(30):
                with suppress(ConnectionError):
                    while (line := await reader.readline()) and b'"pong"' not in line:
                        pass
            writer.close()
        assert (await peer.info()).handle
    assert "Traceback" not in caplog.text
    assert "connection failed" not in caplog.text
