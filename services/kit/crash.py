"""Crash points: named places where a test can end the process, as a power cut would. Development profile only."""

import os
from pathlib import Path

__all__ = ["arm", "reach"]

_file: Path | None = None


def arm(file: Path | None) -> None:
    """Watch this file for the name of the next crash point; None switches crash points off (any other profile)."""
    global _file  # noqa: PLW0603 - the process is armed once, at its start
    _file = file


def reach(name: str) -> None:
    """End the process here, without any clean-up, if the crash file holds exactly this name. It is deleted first."""
    if _file is None:
        return
    try:
        if _file.read_text().strip() != name:
            return
        _file.unlink()
    except OSError:
        return
    os._exit(137)
