"""HTTP/JSON reads through Envoy on a whole mesh: what a web client sees, one PUBLIC and one USER RPC.

The load comes from this process over HTTP/1.1 keep-alive connections, spoken by hand: a general client would be slower
than what it measures. Client, Envoy, service and database share the machine.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

from tests.e2e.mesh import Mesh, new_mesh
from tests.e2e.people import People

CONNECTIONS = 16
PUBLIC = "HTTP/JSON through Envoy, PUBLIC read (JWKS)"
USER = "HTTP/JSON through Envoy, USER read (wallets)"


@dataclass(frozen=True, slots=True)
class Measured:
    """One round."""

    calls_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


def measure(*, rounds: int, seconds: float) -> dict[str, list[Measured]]:
    """Start a mesh, sign one person up, and read in rounds, the two paths in turns."""
    mesh = new_mesh()
    mesh.start()
    people = People(mesh)
    try:
        person = people.sign_up("Bench")
        requests = {
            PUBLIC: _request("/.well-known/jwks.json"),
            USER: _request("/api/v1/wallets", token=person.access_token),
        }
        results: dict[str, list[Measured]] = {name: [] for name in requests}
        for raw in requests.values():
            uvloop.run(_round(mesh, raw, seconds=0.5))
        for number in range(rounds):
            for name in sorted(requests, reverse=bool(number % 2)):
                results[name].append(uvloop.run(_round(mesh, requests[name], seconds=seconds)))
        return results
    finally:
        people.close()
        mesh.stop()


def _request(path: str, *, token: str = "") -> bytes:
    headers = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", "accept: application/json"]
    if token:
        headers.append(f"authorization: Bearer {token}")
    return ("\r\n".join(headers) + "\r\n\r\n").encode()


async def _round(mesh: Mesh, raw: bytes, *, seconds: float) -> Measured:
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", mesh.ports.edge)
        try:
            while (began := time.perf_counter()) < until:
                writer.write(raw)
                await _read_answer(reader)
                taken.append(time.perf_counter() - began)
        finally:
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    elapsed = time.perf_counter() - began
    taken.sort()
    return Measured(
        len(taken) / elapsed,
        taken[len(taken) // 2] * 1000,
        taken[int(len(taken) * 0.99)] * 1000,
    )


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    if b"content-length:" in head:
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        return
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()
