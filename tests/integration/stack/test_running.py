"""`hazina up`, `down` and `up --foreground` with the whole mesh: ready when it says so, nothing left when it is gone."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.stack.children import others_can_enter
from mesh.stack.home import ROOT
from tests.integration.stack.running import Clone, free_base

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(300)]


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
