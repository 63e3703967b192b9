"""Starting a child so that it cannot outlive its parent, as the user it should be."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mesh.stack.home import StackError

_PR_SET_PDEATHSIG = 1
# Loaded here, not in the child: between fork and exec a child should not allocate much or import anything.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def unprivileged_user() -> pwd.struct_passwd | None:
    """Whom root hands Postgres to; None when we are not root and nothing has to change."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise StackError(
            "Postgres refuses to run as root, and there is no user `nobody` to run it as. "
            "Work as a plain user, or set HAZINA_DATABASE_URL."
        ) from error


def die_with_parent(death_signal: signal.Signals, parent: int) -> Callable[[], None]:
    """What a child runs before exec: the kernel sends it `death_signal` when `parent` is gone."""

    def arrange() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # the parent died between fork and prctl
                os.kill(os.getpid(), signal.SIGKILL)

    return arrange


def start(
    command: Sequence[str | Path],
    *,
    output: IO[Any] | int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    user: pwd.struct_passwd | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own (Ctrl-C reaches only the supervisor), tied to our life."""
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        preexec_fn=die_with_parent(death_signal, os.getpid()),  # noqa: PLW1509 - takes no lock, imports nothing
    )


def others_can_enter(path: Path) -> bool:
    """Whether a user without any rights of ours can walk down to `path` (the folder itself included)."""
    path = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.is_dir())
