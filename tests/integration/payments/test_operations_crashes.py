"""The service is killed at every step boundary, as by a power cut; after a restart the books are the same."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import grpc
import pytest

from hazina.payments.v1 import hook_service_pb2_grpc, review_service_pb2
from hazina.payments.v1.payment_service_pb2 import ListTransactionsRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.config import load_service
from tests.factories.payments import deposit_request, transfer_request, withdrawal_request
from tests.harness import Person, Running
from tests.integration.payments.conftest import (
    ROOT,
    Mesh,
    patiently,
    payments_of,
    reviews_of,
    until,
)

KILLED = 137


class Process:
    """The payments service as a process of its own, started again after each crash."""

    def __init__(self, environ: dict[str, str], running: Running, crash_file: Path) -> None:
        self._environ = environ
        self._crash_file = crash_file
        self.running = running
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.payments"],
            cwd=ROOT,
            env=self._environ,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.running.port)
                writer.close()
                return
            except OSError:
                assert self._process.poll() is None, "the service does not start"
                await asyncio.sleep(0.1)
        raise AssertionError("the service does not listen")

    def crash_at(self, point: str) -> None:
        """Let it die at a point, once."""
        self._crash_file.write_text(point)

    async def crash_and_restart(self) -> None:
        """Wait for the crash, and start again."""
        assert self._process is not None
        for _ in range(300):
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.1)
        assert self._process.poll() == KILLED, "the crash point was not reached"
        await self.start()

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@asynccontextmanager
async def process_of(mesh: Mesh, tmp_path: Path) -> AsyncIterator[Process]:
    """A process with the mesh around it."""
    port, crash_file = lasting_port(), tmp_path / "crash"
    environ = {
        **os.environ,
        **await mesh.harness.environ("payments"),
        **mesh.variables(),
        "HAZINA_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:0",
        "HAZINA_CRASH_FILE": str(crash_file),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen' / 'python'}",
    }
    async with AsyncExitStack() as clients:
        serving: Any = SimpleNamespace(port=port)
        running = Running(mesh.harness, load_service("payments", environ), serving, clients)
        process = Process(environ, running, crash_file)
        mesh.hooks.append(running.stub(hook_service_pb2_grpc.HookServiceStub))
        try:
            await process.start()
            yield process
        finally:
            mesh.hooks.clear()
            process.stop()


def lasting_port() -> int:
    """A free port that no outgoing connection takes while the service is down."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def the_transaction(running: Running, user: Person) -> str:
    """The id of the person's one transaction."""
    stub = payments_of(running, user)
    answer = await patiently(lambda: stub.ListTransactions(ListTransactionsRequest()))
    [made] = answer.transactions
    return str(made.id)


async def attempt(call: Any) -> Any:
    """A call that the crash may cut off."""
    passing = (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    )
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() not in passing:
            raise
        return None


def points(kind: str, *names: str, always: str) -> list[Any]:
    """Crash points; `always` is tried on every run, the others with the slow tests."""
    return [
        pytest.param(f"payments.{kind}.{name}", marks=[] if name == always else pytest.mark.slow)
        for name in names
    ]


@pytest.mark.parametrize(
    "point", points("transfer", "after_t1", "after_post", "after_t2", always="after_post")
)
@pytest.mark.parametrize("repeats", [True, False])
async def test_a_transfer_survives(
    mesh: Mesh, tmp_path: Path, point: str, *, repeats: bool
) -> None:
    """Whether its caller comes back with the same key or never again, it happens once."""
    async with process_of(mesh, tmp_path) as process:
        asha, source = await mesh.person("Asha", 100_000)
        _, target = await mesh.person("Brian")
        request = transfer_request(source, target, 30_000)
        process.crash_at(point)
        await attempt(payments_of(process.running, asha).CreateTransfer(request, key="k"))
        await process.crash_and_restart()
        if repeats:
            stub = payments_of(process.running, asha)
            answer = await patiently(lambda: stub.CreateTransfer(request, key="k", timeout=15))
            assert answer.transaction.state == Transaction.COMPLETED
        made = await the_transaction(process.running, asha)
        await until(process.running, asha, made, "COMPLETED", seconds=40)
        assert await mesh.balance(source) == 70_000 and await mesh.balance(target) == 30_000
        await mesh.books()


