"""Runs a simulator's HTTP side until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette


def host_and_port(address: str) -> tuple[str, int]:
    """Split `host:port`. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"an address is host:port, not {address!r}")
    return host, int(port)


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Starlette, address: str, stop: asyncio.Event) -> None:
    """Serve the application on `address` until `stop` is set. Raises OSError when the port is taken."""
    host, port = host_and_port(address)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        limit_concurrency=200,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(_run(server, address))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _run(server: uvicorn.Server, address: str) -> None:
    try:
        await server.serve()
    except SystemExit:  # uvicorn's word for a port that cannot be opened
        raise OSError(f"{address} cannot be opened; is it taken?") from None
