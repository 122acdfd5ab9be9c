"""From the end of a spoken command to its words, to the MQTT publish and to the answer; and what all of it holds in memory.

    python bench/bench_spoken.py [--speech FOLDER] [--ears FOLDER] [--only ROW ...] [--clips N] [--threads N] [--json]

Sound comes at the speed at which it is spoken, into the demo's home over a real broker. Rows:

  transcript  the clips of FOLDER/commands through the whole path up to the transcript, by a Whisper of tiny.en's true shape
  foreseen    the same clips with hearing that begins when the end is probable, and with one that waits until it is sure, in turns
  published   the demo's commands by a voice that is in no training, heard by the ears of --ears (any faster-whisper folder)
  memory      `hub run` with a room, after it has heard and spoken: Pss of its processes, by tiny.en's shape and Piper's (medium)

No Whisper and no Piper voice of the true weights is needed: the Whisper of `transcript`, `foreseen` and `memory` is written
down by hub.ears and hears the same twelve tokens whatever is said, so its times and memory are true and its words are not;
what it takes is one window of the encoder and twelve steps of the decoder. The voice of `memory` says noise (piper_shape.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import piper_shape
from processes import answered, family, pss

from devices.link import Link, LinkSettings
from devices.simulator import Home
from devices.tasks import end
from hub import ears, speakers
from hub.aloud import COMMANDS
from hub.daemon import Hub, opened, settled
from hub.demo import broker, inside
from hub.demo_voice import EARS, SPEAKER
from hub.mouth import Mouth
from hub.post import Post, State, Woken
from hub.rooms import Rooms
from hub.scripted import Hum, ScriptedPost
from hub.settings import Settings
from hub.sound import FRAME, RATE, Decoder, Samples
from hub.turn import Turn
from models.hearing import Hearing, check
from models.voice import Manner, open_voice
from models.wake import WakeWord

ROOT = Path(__file__).parents[1]
SAYS = "please could you turn off that bathroom light over there right now"  # twelve tokens
MOST_MB = 450
_WITHIN = 60.0  # seconds; a garage door takes its time


@dataclass(frozen=True, slots=True)
class Options:
    speech: Path | None
    ears: Path
    clips: int
    threads: int


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "95th": round(ordered[int(0.95 * (len(ordered) - 1) + 0.5)], 1),
    }


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# -- a room in which somebody speaks


class Told(Rooms):
    """Rooms that keep the last turn, and hear nothing before the end is sure where `early` is not set."""

    early = True
    last: Turn | None = None

    def foresee(self, post: Post, samples: Samples) -> None:
        if self.early:
            super().foresee(post, samples)

    async def tell(self, turn: Turn) -> None:
        self.last = turn
        await super().tell(turn)


@dataclass(frozen=True, slots=True)
class Room:
    """A post that listens for a wake word in a house that runs."""

    rooms: Told
    post: ScriptedPost

    async def spoken(self, samples: Samples) -> Turn | None:
        """The turn that came of it, behind a wake word; as long as it takes to say it, and to answer."""
        self.rooms.last = None
        self.post.clear()
        ends = [asyncio.create_task(self.post.until(State.HEARING, last)) for last in (State.WAITING, State.AWAITING)]
        self.post.wake(Woken("bench"))
        await paced(self.post, np.concatenate([quiet(0.3), samples, quiet(1.0)]))
        await asyncio.wait(ends, timeout=_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        await end(*ends)
        return self.rooms.last


async def paced(post: ScriptedPost, samples: Samples) -> None:
    """Frame by frame, each when it would have been spoken."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for at in range(FRAME, len(samples) + 1, FRAME):
        await asyncio.sleep(began + at / RATE - loop.time())
        post.say(samples[at - FRAME : at])


def quiet(seconds: float) -> Samples:
    """A quiet room, which no microphone hears as zeros."""
    return np.random.default_rng(0).normal(0, 20, int(seconds * RATE)).astype(np.int16)


