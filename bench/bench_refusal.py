"""What the hub does with requests for what a home does not have: a hundred random homes, rooms, devices and abilities.

    python bench/bench_refusal.py [--homes 100] [--seed 1] [--show 10]

Beside each request for what is missing stands the same wording for what is there: a hub that refuses all would score
nothing on those. A refusal counts as named when its reply has the missing thing in it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from devices.device import Capability, Device, Kind
from hub import reply
from hub.reading import Reader
from intents.homes import Home
from intents.intent import Outcome
from intents.line import words
from intents.understand import understand
from models.files import default_model
from models.worker import Worker

ROOMS = (
    "kitchen,living room,bedroom,office,garage,attic,nursery,hallway,bathroom,dining room,cellar,conservatory".split(
        ","
    )
)
NAMES = "amber birch cobalt delta ember falcon granite heron iris juniper kestrel lotus maple nova onyx poppy".split()


@dataclass(frozen=True)
class Sort:
    """A kind of thing, what it can do, and an order that it obeys; {} is its name."""

    noun: str
    kind: Kind
    can: frozenset[Capability]
    order: str
    device_class: str | None = None


def _sort(noun: str, kind: Kind, can: str, order: str, device_class: str | None = None) -> Sort:
    return Sort(noun, kind, frozenset(map(Capability, can.split())), order, device_class)


SORTS = (
    _sort("lamp", Kind.LIGHT, "on_off brightness", "turn on the {}"),
    _sort("plug", Kind.SWITCH, "on_off", "switch off the {}"),
    _sort("fan", Kind.FAN, "on_off", "start the {}"),
    _sort("blinds", Kind.COVER, "open_close", "close the {}", "blind"),
    _sort("door lock", Kind.LOCK, "lock", "lock the {}"),
    _sort("thermostat", Kind.CLIMATE, "temperature", "set the {} to 20 degrees"),
    _sort("speaker", Kind.MEDIA_PLAYER, "on_off volume playback", "pause the {}"),
)
# Orders for an ability, and the sorts of things that lack it.
LACKING = (
    ("make the {} red", "lamp plug fan blinds"),
    ("dim the {} to 30 percent", "plug fan"),
    ("set the {} to 21 degrees", "plug blinds speaker"),
    ("open the {}", "lamp plug thermostat speaker"),
    ("lock the {}", "lamp plug fan blinds thermostat"),
    ("set the brightness of the {} to 50 percent", "fan blinds thermostat"),
    ("set the volume of the {} to 20 percent", "plug fan blinds thermostat"),
)


@dataclass(frozen=True)
class Request:
    """A sentence, what sort of request it is, and the word of what is missing ("" where nothing is)."""

    sort: str
    text: str
    missing: str


def made(rng: random.Random) -> Home:
    """A home of some rooms with some things in each, called after the room or by a name of their own."""
    devices: dict[str, Device] = {}
    for room in rng.sample(ROOMS, rng.randint(3, 6)):
        for sort in rng.sample(SORTS, rng.randint(2, 4)):
            name = f"{room if rng.random() < 0.7 else rng.choice(NAMES)} {sort.noun}"
            devices.setdefault(
                name,
                Device(name.replace(" ", "_"), name, sort.kind, sort.can, area=room, device_class=sort.device_class),
            )
    return Home(tuple(devices.values()), {d.area: None for d in devices.values() if d.area})


def requests(home: Home, rng: random.Random) -> Iterator[Request]:
    there = list(home.devices)
    names = {d.name for d in there}
    for _ in range(3):
        device = rng.choice(there)
        yield Request("there", _sort_of(device).order.format(device.name), "")
        sort = rng.choice(SORTS)
        room = rng.choice([r for r in ROOMS if r not in home.areas])
        yield Request("no such room", sort.order.format(f"{sort.noun} in the {room}"), room)
        stranger = f"{rng.choice(NAMES)} {sort.noun}"
        if stranger not in names:
            yield Request("no such device", sort.order.format(stranger), stranger.split()[0])
        order, lacking = rng.choice(LACKING)
        fitting = [d for d in there if _sort_of(d).noun in lacking.split()]
        if fitting:
            device = rng.choice(fitting)
            yield Request("cannot do that", order.format(device.name), device.name.split()[0])


def _sort_of(device: Device) -> Sort:
    return next(s for s in SORTS if device.name.endswith(s.noun))


async def measure(homes: int, seed: int, show: int) -> None:
    rng = random.Random(seed)
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    named: Counter[str] = Counter()
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    async with Worker(default_model()) as worker:
        for _ in range(homes):
            home = made(rng)
            by_id = {d.id: d for d in home.devices}
            for request in requests(home, rng):
                found = await understand(request.text, home, Reader(worker))
                acted = found.resolution.outcome is Outcome.ACT
                asked[request.sort] += 1
                right[request.sort] += acted == (not request.missing)
                if request.missing and found.resolution.trouble is not None:
                    said = words(reply.trouble(found.resolution.trouble, by_id))
                    named[request.sort] += request.missing.split()[-1] in said
                if acted == bool(request.missing):
                    wrong[request.sort].append(f"{request.text}   {found.line}")
    print(f"{'':16} {'asked':>6} {'right':>8} {'named':>8}")
    for sort, count in asked.items():
        share = f"{named[sort] / count:8.1%}" if sort != "there" else ""
        print(f"{sort:16} {count:6} {right[sort] / count:8.1%} {share}")
    for sort, lines in wrong.items():
        for line in lines[:show]:
            print(f"{sort}: {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="wrong answers to print, of each sort")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.homes, arguments.seed, arguments.show))


if __name__ == "__main__":
    main()
