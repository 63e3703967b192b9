"""Real questions that show whether a part is ready."""

from __future__ import annotations

import asyncio
import contextlib


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
