"""`hazina up`, `down` and `up --foreground` with the whole mesh: ready when it says so, nothing left when it is gone."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mesh.stack.children import others_can_enter
from mesh.stack.home import ROOT
from mesh.stack.ports import OFFSET_MAX

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(300)]


class Clone:
    """The launcher with a home and ports of its own."""

    def __init__(self, home: Path, base: int, user: pwd.struct_passwd | None = None) -> None:
        self.home = home
        self.base = base
        self._user = user

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        as_user: dict[str, Any] = {}
        if self._user is not None:
            as_user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.Popen(
            [str(ROOT / "hazina"), *arguments],
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


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    """A mesh in a folder that only we can enter, as when root works in a private clone."""
    folder = Path(tempfile.mkdtemp(prefix="hazina-running-"))
    assert folder.stat().st_mode & 0o077 == 0
    made = Clone(folder / "home", free_base())
    yield made
    made.remove()
    shutil.rmtree(folder, ignore_errors=True)


def test_up_is_ready_when_it_returns_and_down_leaves_nothing(clone: Clone) -> None:
    told = clone.run("up")
    assert f"http://127.0.0.1:{clone.base}" in told
    state = json.loads(clone.run("status", "--json"))
    assert {part["phase"] for part in state["parts"]} == {"ready"}

    services = [
        part
        for part in state["parts"]
        if part["name"] in ("auth", "wallet", "payments", "groups", "comms")
    ]
    assert all(0 < part["pss_bytes"] < 150e6 for part in services), services
    assert state["pss_bytes"] < 1.1e9

    assert "ready" in clone.run("up"), "a second `up` finds the mesh and changes nothing"
    assert json.loads(clone.run("status", "--json"))["pid"] == state["pid"]

    clone.run("down")
    clone.assert_gone()


def test_nothing_is_left_when_the_supervisor_is_killed_and_the_next_start_works(
    clone: Clone,
) -> None:
    clone.run("up")
    os.kill(json.loads(clone.run("status", "--json"))["pid"], signal.SIGKILL)
    clone.assert_gone()
    clone.run("up")
    clone.run("down")
    clone.assert_gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_foreground_mesh_ends_with_its_terminal(clone: Clone, number: signal.Signals) -> None:
    process = clone.start("up", "--foreground")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        process.send_signal(number)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    clone.assert_gone()


def test_a_taken_port_is_told_before_anything_starts(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", clone.base + 2)):
        told = clone.run("up", status=1)
    assert f"Port {clone.base + 2} (mesh) is taken by" in told
    assert "HAZINA_PORT_BASE" in told
    clone.assert_gone()


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = Clone(tmp_path / "file" / "home", free_base()).run("up", status=1)
    assert "cannot be written" in told
    assert "HAZINA_HOME" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="we are a plain user already")
def test_a_plain_user_can_run_it(tmp_path: Path) -> None:
    if not others_can_enter(Path(sys.executable).resolve().parent) or not others_can_enter(ROOT):
        pytest.skip("other users cannot enter the folder of Python or of the clone")
    user = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="hazina-plain-"))
    folder.chmod(0o755)
    os.chown(folder, user.pw_uid, user.pw_gid)
    plain = Clone(folder / "home", free_base(), user)
    try:
        plain.run("up")
        plain.run("down")
        plain.assert_gone()
    finally:
        plain.remove()
        shutil.rmtree(folder, ignore_errors=True)
