"""The groups service killed between its steps: a repeat with the same key, or a job, brings everything to its one end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import grpc
import pytest

from hazina.groups.v1.contribution_service_pb2 import ConfirmContributionRequest
from hazina.groups.v1.group_service_pb2 import LeaveGroupRequest
from services.kit.server import Serving
from tests.contract.groups.conftest import World, world
from tests.factories.groups import PUBLIC_URL, from_wallet, group_request, in_cash, payout
from tests.harness import Harness, Running, free_port

__all__ = ["world"]

_ROOT = Path(__file__).resolve().parents[3]
Act = Callable[[World], Awaitable[Any]]


@asynccontextmanager
async def process(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as it runs in production, ended at the end of the block."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.groups",
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'gen/python'}", **environ},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()


@asynccontextmanager
async def calling(world: World, port: int) -> AsyncIterator[World]:
    """The same world, whose calls go to the process."""
    async with AsyncExitStack() as clients:
        serving = cast(Serving, SimpleNamespace(port=port))
        running = Running(world.harness, world.running.config, serving, clients)
        yield replace(world, running=running)


async def until_up(world: World) -> None:
    """Wait until the process answers."""
    channel = world.running.channel("edge")
    async with asyncio.timeout(60):
        await channel.channel_ready()


async def patiently(act: Act, world: World) -> Any:
    """Repeat while the process is away."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await act(world)
            except grpc.aio.AioRpcError as error:
                if error.code() not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.ABORTED,
                ):
                    raise
                await asyncio.sleep(0.3)


class Scene:
    """Asha's group with Brian in it, KES 1,000.00, an approved withdrawal, and cash of Brian's that waits."""

    def __init__(self, group: Any, withdrawal: Any, cash: str) -> None:
        self.group, self.withdrawal, self.cash = group, withdrawal, cash

    async def create_group(self, world: World) -> None:
        await world.groups(world.asha).CreateGroup(group_request("Second"), key="x")

    async def contribute(self, world: World) -> None:
        request = from_wallet(self.group.id, world.wallet(world.brian), 5_000)
        await world.contributions(world.brian).CreateContribution(request, key="x")

    async def confirm(self, world: World) -> None:
        request = ConfirmContributionRequest(group_id=self.group.id, contribution_id=self.cash)
        await world.contributions(world.brian).ConfirmContribution(request, key="x")

    async def ask(self, world: World) -> None:
        request = payout(self.group.id, world.wallet(world.brian), 5_000)
        await world.withdrawals(world.brian).CreateWithdrawal(request, key="x")

    async def execute(self, world: World) -> None:
        await world.act("Execute", world.asha, self.withdrawal, key="x")

    async def reject(self, world: World) -> None:
        await world.act("Reject", world.asha, self.withdrawal, key="x")

    async def cancel(self, world: World) -> None:
        await world.act("Cancel", world.asha, self.withdrawal, key="x")

    async def leave(self, world: World) -> None:
        request = LeaveGroupRequest(group_id=self.group.id)
        await world.groups(world.brian).LeaveGroup(request, key="x")


