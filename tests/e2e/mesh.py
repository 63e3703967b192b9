"""A whole mesh for tests: real Postgres, Valkey, Envoy, services and simulators, in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx

from mesh.stack import children, state
from mesh.stack.environment import Settings, Stack, process_environment
from mesh.stack.home import ROOT, Home
from mesh.stack.ports import OFFSET_MAX, SERVICES, Ports
from mesh.stack.state import PartState, Phase

T = TypeVar("T")

START_SECONDS_MAX = 110.0
# Below the range that the kernel gives out for outgoing connections.
_PORT_BASES = range(20_000, 32_000, OFFSET_MAX + 1)


class NotInTime(AssertionError):
    """What was waited for did not happen."""


def wait_until(
    what: str, condition: Callable[[], T | None], *, seconds: float = 20, pause: float = 0.05
) -> T:
    """Ask `condition` until it answers something true, and return that. `what` names it in the failure."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise NotInTime(f"not within {seconds:.0f} s: {what} (last seen: {found!r})")
        time.sleep(pause)


@dataclass(slots=True)
class Mesh:
    """One running mesh."""

    home: Home
    ports: Ports
    # Settings of the stack beside its folder and ports, as environment variables.
    settings: Mapping[str, str] = field(default_factory=dict)
    _supervisor: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def stack(self) -> Stack:
        """The stack's own view of the same mesh."""
        return Stack(self.home, self.ports, Settings())

    @property
    def edge(self) -> str:
        """Address of the edge for HTTP without TLS."""
        return f"http://127.0.0.1:{self.ports.edge}"

    @property
    def edge_tls(self) -> str:
        """Address of the edge for HTTP with TLS."""
        return f"https://localhost:{self.ports.edge_tls}"

    def certificate(self, identity: str) -> Path:
        """The folder with the certificate of `identity`."""
        return (self.home.certificates / identity).resolve()

    # Channels

    def edge_channel(self) -> grpc.Channel:
        """gRPC through the edge, as any outside client does it."""
        return grpc.insecure_channel(f"127.0.0.1:{self.ports.edge}", options=_OPTIONS)

    def mesh_channel(self, identity: str | None) -> grpc.Channel:
        """gRPC on the mesh listener with the certificate of `identity`; None shows no certificate."""
        return self._channel(self.ports.mesh, identity)

    def service_channel(self, service: str, identity: str | None) -> grpc.Channel:
        """gRPC straight to a service's port, past Envoy."""
        return self._channel(self.ports.service(service), identity)

    def _channel(self, port: int, identity: str | None) -> grpc.Channel:
        authorities = (self.certificate("ops") / "authorities.pem").read_bytes()
        if identity is None:
            credentials = grpc.ssl_channel_credentials(authorities)
        else:
            folder = self.certificate(identity)
            credentials = grpc.ssl_channel_credentials(
                authorities,
                (folder / "key.pem").read_bytes(),
                (folder / "certificate.pem").read_bytes(),
            )
        return grpc.secure_channel(f"localhost:{port}", credentials, options=_OPTIONS)

    # Processes

    def part(self, name: str) -> PartState:
        """What the supervisor says of one process."""
        seen = state.read(self.home)
        parts = {part.name: part for part in seen.parts} if seen else {}
        assert name in parts, f"the mesh has no process {name!r}, only {sorted(parts)}"
        return parts[name]

    def process_names(self) -> list[str]:
        """Every process that the supervisor keeps running."""
        seen = state.read(self.home)
        return [part.name for part in seen.parts if not part.step] if seen else []

    def kill(self, name: str) -> None:
        """`kill -9` the process; answers when the supervisor has a new one ready."""
        before = self.part(name)
        self.kill_without_waiting(name)
        self.wait_restarted(name, after=before)

    def kill_without_waiting(self, name: str) -> None:
        """`kill -9` the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.part(name).pid, signal.SIGKILL)

    def wait_restarted(self, name: str, *, after: PartState, seconds: float = 40) -> None:
        """Wait until the process that `after` describes has been replaced by one that is ready."""
        wait_until(
            f"{name} is ready again (its log: {self.log(name)})",
            lambda: (now := self.part(name)).restarts > after.restarts and now.phase is Phase.READY,
            seconds=seconds,
        )
        self.wait_ready(seconds=seconds)

    def wait_ready(self, *, seconds: float = 40) -> None:
        """Wait until the edge says that every part is ready."""
        wait_until("GET /readiness answers 200", self._answers_ready, seconds=seconds, pause=0.1)

    def log(self, name: str) -> str:
        """The end of the log of one process."""
        path = self.home.logs / f"{name}.log"
        return path.read_text(errors="replace")[-2500:] if path.exists() else "(no log)"

    def crash_at(self, service: str, point: str) -> Path:
        """The next time `service` reaches the named crash point, it dies there. The file vanishes when it does."""
        path = self.home.crash / service
        path.write_text(point)
        return path

    def _answers_ready(self) -> bool:
        try:
            return httpx.get(f"{self.edge}/readiness", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    # Life

    def start(self) -> None:
        """Start it as a child of this process and return when every part is ready."""
        self.home.prepare()
        environment = {
            **process_environment(),
            **self.settings,
            "HAZINA_HOME": str(self.home.path),
            "HAZINA_PORT_BASE": str(self.ports.base),
        }
        with (self.home.logs / "supervisor.log").open("ab") as output:
            self._supervisor = children.start(
                [sys.executable, "-m", "mesh.stack.supervisor"],
                output=output,
                directory=ROOT,
                environment=environment,
                death_signal=signal.SIGTERM,
            )
        try:
            wait_until("the mesh is ready", self._is_ready, seconds=START_SECONDS_MAX)
        except BaseException:
            report = self._report()
            self.stop()
            raise AssertionError(report) from None

    def _is_ready(self) -> bool:
        assert self._supervisor is not None
        if self._supervisor.poll() is not None:
            raise NotInTime("the supervisor ended")
        seen = state.read(self.home)
        return seen is not None and seen.phase is Phase.READY

    def _report(self) -> str:
        seen = state.read(self.home)
        lines = [f"The mesh of {self.home.path} did not start: {seen.message if seen else ''}"]
        lines += [
            f"--- {part.name}: {part.phase} {part.message}\n{self.log(part.name)}"
            for part in (seen.parts if seen else [])
            if part.phase is not Phase.READY
        ]
        return "\n".join([*lines, f"--- supervisor\n{self.log('supervisor')}"])

    def stop(self) -> None:
        """Stop it, prove that nothing listens any more, and remove its folder."""
        if self._supervisor is not None:
            self._supervisor.terminate()
            try:
                self._supervisor.wait(timeout=45)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
                raise
            finally:
                self._supervisor = None
        listening = [
            port
            for port in range(self.ports.base, self.ports.base + OFFSET_MAX + 1)
            if _listens(port)
        ]
        place = self.home.path / "postgres" / "place"
        if place.exists():
            shutil.rmtree(place.read_text().strip(), ignore_errors=True)
        if not os.environ.get("HAZINA_KEEP_TEST_HOME"):
            shutil.rmtree(self.home.path, ignore_errors=True)
        assert not listening, f"the mesh left something listening on {listening}"


_OPTIONS = [
    # Each test has connections of its own; a pool that outlives a killed Envoy waits too long before it dials again.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # in truth how long a handshake may take
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
]


def new_mesh(**settings: str) -> Mesh:
    """A mesh that is not started yet, in a folder that Postgres' own user can enter, on free ports."""
    folder = Path(tempfile.mkdtemp(prefix="hazina-test-"))
    folder.chmod(0o711)
    return Mesh(Home(folder), Ports(_free_base()), settings)


