"""HAZINA_HOME: where one mesh keeps its state. Everything that is stored is below this folder, with one exception.

The exception: Postgres refuses to run as root. When root starts the mesh in a folder that nobody else can enter,
the database lives in a folder of its own under /var/tmp, and `postgres/place` says where.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folders and files of one mesh's state. Folders are made when first asked for."""

    path: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Home:
        """Read `HAZINA_HOME`; `.hazina` in the clone when it is not set."""
        text = environ.get("HAZINA_HOME", "").strip()
        return cls(Path(text).expanduser().absolute() if text else ROOT / ".hazina")

    def prepare(self) -> None:
        """Make the folder and prove that it can be written to."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise StackError(
                f"{self.path} cannot be written to ({error.strerror}). Make it writable for the user "
                f"{_user_name()}, or choose another folder with HAZINA_HOME."
            ) from error
        # Root's database runs as another user, who must be able to pass through, not to look around.
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def folder(self, *parts: str) -> Path:
        """A private folder below the home, made if need be."""
        path = self.path.joinpath(*parts)
        if not path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.folder("logs")

    @property
    def pids(self) -> Path:
        """One file per running process, so that a later start can clean up after a crash."""
        return self.folder("pids")

    @property
    def certificates(self) -> Path:
        """The authority, a folder per identity, and Envoy's SDS files."""
        return self.folder("certificates")

    @property
    def keys(self) -> Path:
        """The token signing keys, their states and the published JWKS."""
        return self.folder("keys")

    @property
    def envoy(self) -> Path:
        """Envoy's rendered configuration."""
        return self.folder("envoy")

    @property
    def crash(self) -> Path:
        """Crash files of the development profile, one per service."""
        return self.folder("crash")

    def secret_file(self, name: str) -> Path:
        """A file with 32 random bytes in hex, made at first use and kept."""
        path = self.folder("secrets") / name
        if not path.exists():
            write_atomically(path, secrets.token_hex(32) + "\n", mode=0o600)
        return path

    def secret(self, name: str) -> str:
        """The text of `secret_file(name)`."""
        return self.secret_file(name).read_text().strip()


class Exclusive:
    """A lock among all threads and processes that write below `folder`; one thread may take it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = threading.RLock()
        self._depth = 0
        self._file: TextIO | None = None

    def __enter__(self) -> None:
        self._threads.acquire()
        self._depth += 1
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = (self._folder / ".lock").open("a")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            self._file.close()
            self._file = None
        self._threads.release()


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Put `text` at `path` by one rename, so that a reader or a watcher never sees half of it."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StackError(
            f"{path} cannot be written ({error.strerror}). Make {path.parent} writable for the user {_user_name()}."
        ) from error
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
