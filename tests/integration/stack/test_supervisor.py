"""The supervisor with small processes of its own: order, restarts, clean ends, words for what is in the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from mesh.stack import state as states
from mesh.stack.home import ROOT, Home
from mesh.stack.parts import Launch, Part
from mesh.stack.probes import listens
from mesh.stack.state import Phase
from mesh.stack.supervisor import Supervisor
from tests.harness import free_port

LISTEN = textwrap.dedent(
    """
    import signal, socket, sys, time
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        time.sleep(60)
    """
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def process(
    name: str, port: int, *, program: str = LISTEN, after: tuple[str, ...] = (), wave: int = 0
) -> Part:
    """A part that listens on a port."""

    async def ready() -> bool:
        return await listens(port)

    return Part(
        name=name,
        launch=lambda: Launch([sys.executable, "-c", program, str(port)], dict(os.environ)),
        ready=ready,
        ports={name: port},
        after=after,
        wave=wave,
        stop_seconds=2,
    )


@asynccontextmanager
async def running(home: Home, *parts: Part) -> AsyncIterator[Supervisor]:
    """A supervisor whose parts are all ready."""
    supervisor = Supervisor(parts, home)
    task = asyncio.create_task(supervisor.run())
    try:
        await until(lambda: supervisor.state.phase is not Phase.STARTING)
        yield supervisor
    finally:
        supervisor.stop()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def part(home: Home, name: str) -> states.PartState:
    """What the state file says of a part."""
    seen = states.read(home)
    assert seen is not None
    return next(one for one in seen.parts if one.name == name)


async def test_a_killed_process_comes_back_by_itself(home: Home) -> None:
    port = free_port()
    async with running(home, process("worker", port)):
        before = part(home, "worker")
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: part(home, "worker").restarts == 1)
        await until(lambda: part(home, "worker").phase is Phase.READY)
        assert part(home, "worker").pid != before.pid
        assert await listens(port)


async def test_pauses_grow_while_a_process_keeps_dying(home: Home) -> None:
    port = free_port()
    mark = home.path / "broken"
    program = f"import os, sys\nif os.path.exists({str(mark)!r}): sys.exit(3)\n{LISTEN}"
    async with running(home, process("worker", port, program=program)):
        mark.touch()
        os.kill(part(home, "worker").pid, signal.SIGKILL)
        await until(lambda: part(home, "worker").restarts >= 3)
        shown = part(home, "worker")
        assert (
            shown.message.endswith(("again in 0.8 s", "again in 1.6 s"))
            or shown.phase is Phase.STARTING
        )
        mark.unlink()
        await until(lambda: part(home, "worker").phase is Phase.READY)


async def test_a_part_waits_for_what_it_needs(home: Home) -> None:
    first, second = free_port(), free_port()
    slow = "import time; time.sleep(0.5)\n" + LISTEN
    async with running(
        home, process("below", first, program=slow), process("above", second, after=("below",))
    ):
        assert part(home, "above").start_time >= part(home, "below").start_time + 0.5


async def test_stopping_ends_every_process_and_frees_every_port(home: Home) -> None:
    ports = [free_port() for _ in range(3)]
    async with running(home, *(process(f"p{n}", port, wave=n) for n, port in enumerate(ports))):
        pids = [part(home, f"p{n}").pid for n in range(3)]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not any([await listens(port) for port in ports])
    assert not list(home.pids.iterdir())
    seen = states.read(home)
    assert seen is not None
    assert seen.phase is Phase.STOPPED


async def test_a_process_that_ignores_sigterm_is_killed(home: Home) -> None:
    port = free_port()
    stubborn = LISTEN.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    async with running(home, process("stubborn", port, program=stubborn)):
        pid = part(home, "stubborn").pid
    assert not psutil.pid_exists(pid)


async def test_what_a_dead_process_had_started_dies_with_it(home: Home) -> None:
    port = free_port()
    note = home.path / "grandchild"
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n{LISTEN}"
    )
    async with running(home, process("worker", port, program=program)):
        grandchild = psutil.Process(int(note.read_text()))
        os.kill(part(home, "worker").pid, signal.SIGKILL)
        await until(lambda: not _lives(grandchild))


async def test_a_process_that_never_starts_ends_the_start_with_its_last_words(home: Home) -> None:
    program = "import sys; print('no such setting: HAZINA_EXAMPLE'); sys.exit(1)"
    supervisor = Supervisor([process("worker", free_port(), program=program)], home)
    assert await asyncio.wait_for(supervisor.run(), 30) == 1
    assert "no such setting: HAZINA_EXAMPLE" in supervisor.state.message
    assert "worker" in supervisor.state.message


async def test_a_taken_port_is_named_with_its_holder_and_the_way_out(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        supervisor = Supervisor([process("worker", port)], home)
        assert await supervisor.run() == 1
    message = supervisor.state.message
    assert f"Port {port} (worker) is taken" in message
    assert f"pid {os.getpid()}" in message
    assert "HAZINA_PORT_BASE" in message


async def test_a_log_that_cannot_be_written_is_named(home: Home) -> None:
    (home.logs / "worker.log").mkdir()
    supervisor = Supervisor([process("worker", free_port())], home)
    assert await asyncio.wait_for(supervisor.run(), 10) == 1
    assert "worker.log" in supervisor.state.message


async def test_a_step_runs_once_and_its_failure_ends_the_start(home: Home) -> None:
    async def ready() -> bool:
        return True

    def step(program: str) -> Part:
        return Part(
            name="step",
            step=True,
            ready=ready,
            launch=lambda: Launch([sys.executable, "-c", program], dict(os.environ)),
        )

    async with running(home, step("print('done')")) as supervisor:
        assert supervisor.state.phase is Phase.READY
    failing = Supervisor([step("import sys; sys.exit('the schema is newer than the code')")], home)
    assert await failing.run() == 1
    assert "the schema is newer than the code" in failing.state.message


def test_nothing_is_left_when_the_supervisor_itself_is_killed(home: Home, tmp_path: Path) -> None:
    port = free_port()
    note = tmp_path / "pid"
    program = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "gen" / "python")!r}]
        from pathlib import Path
        from mesh.stack.home import Home
        from mesh.stack.supervisor import Supervisor
        from tests.integration.stack.test_supervisor import process
        asyncio.run(Supervisor([process("worker", {port})], Home(Path({str(home.path)!r}))).run())
        """
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        _wait(lambda: (seen := states.read(home)) is not None and seen.phase is Phase.READY)
        worker = psutil.Process(part(home, "worker").pid)
        note.write_text(str(worker.pid))
    finally:
        supervisor.kill()
        supervisor.wait()
    _wait(lambda: not _lives(worker))


def test_the_state_file_is_always_whole(home: Home) -> None:
    states.write(home, states.MeshState(parts=[states.PartState("x", ports={"x": 1})]))
    json.loads((home.path / "state.json").read_text())
    assert states.read(home) is not None


def test_only_one_supervisor_has_a_home(home: Home) -> None:
    first, second = states.Lock(home), states.Lock(home)
    assert first.take()
    assert not second.take()
    assert states.supervisor_pid(home) == os.getpid()
    first.release()
    assert states.supervisor_pid(home) == 0


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    until_time = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_time, "it did not happen in time"
        time.sleep(0.05)
