"""`python -m mesh.stack.supervisor`: starts every part in order, keeps it running, stops all of it.

A part that dies comes back after a pause that doubles with each death in a row. Every child is tied to this process
by the kernel, so nothing is left behind even when this process itself is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence

import psutil

from mesh.stack import children, due, logs, occupied
from mesh.stack import state as states
from mesh.stack.environment import Stack
from mesh.stack.home import Home, StackError
from mesh.stack.parts import Part, build
from mesh.stack.probes import http_get
from mesh.stack.state import Lock, MeshState, PartState, Phase

PAUSE_SECONDS_FIRST = 0.2
PAUSE_SECONDS_MAX = 10.0
# A process that ran this long starts again with the shortest pause.
STEADY_SECONDS = 20.0
READY_SECONDS_MAX = 60.0
# Before the mesh was ever ready, this many deaths of one part in a row mean that waiting is in vain.
FIRST_DEATHS_MAX = 5
MAINTENANCE_SECONDS = 60.0
LOG_SECONDS = 5.0


class Supervisor:
    """Keeps the parts of one mesh running until `stop` is called."""

    def __init__(self, parts: Sequence[Part], home: Home, *, edge_port: int = 0) -> None:
        self._parts = {part.name: part for part in parts}
        self._home = home
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._stopping = asyncio.Event()
        self._failed = asyncio.Event()
        self._was_ready = False
        self.state = MeshState(
            pid=os.getpid(),
            start_time=time.time(),
            edge_port=edge_port,
            parts=[PartState(part.name, ports=part.ports, step=part.step) for part in parts],
        )
        self._states = {part.name: part for part in self.state.parts}

    def stop(self) -> None:
        """Begin to stop; `run` returns when everything has."""
        self._stopping.set()

    async def run(self) -> int:
        """Start everything, keep it running, stop everything. 0, or 1 when the start failed."""
        self._clear_leftovers()
        try:
            occupied.require_free(
                {name: port for part in self._parts.values() for name, port in part.ports.items()}
            )
        except StackError as error:
            self.state.phase, self.state.message = Phase.FAILED, str(error)
            self._tell()
            return 1
        self._tell()
        keepers = [asyncio.create_task(self._keep(part)) for part in self._parts.values()]
        opening = asyncio.create_task(self._open())
        try:
            await self._first_of(self._stopping, self._failed)
        finally:
            for task in (opening, *keepers):
                task.cancel()
            await asyncio.gather(opening, *keepers, return_exceptions=True)
            failed = self._failed.is_set()
            self.state.phase = Phase.STOPPING
            self._tell()
            await self._stop_all()
            self.state.phase = Phase.FAILED if failed else Phase.STOPPED
            self._tell()
        return 1 if failed else 0

    async def _open(self) -> None:
        """Wait until every part is ready, then say so."""
        await asyncio.gather(*(event.wait() for event in self._ready.values()))
        if "envoy" in self._parts:
            await self._await_readiness()
        self._was_ready = True
        self.state.phase = Phase.READY
        self.state.message = ""
        self.state.ready_seconds = round(time.time() - self.state.start_time, 2)
        self._tell()

    async def _await_readiness(self) -> None:
        """Ask the edge until every service is reachable through it."""
        until = time.monotonic() + READY_SECONDS_MAX
        while True:
            status, body = await http_get(self.state.edge_port, "/readiness")
            if status == 200:
                return
            self.state.message = _unready(status, body)
            if time.monotonic() > until:
                self._fail(
                    f"/readiness did not turn good within {READY_SECONDS_MAX:.0f} s: {self.state.message}"
                )
                await asyncio.Event().wait()
            self._tell()
            await asyncio.sleep(0.1)

    # One part

    async def _keep(self, part: Part) -> None:
        shown = self._states[part.name]
        await asyncio.gather(
            *(self._ready[name].wait() for name in part.after if name in self._ready)
        )
        try:
            if part.step:
                await self._do_step(part, shown)
            else:
                await self._keep_process(part, shown)
        except StackError as error:
            self._fail(f"{part.name}: {error}", part)

    async def _do_step(self, part: Part, shown: PartState) -> None:
        if part.done is not None and await asyncio.to_thread(part.done):
            shown.message = "already done"
        else:
            shown.phase = Phase.STARTING
            self._tell()
            log = self._home.logs / f"{part.name}.log"
            before = log.stat().st_size if log.exists() else 0
            status = await self._exit_of(self._spawn(part, shown))
            self._forget(part, shown)
            if status != 0:
                raise StackError(f"failed ({status}). {log}:\n{logs.tail(log, 12, since=before)}")
            if part.remember is not None:
                await asyncio.to_thread(part.remember)
        self._is_ready(part, shown)

    async def _keep_process(self, part: Part, shown: PartState) -> None:
        pause, deaths = PAUSE_SECONDS_FIRST, 0
        log = self._home.logs / f"{part.name}.log"
        while True:
            began = time.monotonic()
            before = log.stat().st_size if log.exists() else 0
            try:
                reason = await self._run_once(part, shown)
            except StackError as error:
                if not self._was_ready:
                    raise
                reason = str(error)
            if time.monotonic() - began > STEADY_SECONDS:
                pause, deaths = PAUSE_SECONDS_FIRST, 0
            deaths += 1
            output = logs.tail(log, 12, since=before)
            if not self._was_ready and deaths >= FIRST_DEATHS_MAX:
                raise StackError(f"{reason}, {deaths} times in a row. {log}:\n{output}")
            shown.phase, shown.message = Phase.RESTARTING, f"{reason}; again in {pause:.1f} s"
            shown.restarts += 1
            self._say(f"{part.name} {shown.message}")
            self._tell()
            if part.repair is not None:
                repaired = await asyncio.to_thread(part.repair, output)
                if repaired:
                    self._say(f"{part.name}: {repaired}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)

    async def _run_once(self, part: Part, shown: PartState) -> str:
        """Start the process and wait for its end; answers how it ended."""
        shown.phase = Phase.STARTING
        self._tell()
        if part.prepare is not None:
            await asyncio.to_thread(part.prepare)
        occupied.require_free(part.ports)
        child = self._spawn(part, shown)
        exit_task = asyncio.create_task(self._exit_of(child))
        try:
            ready_task = asyncio.create_task(self._until_ready(part))
            await asyncio.wait({exit_task, ready_task}, return_when=asyncio.FIRST_COMPLETED)
            if not exit_task.done():
                if not ready_task.result():
                    self._kill_group(child)
                    await exit_task
                    return f"was not ready within {READY_SECONDS_MAX:.0f} s"
                shown.message = ""
                self._is_ready(part, shown)
            else:
                ready_task.cancel()
            status = await exit_task
        finally:
            exit_task.cancel()
        self._kill_group(child)  # what the process itself had started
        self._forget(part, shown)
        return _ending(status)

    def _is_ready(self, part: Part, shown: PartState) -> None:
        shown.phase = Phase.READY
        self._ready[part.name].set()
        self._say(
            f"{part.name} is ready, {time.time() - self.state.start_time:.1f} s after the start"
        )
        self._tell()

    async def _until_ready(self, part: Part) -> bool:
        until = time.monotonic() + READY_SECONDS_MAX
        pause = 0.03
        while time.monotonic() < until:
            if await part.ready():
                return True
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.3)
        return False

    def _spawn(self, part: Part, shown: PartState) -> subprocess.Popen[bytes]:
        """Start it here, in the main thread: the kernel ties a child to the thread that made it."""
        launch = part.launch()
        with logs.open_log(self._home.logs / f"{part.name}.log") as output:
            try:
                child = children.start(
                    launch.command,
                    output=output,
                    directory=launch.directory,
                    environment=launch.environment,
                    user=launch.user,
                    death_signal=launch.death_signal,
                )
            except OSError as error:
                raise StackError(f"{launch.command[0]} could not be started: {error}") from error
        self._children[part.name] = child
        shown.pid, shown.start_time = child.pid, time.time()
        with contextlib.suppress(psutil.Error):
            created = psutil.Process(child.pid).create_time()
            (self._home.pids / part.name).write_text(f"{child.pid} {created}\n")
        return child

    async def _exit_of(self, child: subprocess.Popen[bytes]) -> int:
        """Exit status when it has ended, without a thread per child."""
        if not hasattr(os, "pidfd_open"):
            while child.poll() is None:
                await asyncio.sleep(0.1)
            return child.returncode
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(child.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return child.wait()

    def _forget(self, part: Part, shown: PartState) -> None:
        self._children.pop(part.name, None)
        shown.pid, shown.start_time = 0, 0
        (self._home.pids / part.name).unlink(missing_ok=True)

    # All parts

    async def _stop_all(self) -> None:
        for wave in sorted({part.wave for part in self._parts.values()}):
            running = [
                (part, self._children[part.name])
                for part in self._parts.values()
                if part.wave == wave and part.name in self._children
            ]
            await asyncio.gather(*(self._stop_one(part, child) for part, child in running))

    async def _stop_one(self, part: Part, child: subprocess.Popen[bytes]) -> None:
        shown = self._states[part.name]
        shown.phase = Phase.STOPPING
        self._tell()
        for stop_signal in part.stop_signals:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(stop_signal)
            try:
                async with asyncio.timeout(part.stop_seconds):
                    await self._exit_of(child)
                    break
            except TimeoutError:
                self._say(f"{part.name} did not follow {stop_signal.name}")
            except ProcessLookupError:  # it ended before we could watch it
                child.poll()
                break
        self._kill_group(child)
        self._forget(part, shown)
        shown.phase = Phase.STOPPED
        self._tell()

    def _clear_leftovers(self) -> None:
        """End what an earlier supervisor started and could not stop (only where the kernel cannot tie children)."""
        survivors: list[psutil.Process] = []
        for note in self._home.pids.iterdir():
            with contextlib.suppress(psutil.Error, ValueError, OSError):
                pid, created = note.read_text().split()
                process = psutil.Process(int(pid))
                if abs(process.create_time() - float(created)) < 1:
                    process.terminate()
                    survivors.append(process)
            note.unlink(missing_ok=True)
        _, stubborn = psutil.wait_procs(survivors, timeout=5)
        for process in stubborn:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _kill_group(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    def _fail(self, message: str, part: Part | None = None) -> None:
        if part is not None:
            shown = self._states[part.name]
            shown.phase, shown.message = Phase.FAILED, message
        self.state.message = message
        self._say(message)
        self._tell()
        self._failed.set()

    async def _first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _tell(self) -> None:
        states.write(self._home, self.state)

    def _say(self, message: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _unready(status: int, body: str) -> str:
    """Which parts are not ready, as the edge tells it; else what it answered."""
    try:
        told: dict[str, str] = json.loads(body)["metadata"]
    except (ValueError, KeyError, TypeError):
        return f"the edge answers {status} to /readiness"
    missing = [
        f"{name} is {word}" for name, word in told.items() if word.isupper() and word != "SERVING"
    ]
    return ", ".join(missing) or f"the edge answers {status} to /readiness"


async def maintain(stack: Stack) -> None:
    """Forever: renew certificates at half of their life, forget old keys, cap the logs."""
    next_look = time.monotonic() + MAINTENANCE_SECONDS
    while True:
        await asyncio.sleep(LOG_SECONDS)
        try:
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + MAINTENANCE_SECONDS
                if due.is_due(stack.home, time.time()):
                    await _renew(stack)
            for log in stack.home.logs.glob("*.log"):
                await asyncio.to_thread(logs.cap, log)
        except (OSError, StackError) as error:
            print(f"maintenance: {error}", flush=True)


async def _renew(stack: Stack) -> None:
    """Run the step that made the files again; it renews what is due."""
    step = next(part for part in build(stack) if part.name == "files").launch()
    process = await asyncio.create_subprocess_exec(
        *step.command,
        cwd=step.directory,
        env=dict(step.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise StackError(
            f"certificates and keys could not be renewed:\n{output.decode(errors='replace')[-2000:]}"
        )
    print(f"{time.strftime('%H:%M:%S')} renewed what was due", flush=True)


async def supervise(stack: Stack) -> int:
    """Run the mesh of `stack` until a signal ends it."""
    try:
        stack.home.prepare()
    except StackError as error:
        print(error, flush=True)
        return 1
    lock = Lock(stack.home)
    if not lock.take():
        print(f"A mesh of {stack.home.path} runs already.", flush=True)
        return 1
    supervisor: Supervisor | None = None
    try:
        stack.role_passwords()  # made once, here: several processes read them
        supervisor = Supervisor(build(stack), stack.home, edge_port=stack.ports.edge)
    except Exception as error:  # noqa: BLE001 - whoever started us waits for a word in the state file
        states.write(stack.home, MeshState(phase=Phase.FAILED, pid=os.getpid(), message=str(error)))
        if not isinstance(error, StackError):
            traceback.print_exc()
        print(error, flush=True)
        return 1
    loop = asyncio.get_running_loop()
    for stop_signal in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(stop_signal, supervisor.stop)
    upkeep = asyncio.create_task(maintain(stack))
    try:
        return await supervisor.run()
    finally:
        upkeep.cancel()
        lock.release()


if __name__ == "__main__":
    sys.exit(asyncio.run(supervise(Stack.from_environment())))
