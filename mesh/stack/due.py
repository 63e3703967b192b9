"""The note of when certificates or keys have to be looked at again; cheap to read."""

from __future__ import annotations

from datetime import datetime

from mesh.stack.home import Home, write_atomically


def note(home: Home, moment: datetime) -> None:
    """Write it."""
    write_atomically(home.path / "renew", f"{moment.timestamp():.0f}\n")


def is_due(home: Home, now_seconds: float) -> bool:
    """Whether the moment has come, or nobody knows when it comes."""
    try:
        return now_seconds > float((home.path / "renew").read_text())
    except (OSError, ValueError):
        return True