@asynccontextmanager
async def room(folder: Path, threads: int, espeak: bool = False) -> AsyncIterator[Room]:
    """The demo's home, with ears of this folder; it hums its answers, or espeak-ng says them."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as state:
        async with (
            broker() as address,
            Home(address),
            opened(inside(Settings(), address, state)) as hub,
            Hearing(folder, threads=threads) as hearing,
        ):
            await settled(hub.link, hub.house)
            await hearing.start()
            mouth = Mouth(open_voice(None) if espeak else Hum(), hub.cores, Manner())
            async with attended(hub, hearing, mouth) as found:
                yield found
            await mouth.close()


@asynccontextmanager
async def attended(hub: Hub, hearing: Hearing, mouth: Mouth) -> AsyncIterator[Room]:
    rooms, post = Told(hub, hearing, mouth), ScriptedPost("bench", "", [WakeWord("okay_nabu")])
    attending = asyncio.create_task(rooms.attend(post))
    try:
        await post.attended()
        yield Room(rooms, post)
    finally:
        await end(attending)


def clips(options: Options) -> list[Samples]:
    assert options.speech is not None
    found = []
    for file in sorted(options.speech.glob("commands/*.wav"))[: options.clips]:
        decoder = Decoder()
        found.append(np.concatenate([*decoder.take(file.read_bytes()), *decoder.end()]))
    return found


# -- the rows


async def transcript(options: Options) -> dict[str, object]:
    heard: list[Turn] = []
    with tempfile.TemporaryDirectory() as folder:
        ears.write(Path(folder), SAYS, size=ears.TINY_EN)
        said = clips(options)
        async with room(Path(folder), options.threads) as here:
            await here.spoken(said[0])  # whatever is done once
            for number, clip in enumerate(said, 1):
                if (turn := await here.spoken(clip)) is not None:
                    heard.append(turn)
                note(f"transcript: {number} of {len(said)} clips")
            hearing = here.rooms.hearing
            held = pss(hearing.pid) if isinstance(hearing, Hearing) and hearing.pid else 0.0
    return {
        "clips": len(said),
        "heard": sum(turn.text == SAYS for turn in heard),
        "ms from the end of speech": moments(heard, ("ended", "heard")),
        "MB of the process": round(held),
    }


async def foreseen(options: Options) -> dict[str, object]:
    took: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        ears.write(Path(folder), SAYS, size=ears.TINY_EN)
        said = clips(options)
        async with room(Path(folder), options.threads) as here:
            await here.spoken(said[0])
            for number, clip in enumerate(said, 1):
                for early in (number % 2 == 0, number % 2 == 1):
                    here.rooms.early = early
                    turn = await here.spoken(clip)
                    if turn is not None and turn.spoken is not None:
                        took[early].append(turn.spoken.at["heard"])
                note(f"foreseen: {number} of {len(said)} clips")
    return {
        "clips": len(said),
        "ms from the end of speech to the words, begun where the end is probable": spread(took[True]),
        "begun where it is sure": spread(took[False]),
        "ratio": round(statistics.median(took[True]) / statistics.median(took[False]), 2),
    }


async def published(options: Options) -> dict[str, object]:
    turns: list[Turn] = []
    said = COMMANDS[: options.clips]
    async with room(check(options.ears), options.threads, espeak=True) as here:
        for number, text in enumerate(said, 1):
            if (turn := await here.spoken(await asyncio.to_thread(speakers.say, SPEAKER, text))) is not None:
                turns.append(turn)
            if number % 10 == 0:
                note(f"published: {number} of {len(said)} commands")
    acted = [turn for turn in turns if turn.spoken and "published" in turn.spoken.at]
    return {
        "commands": len(said),
        "sent to a device": len(acted),
        "ms from the end of speech": moments(
            acted, ("ended", "heard", "understood", "published", "confirmed", "sound")
        ),
    }


def moments(turns: Sequence[Turn], names: Sequence[str]) -> dict[str, dict[str, float]]:
    at = [turn.spoken.at for turn in turns if turn.spoken]
    return {
        name: spread([each[name] for each in at if name in each]) for name in names if any(name in each for each in at)
    }


# -- memory


async def memory(options: Options) -> dict[str, object]:
    """Of the daemon, which hears over the Wyoming protocol and has loaded its voice; a sound server is not needed for that."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        folder = Path(name)
        ears.write(folder / "ears", SAYS, size=ears.TINY_EN)
        piper_shape.write(folder / "medium.onnx")
        files = {name: round((folder / name).stat().st_size / 1e6) for name in ("ears/model.bin", "medium.onnx")}
        async with broker() as address, Home(address), Link(address, must_connect=True) as link:
            process = await running(folder, address, options.threads)
            try:
                held = await used(link, process.pid)
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
                await process.wait()
    together = sum(held.values())
    return {
        "MB by process": {name: round(mb) for name, mb in held.items()},
        "MB together": round(together),
        "wanted": f"<= {MOST_MB}",
        "reached": together <= MOST_MB,
        "MB of the files": files,
    }


