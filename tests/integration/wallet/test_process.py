"""The service as a process of its own: killed at its crash points, and stopped while people watch."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from services.kit.channels import CertificateFiles
from tests.factories.wallet import OUTSIDE, post, told
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
async def _ledger(harness: Harness, port: int) -> AsyncIterator[Any]:
    chain, key, authorities = CertificateFiles(harness.certificates.directory("payments")).read()
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        grpc.ssl_channel_credentials(authorities, key, chain),
        options=(("grpc.ssl_target_name_override", "localhost"),),
    ) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        yield ledger_service_pb2_grpc.LedgerServiceStub(channel)


def _request(*steps: ledger_pb2.Transfer) -> ledger_service_pb2.CreateTransfersRequest:
    return ledger_service_pb2.CreateTransfersRequest(
        tenant_id="default", actor="service:payments", transfers=steps
    )


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
