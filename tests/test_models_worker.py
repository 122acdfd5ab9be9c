"""The child process: what kills it costs one restart and is never the end of who asks; nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from intents import line
from intents.grammar import grammar
from intents.prompt import ASK, prompt
from models import ModelError
from models.export.gguf import LlamaConfig
from models.export.stand_in import write_stand_in
from models.worker import Worker

SAID = line.words("turn on the lamp in the kitchen")
LONG = "start: /[a-z]{1500}/"  # seconds of work
PATIENCE = 6.0  # seconds for a start, which takes one; all of this is waited for where a child hangs
WIDE = LlamaConfig(dim=256, layers=4, heads=4, kv_heads=2, ffn=512, vocab=512, context=2048)


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("worker") / "random.gguf"
    write_stand_in(path, [ASK, *line.symbols()], config=WIDE)
    return path


@pytest.fixture
async def worker(path: Path) -> AsyncIterator[Worker]:
    async with Worker(path) as worker:
        await worker.start()
        yield worker


async def answers(worker: Worker) -> bool:
    completion = await worker.complete(prompt(SAID), grammar(SAID), 400)
    return line.read(completion.text) is not None and 0 < completion.confidence <= 1


def pid_of(worker: Worker) -> int:
    assert worker.pid is not None
    return worker.pid


def exists(pid: int) -> bool:
    """Whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_answers_and_leaves_nothing_behind(path: Path) -> None:
    worker = Worker(path)
    assert worker.pid is None
    assert await answers(worker)
    pid = pid_of(worker)
    await worker.close()
    await worker.close()
    assert not exists(pid)
    with pytest.raises(ModelError, match="closed"):
        await answers(worker)


async def test_the_same_child_answers_call_after_call(worker: Worker) -> None:
    pid = worker.pid
    assert all(await asyncio.gather(*(answers(worker) for _ in range(5))))
    assert worker.pid == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGILL, signal.SIGTERM])