# What is killed where, and what then lies in: the group's wallet, held in it, cash, Brian's wallet, Asha's wallet.
_CASES = [
    ("create_group", "groups.group.after_t1", (120_000, 10_000, 0, 480_000, 500_000)),
    ("create_group", "groups.group.after_wallet", (120_000, 10_000, 0, 480_000, 500_000)),
    ("contribute", "groups.contribution.after_t1", (125_000, 10_000, 0, 475_000, 500_000)),
    ("contribute", "groups.contribution.after_payment", (125_000, 10_000, 0, 475_000, 500_000)),
    ("contribute", "groups.contribution.after_t2", (125_000, 10_000, 0, 475_000, 500_000)),
    ("confirm", "groups.cash.after_t1", (120_000, 10_000, 3_000, 480_000, 500_000)),
    ("confirm", "groups.cash.after_post", (120_000, 10_000, 3_000, 480_000, 500_000)),
    ("confirm", "groups.cash.after_t2", (120_000, 10_000, 3_000, 480_000, 500_000)),
    ("ask", "groups.withdrawal.after_t1", (120_000, 15_000, 0, 480_000, 500_000)),
    ("ask", "groups.withdrawal.after_hold", (120_000, 15_000, 0, 480_000, 500_000)),
    ("ask", "groups.withdrawal.after_hold_t2", (120_000, 15_000, 0, 480_000, 500_000)),
    ("execute", "groups.withdrawal.after_execute", (110_000, 0, 0, 480_000, 510_000)),
    ("execute", "groups.withdrawal.after_payout", (110_000, 0, 0, 480_000, 510_000)),
    ("execute", "groups.withdrawal.after_t2", (110_000, 0, 0, 480_000, 510_000)),
    ("reject", "groups.withdrawal.after_rejected", (120_000, 0, 0, 480_000, 500_000)),
    ("reject", "groups.withdrawal.after_free", (120_000, 0, 0, 480_000, 500_000)),
    ("cancel", "groups.withdrawal.after_cancelled", (120_000, 0, 0, 480_000, 500_000)),
    ("leave", "groups.exit.after_t1", (100_000, 10_000, 0, 500_000, 500_000)),
    ("leave", "groups.withdrawal.after_hold", (100_000, 10_000, 0, 500_000, 500_000)),
    ("leave", "groups.withdrawal.after_payout", (100_000, 10_000, 0, 500_000, 500_000)),
]


async def scene(world: World) -> Scene:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    await world.contributions(world.brian).CreateContribution(
        from_wallet(group.id, world.wallet(world.brian), 20_000), key="first"
    )
    cash = await world.contributions(world.asha).CreateContribution(
        in_cash(group.id, 3_000, world.brian.id), key="cash"
    )
    withdrawal = await world.asked(group, world.asha, 10_000)
    return Scene(group, withdrawal, cash.contribution.id)


async def environ(harness: Harness, crash_file: Path, port: int) -> dict[str, str]:
    return {
        **await harness.environ("groups"),
        "HAZINA_PUBLIC_URL": PUBLIC_URL,
        "HAZINA_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "HAZINA_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
        "HAZINA_CRASH_FILE": str(crash_file),
    }


def _money(world: World, group: Any) -> tuple[int, ...]:
    wallet = UUID(group.wallet_id)
    return (
        world.ledger.balance(wallet),
        world.ledger.held(wallet),
        world.ledger.balance(f"SYSTEM:CASH:{group.id}"),
        world.ledger.balance(world.wallet(world.brian)),
        world.ledger.balance(world.wallet(world.asha)),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("deed", "point", "money"), _CASES, ids=[case[1] for case in _CASES])
async def test_a_repeat_after_a_kill_ends_exact(
    world: World,
    tmp_path: Path,
    deed: str,
    point: str,
    money: tuple[int, ...],
) -> None:
    before = await scene(world)
    crash_file, port = tmp_path / "crash", free_port()
    crash_file.write_text(point)
    told = await environ(world.harness, crash_file, port)
    act: Act = getattr(before, deed)
    async with calling(world, port) as outside:
        async with process(told) as killed:
            await until_up(outside)
            with pytest.raises(grpc.aio.AioRpcError):
                await act(outside)
            assert await asyncio.wait_for(killed.wait(), 10) == 137
        async with process(told):
            await patiently(act, outside)
            async with asyncio.timeout(20):  # what is released may be left to a job
                while _money(world, before.group) != money:
                    await asyncio.sleep(0.1)
    assert world.ledger.is_balanced()


@pytest.mark.slow
async def test_jobs_finish_what_nobody_repeats(
    world: World,
    tmp_path: Path,
) -> None:
    before = await scene(world)
    crash_file, port = tmp_path / "crash", free_port()
    crash_file.write_text("groups.withdrawal.after_execute")
    told = await environ(world.harness, crash_file, port)
    async with calling(world, port) as outside, process(told) as killed:
        await until_up(outside)
        with pytest.raises(grpc.aio.AioRpcError):
            await before.execute(outside)
        await asyncio.wait_for(killed.wait(), 10)
    async with process(told), asyncio.timeout(40):
        while _money(world, before.group)[-1] != 510_000:
            await asyncio.sleep(0.2)