@pytest.mark.parametrize(
    "point",
    points(
        "deposit",
        *("after_t1", "after_t2", "after_send", "after_t3", "after_post", "after_t4"),
        always="after_post",
    ),
)
async def test_a_deposit_survives(mesh: Mesh, tmp_path: Path, phone: str, point: str) -> None:
    async with process_of(mesh, tmp_path) as process:
        asha, wallet = await mesh.person("Asha")
        process.crash_at(point)
        request = deposit_request(wallet, 50_000, phone=phone)
        await attempt(payments_of(process.running, asha).CreateDeposit(request, key="k"))
        await process.crash_and_restart()
        made = await the_transaction(process.running, asha)
        if point.endswith("after_t2"):
            # Whether the provider was called is not known, so it is only asked; it never heard of it.
            await until(process.running, asha, made, "UNKNOWN", "MANUAL_REVIEW", seconds=40)
            assert await mesh.balance(wallet) == 0 and mesh.simulator.payments(phone) == []
        elif point.endswith("after_send"):
            # The answer to the request was lost with the process, and so may the callback be.
            found = await until(
                process.running, asha, made, "COMPLETED", "UNKNOWN", "MANUAL_REVIEW", seconds=40
            )
            is_done = found.state == Transaction.COMPLETED
            assert await mesh.balance(wallet) == (50_000 if is_done else 0)
        else:
            await until(process.running, asha, made, "COMPLETED", seconds=40)
            assert await mesh.balance(wallet) == 50_000
        assert len(mesh.simulator.payments(phone)) <= 1
        await mesh.books()


@pytest.mark.parametrize(
    "point",
    points(
        "withdrawal",
        *(
            "after_t1",
            "after_hold",
            "after_t2",
            "after_send",
            "after_t3",
            "after_settle",
            "after_t4",
        ),
        always="after_send",
    ),
)
async def test_a_withdrawal_survives(mesh: Mesh, tmp_path: Path, phone: str, point: str) -> None:
    async with process_of(mesh, tmp_path) as process:
        asha, wallet = await mesh.person("Asha", 100_000)
        process.crash_at(point)
        request = withdrawal_request(wallet, 20_000, phone=phone)
        await attempt(payments_of(process.running, asha).CreateWithdrawal(request, key="k"))
        await process.crash_and_restart()
        made = await the_transaction(process.running, asha)
        if point.endswith("after_t2"):
            await until(process.running, asha, made, "UNKNOWN", "MANUAL_REVIEW", seconds=40)
            assert await mesh.held(wallet) == 20_000 and mesh.simulator.payments(phone) == []
        else:
            await until(process.running, asha, made, "COMPLETED", seconds=40)
            assert await mesh.balance(wallet) == 80_000 and await mesh.held(wallet) == 0
            assert [one["moved"] for one in mesh.simulator.payments(phone)] == [200]
        await mesh.books()


@pytest.mark.parametrize(
    "point", points("withdrawal", "after_t3", "after_settle", "after_t4", always="")
)
async def test_a_refused_withdrawal_survives(
    mesh: Mesh, tmp_path: Path, phone: str, point: str
) -> None:
    mesh.simulator.fault("failed", phone=phone)
    async with process_of(mesh, tmp_path) as process:
        asha, wallet = await mesh.person("Asha", 100_000)
        process.crash_at(point)
        request = withdrawal_request(wallet, 20_000, phone=phone)
        await attempt(payments_of(process.running, asha).CreateWithdrawal(request, key="k"))
        await process.crash_and_restart()
        made = await the_transaction(process.running, asha)
        await until(process.running, asha, made, "FAILED", seconds=40)
        assert await mesh.balance(wallet) == 100_000 and await mesh.held(wallet) == 0


@pytest.mark.parametrize(
    "point", points("reversal", "after_t1", "after_post", "after_t2", always="")
)
async def test_a_reversal_survives(mesh: Mesh, tmp_path: Path, point: str) -> None:
    async with process_of(mesh, tmp_path) as process:
        running = process.running
        asha, source = await mesh.person("Asha", 100_000)
        _, target = await mesh.person("Brian")
        staff = [mesh.harness.person(roles=["staff"]) for _ in range(2)]
        made = await payments_of(running, asha).CreateTransfer(
            transfer_request(source, target, 30_000), key="k"
        )
        proposed = await reviews_of(running, staff[0]).ReverseTransaction(
            review_service_pb2.ReverseTransactionRequest(
                transaction_id=made.transaction.id, note="paid twice"
            ),
            key="reverse",
        )
        process.crash_at(point)
        confirm = review_service_pb2.ConfirmReviewRequest(review_id=proposed.review.id)
        await attempt(reviews_of(running, staff[1]).ConfirmReview(confirm, key="confirm"))
        await process.crash_and_restart()
        await until(running, asha, made.transaction.id, "REVERSED", seconds=40)
        stub = reviews_of(running, staff[1])
        answer = await patiently(lambda: stub.ConfirmReview(confirm, key="confirm"))
        assert answer.transaction.state == Transaction.COMPLETED
        assert UUID(answer.transaction.reversal_transaction_id) == UUID(made.transaction.id)
        assert await mesh.balance(source) == 100_000 and await mesh.balance(target) == 0
