"""Who holds a port that we need, told so that the reader knows what to do."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

import psutil

from mesh.stack.home import StackError


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether we could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder(port: int) -> str:
    """Which process listens on `port`: name, pid and user, as far as we may see it."""
    try:
        for connection in psutil.net_connections("inet"):
            address = connection.laddr if connection.status == psutil.CONN_LISTEN else ()
            if address and address.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {process.pid}, user {process.username()})"
    except psutil.Error:
        pass
    return "another process (not visible to this user)"


def require_free(ports: Mapping[str, int]) -> None:
    """Raise with every taken port, by what, and the way out. `ports` maps what we need it for to the number."""
    taken = [(name, port) for name, port in ports.items() if not is_free(port)]
    if not taken:
        return
    lines = [f"Port {port} ({name}) is taken by {holder(port)}." for name, port in taken]
    lines.append(
        "Stop what holds it (if it is a mesh of yours: `hazina down` with its HAZINA_HOME), "
        "or use other ports: HAZINA_PORT_BASE=18080 hazina up"
    )
    raise StackError("\n".join(lines))
