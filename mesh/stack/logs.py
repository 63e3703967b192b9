"""One log file per process, capped: what grows beyond the cap is copied aside and the file begins anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from mesh.stack.home import StackError

SIZE_MAX = 20 * 1024 * 1024
KEPT = 2


def open_log(path: Path) -> BinaryIO:
    """Open for appending: a process whose file is emptied under it goes on at the new end."""
    try:
        return path.open("ab")
    except OSError as error:
        raise StackError(
            f"The log {path} cannot be written ({error.strerror}). Make it writable, or remove it."
        ) from error


def cap(path: Path, *, size_max: int = SIZE_MAX, kept: int = KEPT) -> bool:
    """Copy aside and empty `path` when it is larger than `size_max` bytes; true if it was."""
    if not path.exists() or path.stat().st_size <= size_max:
        return False
    for number in range(kept, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def tail(path: Path, lines: int = 10, *, since: int = 0) -> str:
    """The last lines that were written after the byte `since`."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(since, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
