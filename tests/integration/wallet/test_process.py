"""The service as a process of its own: killed at its crash points, and stopped while people watch."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from hazina.wallet.v1 import (
    ledger_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from services.kit.channels import CertificateFiles
from tests.factories.wallet import OUTSIDE, hold, new_id, post, told
from tests.harness import Harness, free_port

ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def _process(
    harness: Harness, crash_file: Path, port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {
        **os.environ,
        **await harness.environ("wallet"),
        "HAZINA_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "HAZINA_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
        "HAZINA_CRASH_FILE": str(crash_file),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen' / 'python'}",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.wallet",
        env=environ,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await process.wait() == 0


@asynccontextmanager
async def _channel(harness: Harness, port: int, identity: str) -> AsyncIterator[grpc.aio.Channel]:
    chain, key, authorities = CertificateFiles(harness.certificates.directory(identity)).read()
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        grpc.ssl_channel_credentials(authorities, key, chain),
        options=(("grpc.ssl_target_name_override", "localhost"),),
    ) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        yield channel


@asynccontextmanager
async def _ledger(harness: Harness, port: int) -> AsyncIterator[Any]:
    async with _channel(harness, port, "payments") as channel:
        yield ledger_service_pb2_grpc.LedgerServiceStub(channel)


def _request(*steps: ledger_pb2.Transfer) -> ledger_service_pb2.CreateTransfersRequest:
    return ledger_service_pb2.CreateTransfersRequest(
        tenant_id="default", actor="service:payments", transfers=steps
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "then"),
    [("wallet.post.before_commit", "CREATED"), ("wallet.post.after_commit", "EXISTS")],
)
async def test_after_a_crash_the_same_ids_tell_what_happened(
    harness: Harness, tmp_path: Path, point: str, then: str
) -> None:
    crash_file = tmp_path / "crash"
    port = free_port()
    payment = post(OUTSIDE, "SYSTEM:FEES", 70)
    async with _process(harness, crash_file, port) as process, _ledger(harness, port) as ledger:
        await ledger.CreateTransfers(_request(post(OUTSIDE, "SYSTEM:FEES", 1)), timeout=10)
        crash_file.write_text(point)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ledger.CreateTransfers(_request(payment), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await asyncio.wait_for(process.wait(), 10) == 137
    async with _process(harness, crash_file, port), _ledger(harness, port) as ledger:
        [verdict] = (await ledger.CreateTransfers(_request(payment), timeout=10)).verdicts
        assert told(verdict) == then
        assert verdict.credit_account.credits_posted == 71


@pytest.mark.slow
async def test_people_who_watch_are_told_when_the_process_stops(
    harness: Harness, tmp_path: Path
) -> None:
    port = free_port()
    amina = harness.person()
    async with _process(harness, tmp_path / "crash", port) as process:
        async with _channel(harness, port, "groups") as groups:
            account = await ledger_service_pb2_grpc.LedgerServiceStub(groups).CreateAccount(
                ledger_service_pb2.CreateAccountRequest(
                    tenant_id="default",
                    account_id=new_id(),
                    kind=ledger_pb2.Account.USER,
                    owner_id=str(amina.id),
                    currency="KES",
                    name="Savings",
                )
            )
        async with _channel(harness, port, "edge") as edge:
            stream: Any = wallet_service_pb2_grpc.WalletServiceStub(edge).WatchWallet(
                wallet_service_pb2.WatchWalletRequest(wallet_id=account.account.id),
                metadata=(("authorization", f"Bearer {amina.token}"),),
            )
            assert (await stream.read()).HasField("wallet")
            process.send_signal(signal.SIGTERM)
            message = await stream.read()
            assert message.end.cause == wallet_service_pb2.StreamEnd.SERVICE_STOPPING
            assert await stream.read() is grpc.aio.EOF
        async with asyncio.timeout(30):
            assert await process.wait() == 0


@pytest.mark.slow
async def test_an_expired_hold_that_nobody_touches_is_released_by_the_running_service(
    harness: Harness, tmp_path: Path
) -> None:
    port = free_port()
    async with _process(harness, tmp_path / "crash", port), _ledger(harness, port) as ledger:
        soon = datetime.now(UTC) + timedelta(seconds=2)
        held = hold(OUTSIDE, "SYSTEM:FEES", 70, expire_time=soon)
        [verdict] = (await ledger.CreateTransfers(_request(held), timeout=10)).verdicts
        assert told(verdict) == "CREATED"
        wanted = ledger_service_pb2.BatchGetTransfersRequest(
            tenant_id="default", transfer_ids=[held.id]
        )
        async with asyncio.timeout(40):
            while True:
                [booked] = (await ledger.BatchGetTransfers(wanted)).transfers
                if booked.hold_state == ledger_service_pb2.BookedTransfer.EXPIRED:
                    break
                await asyncio.sleep(0.5)
