"""The child process: what kills it costs one restart and is never the end of who asks; nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
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


async def test_a_child_that_dies_during_a_call_costs_one_retry(worker: Worker) -> None:
    pid = pid_of(worker)
    call = asyncio.create_task(worker.complete("x", LONG, 1600))
    await busy(pid)
    os.kill(pid, signal.SIGKILL)
    await replaced(worker, pid)
    assert not call.done()
    assert len((await call).text) == 1500
    assert not exists(pid)


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
        with pytest.raises(ModelError, match="too long"):
            await worker.complete("x", LONG, 1600)
        assert not exists(pid)


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