@contextlib.contextmanager
def shared_mesh(folder: Path) -> Iterator[Mesh]:
    """One mesh for all test processes that name the same folder: the first starts it, and stops it when all are done.

    While writing tests, HAZINA_TEST_HOME and HAZINA_TEST_PORT_BASE name a mesh that runs already and stays.
    """
    if "HAZINA_TEST_HOME" in os.environ:
        base = int(os.environ["HAZINA_TEST_PORT_BASE"])
        yield Mesh(Home(Path(os.environ["HAZINA_TEST_HOME"])), Ports(base))
        return
    note, lock = folder / "mesh.json", folder / "mesh.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        started = None
        if not note.exists():
            started = new_mesh()
            started.start()
            note.write_text(
                json.dumps({"home": str(started.home.path), "base": started.ports.base, "users": 0})
            )
        seen = _count_user(note, +1)
    mesh = started or Mesh(Home(Path(seen["home"])), Ports(seen["base"]))
    try:
        yield mesh
    finally:
        _leave(note, lock, started)


def _leave(note: Path, lock: Path, started: Mesh | None) -> None:
    until = time.monotonic() + 900
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        seen = _count_user(note, -1)
    while started is not None:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            seen = json.loads(note.read_text())
            if seen["users"] == 0 or time.monotonic() > until:
                note.unlink()
                break
        time.sleep(0.2)
    if started is not None:
        started.stop()


def _count_user(note: Path, change: int) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(note.read_text())
    seen["users"] += change
    note.write_text(json.dumps(seen))
    return seen


def _free_base() -> int:
    for base in random.sample(_PORT_BASES, k=len(_PORT_BASES)):
        if not any(_is_taken(port) for port in range(base, base + OFFSET_MAX + 1)):
            return base
    raise AssertionError("there are no 30 free ports in a row below 32000")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


__all__ = ["SERVICES", "Mesh", "NotInTime", "new_mesh", "shared_mesh", "wait_until"]
