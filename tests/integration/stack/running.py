"""A clone with a launcher, a home and ports of its own, driven as a person drives it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from mesh.stack.home import ROOT
from mesh.stack.ports import OFFSET_MAX


class Clone:
    """The launcher with a home and ports of its own."""

    def __init__(
        self, home: Path, base: int, user: pwd.struct_passwd | None = None, *, root: Path = ROOT
    ) -> None:
        self.root = root
        self.home = home
        self.base = base
        self._user = user

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        as_user: dict[str, Any] = {}
        if self._user is not None:
            as_user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.Popen(
            [str(self.root / "hazina"), *arguments],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "HAZINA_HOME": str(self.home),
                "HAZINA_PORT_BASE": str(self.base),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **as_user,
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command to its end; what it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=150)
        assert process.returncode == status, output
        return output

    def processes(self) -> list[psutil.Process]:
        """Everything that runs with this home: by its environment, its command line, or its place of work."""
        found = []
        place = self.home / "postgres" / "place"
        places = {str(self.home), place.read_text().strip() if place.exists() else str(self.home)}
        for process in psutil.process_iter():
            try:
                words = [
                    *process.cmdline(),
                    process.cwd(),
                    process.environ().get("HAZINA_HOME", ""),
                ]
            except psutil.Error:
                continue
            if process.pid != os.getpid() and any(p in word for p in places for word in words):
                found.append(process)
        return found

    def listening(self) -> list[int]:
        """Ports of this mesh that somebody listens on."""
        taken = []
        for port in range(self.base, self.base + OFFSET_MAX + 1):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    taken.append(port)
        return taken

    def assert_gone(self) -> None:
        """No process and no port is left, within seconds."""
        wait(lambda: not self.processes() and not self.listening(), seconds=15)

    def remove(self) -> None:
        """Stop and delete everything."""
        self.run("down")
        place = self.home / "postgres" / "place"
        if place.exists():
            shutil.rmtree(place.read_text().strip(), ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def wait(condition: Callable[[], bool], *, seconds: float) -> None:
    """Until it is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def free_base() -> int:
    """The first of thirty free ports in a row."""
    for base in range(32_000, 60_000, 50):
        if not any(_taken(port) for port in range(base, base + OFFSET_MAX + 1)):
            return base
    raise AssertionError("no thirty free ports in a row")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
