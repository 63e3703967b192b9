"""Runs buf over the contracts, offline: style, comments, and that nothing released was broken."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from mesh.contract import dependencies

BUF = Path(sys.executable).parent / "buf"


def lint(root: Path, against: str = "main") -> list[str]:
    """Complaints of `buf lint` and of `buf breaking` against a branch or commit; empty when there are none."""
    dependencies.fill(root)
    complaints = _run(root, "lint")
    with tempfile.TemporaryDirectory() as folder:
        image = _image(root, against, Path(folder))
        if image is not None:
            complaints += _run(
                root, "breaking", "proto", "--against", str(image), "--exclude-imports"
            )
    return complaints


def _image(root: Path, against: str, folder: Path) -> Path | None:
    """The compiled contracts of another commit, or None where that commit is not here or has no contracts."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", against, "proto", "buf.yaml"],
        cwd=root,
        check=False,
        capture_output=True,
    )
    if archive.returncode != 0:
        return None
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    dependencies.fill(folder)
    image = folder / "against.binpb"
    complaints = _run(folder, "build", "proto", "-o", str(image))
    return None if complaints else image


def _run(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [str(BUF), *arguments], check=False, cwd=root, capture_output=True, text=True
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines if done.returncode != 0 else []
