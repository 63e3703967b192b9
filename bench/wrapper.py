"""What the RPC wrapper costs: a no-op behind all of its duties against a bare grpc.aio no-op, in one run.

Both servers are processes of their own with mTLS on uvloop, and take turns under the same load from this process, so
that neither gets the quieter moment of the machine. `python -m bench.wrapper`; nothing has to run beside it.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from mesh.stack.certificates import Certificates
from services.kit import wrapper
from services.kit.channels import CertificateFiles
from services.kit.clock import Clock
from services.kit.identity import Tokens
from services.kit.wrapper import Context
from tests.harness import probe
from tests.harness.people import Signer, claims_of

METHOD = f"/{probe.SERVICE}/Read"
OPTIONS = (("grpc.so_reuseport", 0),)


class NoOp:
    """Does nothing, as cheaply as possible."""

    def __init__(self) -> None:
        self._answer = probe.ProbeResponse(note="ok")

    async def Read(self, request: Any, call: Any) -> Any:
        """Answer at once."""
        return self._answer


async def serve(kind: str, folder: Path) -> None:
    """Serve one of the two; print the port."""
    server = grpc.aio.server(options=OPTIONS)
    if kind == "bare":
        handler = grpc.unary_unary_rpc_method_handler(
            NoOp().Read, probe.ProbeRequest.FromString, probe.ProbeResponse.SerializeToString
        )
        generic = grpc.method_handlers_generic_handler(probe.SERVICE, {"Read": handler})
    else:
        context = Context(service="probe", tokens=Tokens(folder / "jwks.json"))
        descriptor = probe.ProbeRequest.DESCRIPTOR.file.services_by_name["ProbeService"]
        generic = wrapper.compile(probe.SERVICE, NoOp(), descriptor, context)
    server.add_generic_rpc_handlers((generic,))
    chain, key, authorities = CertificateFiles(folder / "certificates" / "comms").read()
    credentials = grpc.ssl_server_credentials([(key, chain)], authorities, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, file=sys.stderr, flush=True)
    await server.wait_for_termination()


def start(kind: str, folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A server process and its port. Its log lines are written and thrown away, as a log shipper would take them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.wrapper", "--serve", kind, "--folder", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    return process, int(process.stderr.readline())


async def load(
    call: Callable[[], Any], server: psutil.Process, *, seconds: float, at_once: int
) -> tuple[float, float]:
    """Calls per second with that many under way, and the server's processor time per call in microseconds."""
    done = 0
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    started, used = time.perf_counter(), sum(server.cpu_times()[:2])
    await asyncio.gather(*(work() for _ in range(at_once)))
    elapsed, used = time.perf_counter() - started, sum(server.cpu_times()[:2]) - used
    return done / elapsed, used / done * 1e6


async def measure(
    folder: Path, *, rounds: int, seconds: float, at_once: int
) -> dict[str, list[tuple[float, float]]]:
    """Rounds of both, in turns."""
    signer = Signer(folder / "jwks.json")
    token = signer.sign(claims_of(Clock().new_id(), UUID(int=1)))
    metadata = (
        ("authorization", f"Bearer {token}"),
        ("x-request-id", "bench"),
        ("x-envoy-external-address", "203.0.113.7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
    )
    certificates = Certificates(folder / "certificates")
    certificates.prepare()
    chain, key, authorities = CertificateFiles(certificates.directory("edge")).read()
    credentials = grpc.ssl_channel_credentials(authorities, key, chain)
    request = probe.ProbeRequest(note="hello", amount={"currency": "KES", "minor_units": 120050})
    results: dict[str, list[tuple[float, float]]] = {"bare": [], "wrapped": []}
    processes = {kind: start(kind, folder) for kind in results}
    try:
        calls, servers = {}, {}
        for kind, (_, port) in processes.items():
            channel = grpc.aio.secure_channel(
                f"127.0.0.1:{port}",
                credentials,
                options=(("grpc.ssl_target_name_override", "localhost"),),
            )
            stub = channel.unary_unary(
                METHOD, probe.ProbeRequest.SerializeToString, probe.ProbeResponse.FromString
            )
            calls[kind] = lambda stub=stub: stub(request, metadata=metadata, timeout=0.9)
            servers[kind] = psutil.Process(processes[kind][0].pid)
            await load(calls[kind], servers[kind], seconds=0.5, at_once=at_once)
        for number in range(rounds):
            for kind in sorted(results, reverse=bool(number % 2)):
                results[kind].append(
                    await load(calls[kind], servers[kind], seconds=seconds, at_once=at_once)
                )
    finally:
        for process, _ in processes.values():
            process.terminate()
            process.wait(10)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=["bare", "wrapped"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--at-once", type=int, default=32)
    chosen = parser.parse_args()
    if chosen.serve:
        uvloop.run(serve(chosen.serve, chosen.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = uvloop.run(
            measure(
                Path(folder), rounds=chosen.rounds, seconds=chosen.seconds, at_once=chosen.at_once
            )
        )
    table = Table("", "calls/s", "rounds", "server CPU per call")
    names = {"bare": "bare no-op", "wrapped": "no-op behind the full wrapper"}
    rates = {
        kind: statistics.median(rate for rate, _ in rounds) for kind, rounds in results.items()
    }
    costs = {
        kind: statistics.median(cost for _, cost in rounds) for kind, rounds in results.items()
    }
    for kind, name in names.items():
        rounds = " · ".join(f"{rate:,.0f}" for rate, _ in results[kind])
        table.add_row(name, f"{rates[kind]:,.0f}", rounds, f"{costs[kind]:.0f} µs")
    ratios = f"{rates['wrapped'] / rates['bare']:.2f}", f"{costs['bare'] / costs['wrapped']:.2f}"
    table.add_row("ratio", ratios[0], "", ratios[1])
    Console().print(table)


if __name__ == "__main__":
    main()
