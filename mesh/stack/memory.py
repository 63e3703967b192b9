"""Memory of a process and everything below it, as PSS: shared pages count once, divided among their users."""

from __future__ import annotations

import psutil


def pss_bytes(pid: int, *, alone: bool = False) -> int:
    """PSS of `pid` and (unless `alone`) its descendants in bytes; resident memory where the kernel does not tell PSS;
    0 when it is gone."""
    try:
        process = psutil.Process(pid)
        family = [process] if alone else [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_one(member) for member in family)


def _one(process: psutil.Process) -> int:
    try:
        return int(getattr(process.memory_full_info(), "pss", 0)) or int(process.memory_info().rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
