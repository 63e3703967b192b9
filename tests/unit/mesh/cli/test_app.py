"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from mesh.stack.home import ROOT

LAUNCHER = ROOT / "hazina"


def hazina(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher from a folder that is not the clone."""
    return subprocess.run(
        [str(LAUNCHER), *arguments],
        cwd=home,
        env={**os.environ, "HAZINA_HOME": str(home / "state"), "COLUMNS": "160", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = hazina("--help", home=tmp_path).stdout
    for command in [
        "up",
        "down",
        "status",
        "demo",
        "inbox",
        "events",
        "keys",
        "certs",
        "tenant",
        "member",
        "call",
        "new-service",
    ]:
        assert f" {command} " in shown


def test_help_is_there_at_once(tmp_path: Path) -> None:
    hazina("--help", home=tmp_path)  # the first run may compile
    began = time.monotonic()
    hazina("--help", home=tmp_path)
    assert time.monotonic() - began < 3, "a slow machine takes 0.3 s; heavy imports would show"


def test_it_works_through_a_link_from_anywhere(tmp_path: Path) -> None:
    link = tmp_path / "bin" / "hazina"
    link.parent.mkdir()
    link.symlink_to(LAUNCHER)
    shown = subprocess.run(
        [str(link), "--help"], cwd="/", capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr


def test_without_a_set_up_it_says_what_to_run(tmp_path: Path) -> None:
    copy = tmp_path / "hazina"
    copy.write_bytes(LAUNCHER.read_bytes())
    copy.chmod(0o755)
    shown = subprocess.run([str(copy)], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 1
    assert "make" in shown.stderr
    assert "setup" in shown.stderr


def test_an_unknown_command_is_refused_without_a_stack_trace(tmp_path: Path) -> None:
    shown = hazina("nope", home=tmp_path)
    assert shown.returncode == 2
    assert "nope" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_status_of_a_stopped_mesh_says_how_to_start_it(tmp_path: Path) -> None:
    shown = hazina("status", home=tmp_path)
    assert shown.returncode == 3
    assert "hazina up" in shown.stdout


def test_status_for_programs_is_json(tmp_path: Path) -> None:
    shown = hazina("status", "--json", home=tmp_path)
    assert json.loads(shown.stdout)["phase"] == "stopped"


@pytest.mark.parametrize(
    "command",
    [
        ["inbox"],
        ["events"],
        ["events", "list"],
        ["keys"],
        ["certs"],
        ["call", "ListTenants"],
        ["tenant", "list"],
    ],
)
def test_without_a_mesh_the_reader_learns_what_to_do(tmp_path: Path, command: list[str]) -> None:
    shown = hazina(*command, home=tmp_path, HAZINA_PORT_BASE="29000")
    assert shown.returncode == 1
    assert "hazina " in shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_rpc_is_found_by_the_end_of_its_name_and_near_ones_are_named(tmp_path: Path) -> None:
    described = hazina("call", "WalletService/GetWallet", "--describe", home=tmp_path)
    assert "walletId" in described.stdout
    near = hazina("call", "GetWall", home=tmp_path)
    assert near.returncode == 1
    assert "hazina.wallet.v1.WalletService/GetWallet" in near.stderr


@pytest.mark.parametrize("request_text", ["{", "[]", '{"unknownField": 1}'])
def test_a_request_that_does_not_fit_is_refused_in_words(tmp_path: Path, request_text: str) -> None:
    shown = hazina("call", "ListSentMessages", request_text, home=tmp_path)
    assert shown.returncode == 1
    assert "Traceback" not in shown.stderr


def test_a_wrong_port_base_is_named(tmp_path: Path) -> None:
    shown = hazina("up", home=tmp_path, HAZINA_PORT_BASE="eighty")
    assert shown.returncode == 1
    assert "HAZINA_PORT_BASE" in shown.stderr
