"""What the supervisor tells everyone else: one small file, replaced whenever something changes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TextIO

from mesh.stack.home import Home, StackError, write_atomically


class Phase(StrEnum):
    """Where a part, or the whole mesh, is."""

    WAITING = "waiting"  # for what it needs
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"  # died, comes back after a pause
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"  # will not come by itself; `message` says why


@dataclass(slots=True)
class PartState:
    """What is known of one part."""

    name: str
    phase: Phase = Phase.WAITING
    pid: int = 0
    restarts: int = 0
    ports: Mapping[str, int] = field(default_factory=dict)
    # Unix time of the start of the process; 0 when none runs.
    start_time: float = 0
    message: str = ""
    step: bool = False


@dataclass(slots=True)
class MeshState:
    """What is known of the mesh."""

    phase: Phase = Phase.STARTING
    pid: int = 0
    start_time: float = 0
    # From the supervisor's start until everything was ready for the first time; 0 before.
    ready_seconds: float = 0
    message: str = ""
    edge_port: int = 0
    parts: list[PartState] = field(default_factory=list)


def write(home: Home, state: MeshState) -> None:
    """Replace the state file."""
    write_atomically(home.path / "state.json", json.dumps(asdict(state), indent=1) + "\n")


def read(home: Home) -> MeshState | None:
    """What the last supervisor wrote; None when there never was one."""
    try:
        document: dict[str, Any] = json.loads((home.path / "state.json").read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    except PermissionError as error:
        raise StackError(f"{home.path} cannot be read by this user ({error.strerror}).") from error
    parts = [PartState(**{**part, "phase": Phase(part["phase"])}) for part in document.pop("parts")]
    return MeshState(**{**document, "phase": Phase(document["phase"])}, parts=parts)


class Lock:
    """Held by the supervisor as long as it lives, however it ends."""

    def __init__(self, home: Home) -> None:
        self._path = home.path / "supervisor.lock"
        self._file: TextIO | None = None

    def take(self) -> bool:
        """Take it; false when another supervisor has it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def supervisor_pid(home: Home) -> int:
    """Pid of the living supervisor of this home; 0 when there is none."""
    try:
        with (home.path / "supervisor.lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else 0
            return 0
    except FileNotFoundError:
        return 0
    except PermissionError as error:
        raise StackError(f"{home.path} belongs to another user ({error.strerror}).") from error
