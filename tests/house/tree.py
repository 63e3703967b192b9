"""The source tree as the house checks see it: what git would commit, without what is generated."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.matrix.contracts import Rpc

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "wallet", "payments", "groups", "comms")


@functools.cache
def files() -> Sequence[Path]:
    """Every file of the project, tracked or about to be, that exists."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return sorted({ROOT / name for name in names if (ROOT / name).is_file()})
    skipped = {".git", ".venv", ".hazina", ".proto-deps", "node_modules", "__pycache__"}
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not skipped.intersection(path.relative_to(ROOT).parts)
    )


def python_files(*folders: str) -> Iterator[Path]:
    """Hand-written Python below the given folders."""
    for path in files():
        parts = path.relative_to(ROOT).parts
        if path.suffix == ".py" and parts[0] in folders and "versions" not in parts:
            yield path


def rooms(service: str) -> list[str]:
    """The rooms of a service: `domain`, `store`, …; a room may be a file or a folder of that name."""
    folder = ROOT / "services" / service
    return sorted(
        {
            path.relative_to(folder).parts[0].removesuffix(".py")
            for path in files()
            if path.suffix == ".py" and folder in path.parents
        }
    )


def implemented(rpc: Rpc) -> bool:
    """Whether the service's handlers have a method for the RPC."""
    return rpc.name in _handler_methods(rpc.service)


@functools.cache
def _handler_methods(service: str) -> frozenset[str]:
    folder = ROOT / "services" / service
    sources = [folder / "handlers.py", *sorted((folder / "handlers").glob("*.py"))]
    return frozenset(
        method.name
        for source in sources
        if source.exists()
        for owner in ast.walk(ast.parse(source.read_text()))
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    )