async def test_a_child_that_dies_between_calls_is_replaced(worker: Worker, number: signal.Signals) -> None:
    pid = pid_of(worker)
    os.kill(pid, number)
    assert await answers(worker)
    assert worker.pid != pid
    assert not exists(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
async def test_a_child_that_dies_during_a_call_costs_one_retry(
    worker: Worker, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    pid = pid_of(worker)
    call = asyncio.create_task(worker.complete("x", LONG, 1600))
    await busy(pid)
    waiting = [asyncio.create_task(answers(worker)) for _ in range(3)]
    os.kill(pid, number)
    await replaced(worker, pid)
    assert not call.done()
    assert len((await call).text) == 1500
    assert all(await asyncio.gather(*waiting))
    assert not exists(pid)
    (told,) = [record.getMessage() for record in caplog.records if "started again" in record.getMessage()]
    assert number.name in told


async def test_a_child_that_hangs_during_a_call_costs_one_retry(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Worker(path, timeout=2.0) as worker:
        await worker.start()
        pid = pid_of(worker)
        os.kill(pid, signal.SIGSTOP)
        assert all(await asyncio.gather(answers(worker), answers(worker)))
        assert worker.pid != pid
        assert not exists(pid)
    assert any("said nothing for" in record.getMessage() for record in caplog.records)


async def test_a_child_that_is_killed_while_it_loads_costs_one_retry(path: Path) -> None:
    async with Worker(path) as worker:
        call = asyncio.create_task(answers(worker))
        (first,) = await children()
        os.kill(first, signal.SIGKILL)
        assert await call
        assert not exists(first)


async def test_a_child_that_hangs_while_it_loads_costs_one_retry(path: Path) -> None:
    async with Worker(path, loads_within=PATIENCE) as worker:
        call = asyncio.create_task(answers(worker))
        (first,) = await children()
        os.kill(first, signal.SIGSTOP)
        assert await call
        assert not exists(first)


@pytest.mark.parametrize("moment", range(5))
async def test_killed_at_any_moment_the_command_is_answered(worker: Worker, moment: int) -> None:
    """At moments that differ from run to run: between the request and the reply, and just after it."""
    call = asyncio.create_task(answers(worker))
    for _ in range(moment):
        await asyncio.sleep(0.0005)
    if (pid := worker.pid) is not None:
        os.kill(pid, signal.SIGKILL)
    assert await call
    assert await answers(worker)


async def test_a_second_death_is_an_error_and_the_next_call_is_answered(worker: Worker) -> None:
    first = pid_of(worker)
    call = asyncio.create_task(worker.complete("x", LONG, 1600))
    await busy(first)
    os.kill(first, signal.SIGKILL)
    second = await replaced(worker, first)
    os.kill(second, signal.SIGKILL)
    with pytest.raises(ModelError, match=r"SIGKILL.*twice"):
        await call
    assert not exists(first)
    assert not exists(second)
    assert await answers(worker)


async def test_an_answer_that_takes_too_long_ends_the_child(path: Path) -> None:
    async with Worker(path, timeout=0.2) as worker:
        await worker.start()
        pid = pid_of(worker)
        with pytest.raises(ModelError, match=r"nothing for 0\.2 s, twice.*random\.gguf.*too slow"):
            await worker.complete("x", LONG, 1600)
        assert not exists(pid)
        assert worker.pid is None


async def test_closing_ends_a_child_that_is_at_work(worker: Worker) -> None:
    pid = pid_of(worker)
    call = asyncio.create_task(worker.complete("x", LONG, 1600))
    await busy(pid)
    await worker.close()
    assert not exists(pid)
    with pytest.raises(ModelError, match="closed"):
        await call


async def test_closing_while_a_child_is_being_started_leaves_none(path: Path) -> None:
    worker = Worker(path)
    call = asyncio.create_task(answers(worker))
    await asyncio.sleep(0)
    await worker.close()
    with pytest.raises(ModelError, match="closed"):
        await call
    assert worker.pid is None


async def test_a_call_that_is_given_up_does_not_answer_the_next_one(worker: Worker) -> None:
    call = asyncio.create_task(worker.complete("x", LONG, 1600))
    await busy(pid_of(worker))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await answers(worker)


async def test_what_the_engine_refuses_is_an_error_without_a_restart(worker: Worker) -> None:
    pid = worker.pid
    with pytest.raises(ModelError, match="grammar"):
        await worker.complete("x", "start: (")
    with pytest.raises(ModelError, match="too long"):
        await worker.complete("a" * 100_000, "start: <none>")
    assert await answers(worker)
    assert worker.pid == pid


async def test_a_file_that_is_no_model_is_an_error_at_once(tmp_path: Path, path: Path) -> None:
    truncated = tmp_path / "truncated.gguf"
    truncated.write_bytes(path.read_bytes()[:100_000])
    for bad in (truncated, tmp_path / "absent.gguf"):
        async with Worker(bad) as worker:
            with pytest.raises(ModelError, match=bad.name):
                await worker.start()


async def test_another_model_takes_over_and_the_first_one_goes(worker: Worker, other: Path) -> None:
    pid, before = pid_of(worker), worker.fingerprint
    first = await worker.complete(prompt(SAID), grammar(SAID), 400)
    await worker.use(other)
    assert worker.pid != pid
    assert not exists(pid)
    assert worker.fingerprint != before
    assert (await worker.complete(prompt(SAID), grammar(SAID), 400)).logprobs != first.logprobs


async def test_the_present_model_answers_while_another_one_loads(worker: Worker, other: Path) -> None:
    pid = pid_of(worker)
    change = asyncio.create_task(worker.use(other))
    await children(but=pid)
    assert await answers(worker)
    assert not change.done()
    assert worker.pid == pid
    await change
    assert await answers(worker)


@pytest.fixture(scope="session")
def other(path: Path) -> Path:
    other = path.with_name("other.gguf")
    write_stand_in(other, [ASK, *line.symbols()], seed=1)
    return other


@pytest.fixture(scope="session")
def crashing(other: Path) -> Path:
    """A model file on which llama.cpp itself aborts: it has no layers."""
    data, key = other.read_bytes(), b"llama.block_count"
    at = data.index(key) + len(key) + 4
    crashing = other.with_name("crashing.gguf")
    crashing.write_bytes(data[:at] + struct.pack("<I", 0) + data[at + 4 :])
    return crashing


async def test_a_model_that_crashes_on_load_is_named_and_the_present_one_stays(
    worker: Worker, crashing: Path, tmp_path: Path
) -> None:
    pid, before = pid_of(worker), worker.fingerprint
    with pytest.raises(ModelError, match=r"SIGABRT.*twice.*crashing\.gguf"):
        await worker.use(crashing)
    with pytest.raises(ModelError, match=r"absent\.gguf"):
        await worker.use(tmp_path / "absent.gguf")
    assert (worker.pid, worker.fingerprint) == (pid, before)
    assert await answers(worker)
    os.kill(pid, signal.SIGKILL)  # and a new child loads the one that stayed
    assert await answers(worker)
    assert worker.fingerprint == before


async def test_a_model_that_is_killed_once_while_it_loads_is_tried_again(worker: Worker, other: Path) -> None:
    pid = pid_of(worker)
    change = asyncio.create_task(worker.use(other))
    (loading,) = await children(but=pid)
    os.kill(loading, signal.SIGKILL)
    await change
    assert worker.pid not in (pid, loading)
    assert await answers(worker)


async def test_a_crash_of_the_present_model_does_not_end_the_one_that_loads(worker: Worker, other: Path) -> None:
    pid = pid_of(worker)
    change = asyncio.create_task(worker.use(other))
    (loading,) = await children(but=pid)
    os.kill(pid, signal.SIGKILL)
    assert await answers(worker)
    await change
    assert worker.pid == loading
    assert await answers(worker)


async def test_closing_or_giving_up_a_change_leaves_no_child(worker: Worker, other: Path) -> None:
    pid = pid_of(worker)
    given_up = asyncio.create_task(worker.use(other))
    (first,) = await children(but=pid)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert not exists(first)
    change = asyncio.create_task(worker.use(other))
    (second,) = await children(but=pid)
    await worker.close()
    with pytest.raises(ModelError, match="closed"):
        await change
    assert not exists(second)
    assert not exists(pid)


DAEMON = """
import asyncio, sys
from pathlib import Path
from models.worker import Worker
async def main():
    async with Worker(Path(sys.argv[1])) as worker:
        await worker.start()
        print(worker.pid, flush=True)
        await worker.complete("x", {long!r}, 1600)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_child_outlives_its_daemon(path: Path, number: signal.Signals) -> None:
    """Ctrl-C goes to the whole group of the terminal: the daemon tidies up, and no child prints a traceback."""
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON.format(long=LONG), str(path)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        os.killpg(daemon.pid, number)
        out, err = daemon.communicate(timeout=20)
    assert (out, err) == ("interrupted\n" if number == signal.SIGINT else "", "")
    assert gone(pid)


def gone(pid: int) -> bool:
    """Whether the process ends; a child of a killed daemon ends when it finds its input closed."""
    descriptor = os.pidfd_open(pid) if exists(pid) else -1
    if descriptor < 0:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20)[0])
    finally:
        os.close(descriptor)


def loads(pid: int) -> bool:
    """Whether this is a worker's child: other tests leave other children behind."""
    try:
        return b"models.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def children(but: int = 0) -> list[int]:
    """This process's children that load models, once there are any beside `but`."""
    while True:
        tasks = Path("/proc/self/task").glob("*/children")
        pids = [int(pid) for task in tasks for pid in task.read_text().split()]
        if found := [pid for pid in pids if pid != but and loads(pid)]:
            return found
        await asyncio.sleep(0.005)


async def busy(pid: int) -> None:
    """Wait until the child has used processor time for the call: it is in the middle of it."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    start = used()
    while used() < start + 3:
        await asyncio.sleep(0.005)


async def replaced(worker: Worker, pid: int) -> int:
    """The next child's process id, once there is one."""
    while worker.pid in (None, pid):
        await asyncio.sleep(0.005)
    return pid_of(worker)