async def running(folder: Path, address: LinkSettings, threads: int) -> asyncio.subprocess.Process:
    settings = folder / "hub.toml"
    settings.write_text(
        f'state_folder = "{folder}"\n[broker]\nhost = "{address.host}"\nport = {address.port}\nprotocol = "3.1.1"\n'
        f'[voice]\nhearing = "{folder}/ears"\nvoice = "{folder}/medium.onnx"\nthreads = {threads}\n'
        f'[voice.rooms."Kitchen"]\n[wyoming]\nserve = true\nannounce = false\nport = {PORT}\n'
    )
    words = (sys.executable, "-m", "hub", "run", "--config", str(settings))
    return await asyncio.create_subprocess_exec(*words, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL)


PORT = 10_655


async def used(link: Link, pid: int) -> dict[str, float]:
    """Megabytes by process, once it has answered, heard and spoken three times each."""
    for text in ("turn on the kitchen light", "is the front door locked", "set the desk lamp to 70 percent"):
        await answered(link, text, 1.0)
        await over_wyoming(text)
    return {f"{number} {called(each)}": pss(each) for number, each in enumerate(family(pid))}


async def over_wyoming(text: str) -> None:
    """Lets it hear two seconds and say the text."""
    from wyoming.asr import Transcribe, Transcript
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.client import AsyncTcpClient
    from wyoming.tts import Synthesize

    for begin, ends in (
        (
            [Transcribe().event(), AudioStart(RATE, 2, 1).event(), AudioChunk(RATE, 2, 1, quiet(2).tobytes()).event()],
            None,
        ),
        ([Synthesize(text).event()], AudioStop),
    ):
        async with AsyncTcpClient("127.0.0.1", PORT) as client, asyncio.timeout(_WITHIN):
            for event in [*begin, *([] if ends else [AudioStop().event()])]:
                await client.write_event(event)
            kind = "audio-stop" if ends else Transcript("").event().type
            while (answer := await client.read_event()) is not None and answer.type != kind:
                pass


def called(pid: int) -> str:
    """The module that a Python process runs."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("-m") + 1] if "-m" in words else words[0]


ROWS: dict[str, Callable[[Options], Awaitable[dict[str, object]]]] = {
    "transcript": transcript,
    "foreseen": foreseen,
    "published": published,
    "memory": memory,
}


def possible(row: str, options: Options) -> str:
    """Why a row cannot be measured; "" where it can."""
    if row in ("transcript", "foreseen") and options.speech is None:
        return "needs --speech FOLDER"
    if row == "published" and not options.ears.is_dir():
        return f"{options.ears} is not there: python -m hub.make_ears --ship, or --ears FOLDER"
    return ""


def show(name: str, found: dict[str, Any]) -> None:
    print(name)
    for key, value in found.items():
        parts = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"  {key}: {parts}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, help="holds commands/*.wav, recorded commands at any rate")
    parser.add_argument("--ears", type=Path, default=EARS, help="a faster-whisper folder for `published`")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--clips", type=int, default=1000, help="the first of them")
    parser.add_argument("--threads", type=int, default=1, help="of Whisper")
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    options = Options(given.speech, given.ears, given.clips, given.threads)
    found: dict[str, object] = {"cores": os.cpu_count(), "load before": round(os.getloadavg()[0], 2)}
    for row in given.only:
        why = possible(row, options)
        told = {"left out": why} if why else asyncio.run(_made(ROWS[row](options)))
        found[row] = told
        if not given.as_json:
            show(row, told)
    if given.as_json:
        print(json.dumps(found, indent=1))


async def _made(row: Awaitable[dict[str, object]]) -> dict[str, object]:
    return await row


if __name__ == "__main__":
    main()
