"""The comms service killed between its steps: nothing is lost, and a repeat carries the same Message-ID."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hazina.auth.v1.auth_events_pb2 import UserVerified
from hazina.event.v1.envelope_pb2 import Envelope
from services.kit import relay
from services.kit.clock import Clock
from tests.factories.comms import Receivers, until
from tests.harness import Harness, free_port

_ROOT = Path(__file__).resolve().parents[3]
_clock = Clock()


@asynccontextmanager
async def process(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as it runs in production, ended at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.comms",
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'gen/python'}", **environ},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def one(harness: Harness) -> dict[str, Any]:
    """The one message that is stored."""
    admin = await asyncpg.connect((await harness.database("comms")).admin_url)
    try:
        [row] = await admin.fetch("SELECT * FROM comms.message")
        return dict(row)
    finally:
        await admin.close()


async def shorten_lease(harness: Harness) -> None:
    """As if the lease of the dead process were over."""
    admin = await asyncpg.connect((await harness.database("comms")).admin_url)
    try:
        await admin.execute("UPDATE comms.message SET lease_time = now() WHERE state = 'SENDING'")
    finally:
        await admin.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "mails"),
    [
        ("comms.inbox.after_effect", 1),
        ("comms.message.before_send", 1),
        ("comms.message.after_send", 2),
    ],
)
async def test_a_killed_process_loses_no_message(
    harness: Harness, receivers: Receivers, tmp_path: Path, point: str, mails: int
) -> None:
    crash_file = tmp_path / "crash"
    environ = {
        **await harness.environ("comms"),
        **receivers.variables,
        "HAZINA_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}",
        "HAZINA_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
        "HAZINA_CRASH_FILE": str(crash_file),
    }
    user_id = _clock.new_id()
    envelope = Envelope(
        event_id=str(_clock.new_id()),
        type="auth.user.verified",
        tenant_id="default",
        aggregate_id=str(user_id),
        aggregate_version=1,
    )
    envelope.occur_time.FromDatetime(datetime.now(UTC))
    envelope.payload.Pack(
        UserVerified(
            user_id=str(user_id), display_name="Asha", email="asha@example.com", locale="en"
        )
    )
    crash_file.write_text(point)
    await relay.publish(harness.redis, "auth", [envelope])
    async with process(environ) as first, asyncio.timeout(30):
        assert await first.wait() == 137
    await shorten_lease(harness)
    async with process(environ):

        async def sent() -> bool:
            return bool((await one(harness))["state"] == "SENT")

        await until(sent, seconds=60)
    received = receivers.mails("asha@example.com")
    assert len(received) == mails
    assert {mail.reference for mail in received} == {(await one(harness))["provider_message_id"]}
