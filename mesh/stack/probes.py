"""Real questions that show whether a part is ready."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path


async def http_status(port: int, path: str, *, timeout_seconds: float = 3) -> int:
    """Status of a plain GET on loopback; 0 when there was no answer."""
    status, _ = await http_get(port, path, timeout_seconds=timeout_seconds)
    return status


async def http_get(port: int, path: str, *, timeout_seconds: float = 3) -> tuple[int, str]:
    """Status and what followed the headers of a GET on loopback; (0, "") when there was no answer."""
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                )
                await writer.drain()
                answer = (await reader.read()).decode(errors="replace")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return 0, ""
    head, _, body = answer.partition("\r\n\r\n")
    words = head.split(" ", 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), body


async def listens(port: int) -> bool:
    """Whether something on loopback takes connections."""
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def envoy_finds_healthy(admin_socket: Path, cluster: str) -> bool | None:
    """What Envoy's own health check (gRPC, over mTLS) says of `cluster`; None when Envoy cannot be asked."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(_short(admin_socket))
            try:
                writer.write(b"GET /clusters HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
                answer = (await reader.read()).decode(errors="replace")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    flags = [
        line.partition("::health_flags::")[2].strip()
        for line in answer.splitlines()
        if line.startswith(f"{cluster}::") and "::health_flags::" in line
    ]
    return all(flag == "healthy" for flag in flags) if flags else None


def _short(path: Path) -> str:
    """A name of `path` that fits into the 107 bytes of a socket address, however deep the clone lies."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)
