"""`hazina new-service orchards` in a copy of the clone: generated, tested, started, healthy, with nothing written by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mesh.stack.home import ROOT
from tests.integration.stack.running import Clone, free_base

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(400)]

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".hazina", "__pycache__", ".*_cache", ".hypothesis", "node_modules"
)


def python(root: Path, *arguments: str) -> None:
    """Run our interpreter in the copy."""
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'gen' / 'python'}"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_service_is_healthy_in_the_mesh_and_passes_its_own_tests() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hazina-new-service-"))
    root = folder / "clone"
    shutil.copytree(ROOT, root, ignore=_LEFT_OUT, symlinks=True)
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])
    clone = Clone(folder / "home", free_base(), root=root)
    try:
        clone.run("new-service", "orchards")
        python(root, "-m", "mesh.contract", "gen")
        for kind in ("unit", "contract", "integration"):
            python(root, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{kind}/orchards")
        clone.run("up")
        parts = json.loads(clone.run("status", "--json"))["parts"]
        assert {"orchards": "ready"}.items() <= {p["name"]: p["phase"] for p in parts}.items()
        told = clone.run(
            "call", "OrchardsService/CreateNote", '{"text": "karibu"}', "--token", "x", status=1
        )
        assert "UNAUTHENTICATED" in told, "the edge has a route to it"
    finally:
        clone.remove()
        shutil.rmtree(folder, ignore_errors=True)
