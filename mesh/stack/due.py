"""Whether certificates, keys or Envoy's files have to be made again; cheap to ask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mesh.stack.environment import Stack
from mesh.stack.home import ROOT, Home, write_atomically
from mesh.stack.ports import IDENTITIES


def note(home: Home, moment: datetime) -> None:
    """Write when a certificate or key has to be looked at again."""
    write_atomically(home.path / "renew", f"{moment.timestamp():.0f}\n")


def is_due(home: Home, now_seconds: float) -> bool:
    """Whether that moment has come, or nobody knows when it comes."""
    try:
        return now_seconds > float((home.path / "renew").read_text())
    except (OSError, ValueError):
        return True


def has_files(stack: Stack, now_seconds: float) -> bool:
    """Whether every identity has a certificate and nothing has to be renewed."""
    there = all((stack.home.certificates / name / "key.pem").exists() for name in IDENTITIES)
    return there and not is_due(stack.home, now_seconds)


def note_rendered(stack: Stack) -> None:
    """Write what Envoy's files were rendered from."""
    write_atomically(stack.home.path / "rendered", _fingerprint(stack) + "\n")


def is_rendered(stack: Stack) -> bool:
    """Whether Envoy's files would come out the same."""
    try:
        return (stack.home.path / "rendered").read_text().strip() == _fingerprint(stack)
    except OSError:
        return False


def _fingerprint(stack: Stack) -> str:
    summary = hashlib.sha256(f"{stack.home.path} {stack.ports} {stack.settings}".encode())
    for path in _inputs(stack):
        summary.update(f"{path} ".encode())
        summary.update(path.read_bytes())
    # Pages are read by Envoy itself; only which there are is part of its files.
    summary.update(" ".join(str(path) for path in sorted((ROOT / "web").glob("*/*"))).encode())
    return summary.hexdigest()


def _inputs(stack: Stack) -> Iterator[Path]:
    yield from sorted((ROOT / "gen" / "descriptors").glob("*.binpb"))
    yield from sorted((ROOT / "mesh" / "edge").glob("*.py"))
    yield from sorted((ROOT / "mesh" / "contract").glob("*.py"))
    yield ROOT / "mesh" / "stack" / "rendering.py"
    yield stack.home.keys / "jwks.json"
    yield from sorted(stack.home.envoy.glob("*.yaml"))
