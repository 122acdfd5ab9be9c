"""One spoken command in a straight line: read `Pipeline.answer` first.

    understand -> (resolved in the house) -> carry_out -> phrase

Whatever goes wrong on the way is a sentence too: a turn never ends the hub.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from devices.control import carry_out_all
from devices.device import Device, DeviceError
from devices.house import House
from devices.link import Link
from hub import HubError, chores, reply
from hub.conversation import Conversation, Question, refer, settle
from hub.guard import Guard, Key, Verdict, Waiting, is_guarded, needs_pin
from hub.pin import Said, numeric
from hub.reading import Completer, Reader
from hub.schedule import Delayed, Schedule, with_wish
from hub.settings import Settings
from hub.talk import Talker, is_question
from hub.turn import Order, Turn, went_well
from intents import values
from intents.homes import Home
from intents.intent import Because, Outcome, Resolution, Trouble, Wish
from intents.resolve import commands
from intents.understand import Understanding, understand
from models import ModelError

log = logging.getLogger(__name__)

NOBODY: Key = ("", "", "nobody")  # nobody who could be asked for the PIN
NOBODY_ASKED = "That was to open something, for which the PIN is needed, so I did not do it."
ROOMS = 100  # conversations that are remembered; more rooms are made up by somebody
# The opposite of what can be undone after a while ("turn on the fan for ten minutes").
UNDO: Mapping[str, str] = MappingProxyType(
    {
        **{"turn_on": "turn_off", "turn_off": "turn_on", "open": "close", "close": "open", "mute": "unmute"},
        **{"unmute": "mute", "unlock": "lock", "media_pause": "media_play"},
    }
)
_STATES = frozenset({"get_state", "get_temperature"})
_DELAY = re.compile(r"\b(?:in|after)\s+((?:(?!(?:for|the|my|our)\b)[\w./-]+\s+){1,6}?(?:seconds?|minutes?|hours?)\b)")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an utterance: the sentences to say, whether all of it was done, and the orders to devices."""

    said: tuple[str, ...] = ()
    done: bool = True
    orders: tuple[Order, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A turn while it is under way: what is known of it already, should it fail."""

    text: str
    room: str
    home: Home
    understanding: Understanding = field(
        default_factory=lambda: Understanding(Resolution(Outcome.REFUSE, trouble=Trouble(Because.NOT_UNDERSTOOD)))
    )
    ms: dict[str, float] = field(default_factory=dict)
    talk: str = ""  # the conversation that it is part of, where that is not the room's
    key: Key = ("", "", "")  # where an answer to "what is the PIN?" has to come from
    allowed: bool = False  # the PIN was said
    asks: str = ""  # as in Turn


class Pipeline:
    """Answers utterances in one house. Several may be under way at once."""

    def __init__(
        self,
        settings: Settings,
        house: House,
        link: Link,
        schedule: Schedule,
        completer: Completer,
        clock: Callable[[], float] = time.monotonic,
        talker: Talker | None = None,
        guard: Guard | None = None,
        command: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._settings = settings
        self._house = house
        self._link = link
        self._schedule = schedule
        self._completer = completer
        self._clock = clock
        self._talker = talker
        self._command = command  # held while a command is read, so that one model reads all of it
        self._guard = guard or Guard(settings.safety.pin)
        self._home = Home(())
        self._rooms: defaultdict[str, Conversation] = defaultdict(Conversation)

    async def answer(self, utterance: str, room: str = "", conversation: str = "", source: str = "") -> Turn:
        """The whole turn: what was said, understood, done and is to be replied. Never raises.

        What "it" means is remembered for each room, or for each conversation where it is part of one. The PIN is asked
        of whoever spoke: what answers that has to come through the same `source` (a microphone, a connection), from the
        same room and conversation.
        """
        key = (source, room, conversation)
        heard = self._guard.hear(utterance)
        draft = _Draft(self._guard.shown(utterance, key), room, self.home(), talk=conversation, key=key)
        return await self._turned(draft, lambda: self._answered(draft, utterance, heard))

    def shown(self, utterance: str, room: str = "", source: str = "") -> str:
        """What of an utterance may be logged and shown before `answer` has been asked: all of it but a PIN."""
        return self._guard.shown(utterance, (source, room, ""))

    async def _turned(self, draft: _Draft, work: Callable[[], Awaitable[tuple[str, Done]]]) -> Turn:
        """The turn that this work makes of the draft, whatever goes wrong in it."""
        started = self._clock()
        try:
            kind, done = await work()
        except (HubError, DeviceError, ModelError) as error:
            log.warning("%s", error)
            kind, done = "error", Done((f"That did not work: {error}",), done=False)
        except Exception:  # a fault of ours costs this turn, never the hub
            log.exception("a turn failed: %r", draft.text[:200])
            kind, done = "error", Done(("Something is wrong with me; my log says what.",), done=False)
        draft.ms["all"] = (self._clock() - started) * 1000
        return _turn(draft, kind, done)

    async def _answered(self, draft: _Draft, utterance: str, heard: Said) -> tuple[str, Done]:
        """The kind of the turn, and what came of it. Raises HubError, DeviceError and ModelError."""
        waiting = self._guard.take(draft.key)
        if waiting is not None and (heard.alone or (not heard.digits and numeric(utterance))):
            return await self._unlocked(waiting, heard, draft)
        if heard.alone:
            return "refuse", Done(("There is nothing now that waits for the PIN.",), done=False)
        async with self._command():
            draft.understanding = await self._understand(draft)
            resolution = draft.understanding.resolution
            opens = not draft.allowed and await self._needs_pin(resolution, draft.home, draft.room)
        self._remember(draft)
        if (said := await self._talked(resolution, draft.text)) is not None:
            return Outcome.ANSWER.value, Done((said,))
        if resolution.trouble is not None:
            return resolution.outcome.value, Done((self._trouble(resolution.trouble),), done=False)
        if opens:
            waiting = Waiting(draft.text, draft.understanding, self._clock())
            return await self._unlocked(waiting, heard, draft)
        return resolution.outcome.value, await self._carry_out(resolution, draft)

    # -- the PIN

    async def _needs_pin(self, resolution: Resolution, home: Home, room: str) -> bool:
        """Whether any of it opens the house, now or later. Raises ModelError."""
        for wish in resolution.wishes if self._guard.on else ():
            if "when" in wish.slots:  # which is refused in any case
                continue
            planned = [wish]
            if wish.intent in UNDO and "seconds" in wish.slots:
                planned.append(Wish(UNDO[wish.intent], wish.targets))
            elif wish.intent == "delayed_command":
                command, reader = str(wish.slots.get("command", "")), Reader(self._completer)
                planned += (await understand(command, home, reader, area=room or None)).resolution.wishes
            if any(needs_pin(each, home) for each in planned):
                return True
        return False

    async def _unlocked(self, waiting: Waiting, heard: Said, draft: _Draft) -> tuple[str, Done]:
        """What waits, done with the PIN that was heard; asked for where there is none, and refused after too many."""
        draft.understanding = waiting.understanding
        verdict = await self._guard.check(heard.digits) if heard.digits else None
        if verdict is Verdict.RIGHT:
            resolution = waiting.understanding.resolution
            allowed = replace(draft, text=waiting.text, allowed=True)  # it shares what is measured
            return resolution.outcome.value, await self._carry_out(resolution, allowed)
        if seconds := self._guard.locked_for:
            return "refuse", Done((reply.locked_out(seconds),), done=False)
        if draft.key == NOBODY:
            return "refuse", Done((NOBODY_ASKED,), done=False)
        self._guard.ask(draft.key, waiting)
        draft.asks = "pin"
        again = "" if verdict is None else "That is not the PIN. "
        return Outcome.ASK.value, Done((f"{again}What is the PIN?",), done=False)

    async def meaning(self, utterance: str, room: str = "") -> tuple[Resolution, str]:
        """What it would do, and the sentence where it would do nothing. Nothing is done or remembered. Raises ModelError."""
        reader, home = Reader(self._completer), self.home()
        said, sure = self._guard.hear(utterance).text, self._settings.safety.sure
        async with self._command():
            found = await understand(*(said, home, reader), area=room or None, threshold=sure)
            resolution = self._guarded(found, home).resolution
            opens = await self._needs_pin(resolution, home, room)
        if opens:  # whoever carries it out instead of us does not ask for the PIN
            return Resolution(Outcome.REFUSE, trouble=Trouble(Because.CANNOT)), NOBODY_ASKED
        return resolution, self._trouble(resolution.trouble) if resolution.trouble is not None else ""

    async def _talked(self, resolution: Resolution, utterance: str) -> str | None:
        """The chat model's answer to a question that is not for the home; None where there is no such model or question."""
        trouble = resolution.trouble
        if (
            self._talker is None
            or trouble is None
            or trouble.because is not Because.NOT_FOR_ME
            or not is_question(utterance)
        ):
            return None
        return await self._talker.answer(utterance)

    async def do(self, delayed: Delayed) -> Turn:
        """Carries out what was put off: its sentence, or its wish on the devices as they were chosen then.

        Whoever planned it has said the PIN, where it needs one; now nobody is there to be asked.
        """
        draft = _Draft(delayed.text, delayed.room, self.home(), key=NOBODY, allowed=delayed.allowed)
        if not delayed.intent:
            return await self._turned(draft, lambda: self._answered(draft, delayed.text, Said(delayed.text)))
        wish = Wish(delayed.intent, delayed.targets, MappingProxyType(dict(delayed.slots)))
        resolution = Resolution(Outcome.ACT, (wish,))
        draft.understanding = Understanding(resolution, confidence=1.0)
        return _turn(draft, "act", await self._carry_out(resolution, draft))

    def home(self) -> Home:
        """The house as resolving sees it: the same until a device comes, goes or is called otherwise."""
        devices, settings = self._house.devices, self._settings.house
        if devices is not self._home.devices:
            areas: dict[str, str | None] = dict.fromkeys(settings.areas)
            areas |= settings.floors
            areas |= {d.area: d.floor for d in devices if d.area}
            self._home = Home(devices, MappingProxyType(areas), self._house.states)
        return self._home

    async def _understand(self, draft: _Draft) -> Understanding:
        started, now = self._clock(), self._clock()
        talk = self._talk(draft.talk or draft.room)
        question = talk.take_question(now)
        if question is not None and (settled := settle(question, draft.text, draft.home, draft.room)) is not None:
            draft.ms["resolve"] = (self._clock() - started) * 1000
            return Understanding(settled, confidence=1.0, parses=question.parses)
        reader = Reader(self._completer)
        found = await understand(
            *(draft.text, draft.home, reader),
            area=draft.room or None,
            last=talk.targets(now),
            threshold=self._settings.safety.sure,
        )
        found = refer(found, draft.text, draft.home, draft.room or None, talk.targets(now))
        draft.ms |= {"read": reader.ms_read, "parse": reader.ms_write}
        draft.ms["resolve"] = max(0.0, (self._clock() - started) * 1000 - reader.ms)
        return self._guarded(found, draft.home)

    def _guarded(self, found: Understanding, home: Home) -> Understanding:
        """The same, or a refusal where it would open the house and the model is not sure enough."""
        risky = any(is_guarded(wish, home) for wish in found.resolution.wishes)
        if not risky or found.confidence >= self._settings.safety.sure_to_unlock:
            return found
        return replace(found, resolution=Resolution(Outcome.REFUSE, trouble=Trouble(Because.NOT_UNDERSTOOD)))

    def _talk(self, room: str) -> Conversation:
        if room not in self._rooms and len(self._rooms) >= ROOMS:
            self._rooms.pop(next(iter(self._rooms)))
        return self._rooms[room]

    def _remember(self, draft: _Draft) -> None:
        resolution, now = draft.understanding.resolution, self._clock()
        talk = self._talk(draft.talk or draft.room)
        talk.remember([t for wish in resolution.wishes for t in wish.targets], now)
        if resolution.outcome is Outcome.ASK and resolution.trouble is not None:
            talk.ask(Question(draft.text, draft.understanding.parses, resolution.trouble, now))

    def _trouble(self, trouble: Trouble) -> str:
        if trouble.because is Because.NO_SUCH_DEVICE and trouble.intent in chores.NOT_YET:
            return chores.NOT_YET[trouble.intent]
        return reply.trouble(trouble, _by_id(self._house.devices))

    async def _carry_out(self, resolution: Resolution, draft: _Draft) -> Done:
        """Answers and chores at once, the orders to devices together, put-off ones on the schedule."""
        started = self._clock()
        now_wishes, done = [], Done()
        for wish in resolution.wishes:
            if wish.intent in _STATES or chores.can(wish.intent):
                done = _and(done, self._without_devices(wish, draft))
            elif (put_off := self._put_off(wish, draft)) is not None:
                done = _and(done, put_off)
            else:
                now_wishes.append(wish)
        if now_wishes:
            done = _and(done, await self._order(now_wishes, draft))
        draft.ms["act"] = (self._clock() - started) * 1000
        return done

    def _without_devices(self, wish: Wish, draft: _Draft) -> Done:
        if wish.intent not in _STATES:
            did = chores.do(wish.intent, {**wish.slots, "allowed": draft.allowed}, draft.room, self._schedule)
            return Done((did.reply,), did.done)
        found = _by_id(self._house.devices)
        asked = [(found[t], self._house.state(t)) for t in wish.targets if t in found]
        if wish.intent == "get_temperature":
            return Done((reply.temperatures(asked),))
        return Done((reply.states(asked, str(wish.slots.get("state", "")), str(wish.slots.get("quantity", ""))),))

    def _put_off(self, wish: Wish, draft: _Draft) -> Done | None:
        """What is not to be done now: planned for later, or refused; None for what is to be done now."""
        if "when" in wish.slots:
            return Done(("I cannot do that at a set time yet; I can do it in some minutes or hours.",), done=False)
        seconds = wish.slots.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not says_in(draft.text):
            return None
        later = replace(wish, slots={k: v for k, v in wish.slots.items() if k != "seconds"})
        self._plan(later, draft, seconds)
        names = reply.names([d for t in wish.targets if (d := draft.home.device(t)) is not None])
        return Done((f"In {reply.duration(seconds)} I will do that with {names}.",))

    async def _order(self, wishes: Sequence[Wish], draft: _Draft) -> Done:
        made = commands(Resolution(Outcome.ACT, tuple(wishes)), draft.home)
        if not made:
            return Done(("I cannot do that yet.",), done=False)
        reports = await carry_out_all(made, self._house, self._link)
        found = {d.id: d for d in draft.home.devices} | _by_id(self._house.devices)
        orders = tuple(
            Order(found[r.command.device_id].name if r.command.device_id in found else r.command.device_id, r)
            for r in reports
        )
        done = Done((reply.reports(reports, found),), all(went_well(r.outcome) for r in reports), orders)
        return _and(done, self._undo_later(wishes, draft)) if done.done else done

    def _undo_later(self, wishes: Sequence[Wish], draft: _Draft) -> Done:
        """`Turn on the fan for ten minutes`: it was turned on, now the end is planned."""
        said = []
        for wish in wishes:
            seconds = wish.slots.get("seconds")
            if isinstance(seconds, int | float) and wish.intent in UNDO:
                self._plan(Wish(UNDO[wish.intent], wish.targets), draft, seconds)
                said.append(f"I will undo that in {reply.duration(seconds)}.")
        return Done(tuple(said))

    def _plan(self, wish: Wish, draft: _Draft, seconds: float) -> None:
        due = self._schedule.clock() + seconds
        delayed = Delayed(0, due, draft.text, draft.room, wish.intent, wish.targets, dict(wish.slots))
        self._schedule.keep(with_wish(self._schedule.plans, delayed))


def says_in(text: str) -> bool:
    """Whether a duration in the sentence is said as a delay ("in five minutes") and not as a length ("for ...")."""
    return any(values.duration(found[1]) for found in _DELAY.finditer(text.lower()))


def _by_id(devices: Sequence[Device]) -> dict[str, Device]:
    return {d.id: d for d in devices}


def _and(one: Done, other: Done) -> Done:
    return Done((*one.said, *other.said), one.done and other.done, (*one.orders, *other.orders))


def _turn(draft: _Draft, kind: str, done: Done) -> Turn:
    understanding = draft.understanding
    return Turn(
        text=draft.text[:2000],
        reply=" ".join(done.said) or "All right.",
        kind=kind,
        done=done.done,
        room=draft.room,
        line=understanding.line,
        actions=tuple(as_dict(w) for w in understanding.resolution.wishes),
        confidence=understanding.confidence,
        asks=draft.asks,
        orders=done.orders,
        ms=MappingProxyType(draft.ms),
    )


def as_dict(wish: Wish) -> dict[str, object]:
    """The wish in the vocabulary of the outside."""
    return {"intent": wish.intent, "targets": list(wish.targets), "slots": dict(wish.slots)}
