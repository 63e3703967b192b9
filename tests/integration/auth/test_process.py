"""The service as it runs in production: a process of its own, its log on standard output."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import psutil
import pytest

from mesh.stack.keys import SigningKeys
from services.auth import config
from services.kit.server import Serving
from tests.factories.auth import PASSWORD, Auth, FakeComms
from tests.factories.authenticator import enable_totp
from tests.harness import Harness, Running

_ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Process:
    """The process, the service in it, and what it has said so far."""

    auth: Auth
    pid: int
    ready_seconds: float
    lines: list[str] = field(default_factory=list)


@asynccontextmanager
async def process(harness: Harness, folder: Path) -> AsyncIterator[Process]:
    """Run `python -m services.auth`."""
    keys = SigningKeys(folder / "keys")
    keys.prepare()
    comms = FakeComms()
    environ = {
        **await harness.environ("auth"),
        "HAZINA_SIGNING_KEY_DIRECTORY": str(keys.folder),
        "HAZINA_JWKS_FILE": str(keys.jwks_file),
        "HAZINA_LOG_LEVEL": "debug",
        "PYTHONPATH": f"{_ROOT}:{_ROOT / 'gen' / 'python'}",
    }
    place = await harness.database("auth")
    async with harness.peers({"hazina.comms.v1.MessageService": comms}), AsyncExitStack() as stack:
        started = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.auth",
            cwd=_ROOT,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert child.stdout is not None
        lines: list[str] = []
        port = 0
        while not port:
            line = (await asyncio.wait_for(child.stdout.readline(), 60)).decode()
            assert line, f"it ended: {''.join(lines)}"
            lines.append(line)
            port = json.loads(line).get("port", 0) if '"serving"' in line else 0
        ready_seconds = time.perf_counter() - started
        reading = asyncio.create_task(_read(child.stdout, lines))
        serving = cast(Serving, SimpleNamespace(port=port))
        running = Running(harness, config.load(environ).kit, serving, stack)
        auth = Auth(running, comms, keys, place.url, place.admin_url)
        try:
            yield Process(auth, child.pid, ready_seconds, lines)
        finally:
            child.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(child.wait(), 20) == 0
            await reading


async def _read(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())


async def test_no_secret_is_logged_or_stored(harness: Harness, tmp_path: Path) -> None:
    async with process(harness, tmp_path) as running:
        auth = running.auth
        account = await auth.account("asha@example.com", name="Asha Mwangi")
        code = auth.comms.messages[0].variables["code"]
        app = await enable_totp(auth, account)
        refreshed = await auth.refresh(account.refresh_token)
        auth.comms.refuses = 1
        await auth.sign_up("+254712345678")
        other = await auth.code("+254712345678")
        for call in (auth.login(account), auth.verify("+254712345678", "000000")):
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        await auth.rows("ALTER TABLE auth.sign_up RENAME TO hidden")  # a fault of ours, for once
        with pytest.raises(grpc.aio.AioRpcError) as fault:
            await auth.sign_up("kept@example.com", name="Kept Secret")
        assert fault.value.code() is grpc.StatusCode.INTERNAL
        secrets = [PASSWORD, code, other, app.secret, account.access_token, account.refresh_token]
        secrets += [refreshed.access_token, refreshed.refresh_token]
        stored = await _everything(auth)
    logged = "".join(running.lines)
    assert '"job_failed"' in logged and '"rpc_failed"' in logged and "AuthService/Login" in logged
    assert all(json.loads(line) for line in running.lines)
    people = ["asha@example.com", "+254712345678", "kept@example.com", "Asha Mwangi", "Kept Secret"]
    for secret in [*secrets, *people]:
        quoted = [f"{mark}{secret}{mark}" for mark in ("'", '"', " ")]
        assert not any(one in logged for one in quoted), f"{secret} is in the log"
    for secret in secrets:
        assert f"'{secret}'" not in stored and f'"{secret}"' not in stored, f"{secret} is stored"


async def _everything(auth: Auth) -> str:
    """Every row of both schemas."""
    rows: list[Any] = []
    for schema in ("auth", "auth_jobs"):
        query = "SELECT tablename FROM pg_tables WHERE schemaname = $1"
        for table in await auth.rows(query, schema):
            content = await auth.rows(f'SELECT * FROM {schema}."{table["tablename"]}"')
            rows += [list(row.values()) for row in content]
    return str(rows)


async def test_the_service_is_small_and_ends_without_a_trace(
    harness: Harness, tmp_path: Path
) -> None:
    async with process(harness, tmp_path) as running:
        await running.auth.account()
        service = psutil.Process(running.pid)
        family = [service, *service.children(recursive=True)]
        pss_bytes = sum(one.memory_full_info().pss for one in family)
        assert pss_bytes < 150 * 1024 * 1024, f"{pss_bytes / 2**20:.0f} MiB"
        print(f"PSS {pss_bytes / 2**20:.0f} MiB, ready in {running.ready_seconds:.1f} s")
    assert not any(one.is_running() for one in family)
