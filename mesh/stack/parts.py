"""What a mesh is made of: every process, what it waits for, how it is started, and how one sees that it is ready."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mesh.stack import children, due, envoy, migrate, postgres, valkey
from mesh.stack.environment import (
    SIMULATORS,
    Stack,
    process_environment,
    service_environment,
    simulator_environment,
)
from mesh.stack.home import ROOT
from mesh.stack.ports import SERVICES
from mesh.stack.probes import http_status, listens


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process once."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path = ROOT
    user: pwd.struct_passwd | None = None
    death_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Part:
    """One process that must always run, or one step that must have been done (`step`)."""

    name: str
    launch: Callable[[], Launch]
    ready: Callable[[], Awaitable[bool]]
    after: tuple[str, ...] = ()
    # What it listens on: name for people, port.
    ports: Mapping[str, int] = field(default_factory=dict)
    # Runs in a thread before every start; raises StackError when the start would be in vain.
    prepare: Callable[[], None] | None = None
    # Runs in a thread after the process died; may repair what kept it from starting. Answers what it did.
    repair: Callable[[str], str | None] | None = None
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)
    stop_seconds: float = 8
    # Parts of a lower wave are stopped first.
    wave: int = 0
    step: bool = False
    # A step that finds its work done does not run.
    done: Callable[[], bool] | None = None
    # Runs after a step succeeded.
    remember: Callable[[], None] | None = None


def build(stack: Stack) -> list[Part]:
    """All parts of the mesh that `stack` describes."""
    parts = [_files(stack)]
    if not stack.settings.database_url:
        parts.append(_postgres(stack))
    if not stack.settings.redis_url:
        parts.append(_valkey(stack))
    if stack.settings.database_url or stack.settings.redis_url:
        parts.append(_external(stack))
    parts.append(_migrations(stack))
    parts += [_simulator(stack, name) for name in SIMULATORS]
    parts += [_service(stack, name) for name in SERVICES]
    parts.append(_envoy(stack))
    return parts


def _postgres(stack: Stack) -> Part:
    server = postgres.EmbeddedPostgres(
        stack.home.folder("postgres"), stack.ports.postgres, stack.home.secret("postgres")
    )
    return Part(
        name="postgres",
        prepare=server.prepare,
        launch=lambda: Launch(
            server.command(),
            postgres.minimal_environment(),
            server.place,
            children.unprivileged_user(),
            postgres.DEATH_SIGNAL,
        ),
        ready=lambda: asyncio.to_thread(postgres.is_ready, server.port),
        ports={"Postgres": stack.ports.postgres},
        stop_signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
        wave=2,
    )


def _valkey(stack: Stack) -> Part:
    server = valkey.EmbeddedValkey(
        stack.home.folder("valkey"), stack.ports.valkey, stack.home.secret("valkey")
    )

    def repair(log_text: str) -> str | None:
        aside = server.set_aside_broken_file(log_text)
        return (
            f"Its file could not be read and was moved to {aside}; events are published again."
            if aside
            else None
        )

    return Part(
        name="valkey",
        prepare=server.prepare,
        repair=repair,
        launch=lambda: Launch(
            server.command(), process_environment(), server.folder, None, valkey.DEATH_SIGNAL
        ),
        ready=lambda: asyncio.to_thread(valkey.is_ready, server.port, server.password),
        ports={"Valkey": stack.ports.valkey},
        wave=2,
    )


def _files(stack: Stack) -> Part:
    return Part(
        name="files",
        step=True,
        launch=lambda: Launch([sys.executable, "-m", "mesh.stack.files"], _own_environment(stack)),
        ready=_at_once,
        done=lambda: due.has_files(stack, time.time()) and due.is_rendered(stack),
    )


def _external(stack: Stack) -> Part:
    return Part(
        name="external",
        step=True,
        launch=lambda: Launch(
            [sys.executable, "-m", "mesh.stack.external"], _own_environment(stack)
        ),
        ready=_at_once,
    )


def _migrations(stack: Stack) -> Part:
    embedded = not stack.settings.database_url

    def note() -> Path:
        folder = stack.home.folder("postgres")
        place = postgres.EmbeddedPostgres(folder, 0, "").place
        return place / "migrated"

    return Part(
        name="migrations",
        step=True,
        after=("postgres", "external") if embedded else ("external",),
        launch=lambda: Launch(
            [sys.executable, "-m", "mesh.stack.migrate"], _own_environment(stack)
        ),
        ready=_at_once,
        done=(lambda: migrate.is_done(note(), stack)) if embedded else None,
        remember=(lambda: migrate.remember(note(), stack)) if embedded else None,
    )


def _simulator(stack: Stack, name: str) -> Part:
    listening = {
        "mail": {
            "development mail, SMTP": stack.ports.smtp,
            "development mail": stack.ports.mail_viewer,
        },
        "sms": {"SMS simulator": stack.ports.sms},
        "mobile_money": {"mobile money simulator": stack.ports.mobile_money},
    }[name]
    return Part(
        name=name.replace("_", "-"),
        launch=lambda: Launch(
            [sys.executable, "-m", f"simulators.{name}"],
            simulator_environment(stack, name),
        ),
        ready=lambda: _all_listen(listening.values()),
        ports=listening,
        stop_seconds=3,
        wave=1,
    )


def _service(stack: Stack, name: str) -> Part:
    # At a second start certificates and keys are there, and only Envoy waits for its files.
    has_files = due.has_files(stack, time.time())
    files = () if has_files else ("files",)
    return Part(
        name=name,
        after=(*files, "migrations", *(() if stack.settings.redis_url else ("valkey",))),
        launch=lambda: Launch(
            [sys.executable, "-m", f"services.{name}"], service_environment(stack, name)
        ),
        ready=lambda: _all_listen([stack.ports.service(name)]),
        ports={
            f"{name}, gRPC": stack.ports.service(name),
            f"{name}, metrics": stack.ports.metrics(name),
        },
        wave=1,
    )


def _envoy(stack: Stack) -> Part:
    async def ready() -> bool:
        return await http_status(stack.ports.envoy_metrics, "/ready") == 200

    return Part(
        name="envoy",
        # Started last, it finds every service healthy at its first look.
        after=("files", *SERVICES),
        launch=lambda: Launch(envoy.command(), process_environment(), stack.home.envoy),
        ready=ready,
        ports={
            "edge": stack.ports.edge,
            "edge with TLS": stack.ports.edge_tls,
            "mesh": stack.ports.mesh,
            "Envoy metrics": stack.ports.envoy_metrics,
        },
        stop_seconds=4,
        wave=0,
    )


async def _at_once() -> bool:
    return True


async def _all_listen(ports: Iterable[int]) -> bool:
    return all([await listens(port) for port in ports])


def _own_environment(stack: Stack) -> dict[str, str]:
    """For processes that read the whole stack's settings, as we did."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("HAZINA_")}
    return {
        **process_environment(),
        **ours,
        "HAZINA_HOME": str(stack.home.path),
        "HAZINA_PORT_BASE": str(stack.ports.base),
    }
