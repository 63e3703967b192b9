"""WatchWallet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from hazina.wallet.v1 import ledger_service_pb2, wallet_service_pb2
from hazina.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from services.wallet.operations import watching
from tests.factories.wallet import OUTSIDE, Bank, hold, new_id, post, void_hold, wallet_service
from tests.harness import Harness, Person, Running, assert_refused

Cause = wallet_service_pb2.StreamEnd.Cause


@pytest.fixture
async def running(harness: Harness) -> AsyncIterator[Running]:
    """The service with its background work: it listens for commits."""
    async with harness.peers({}), wallet_service(harness) as running:
        yield running


@pytest.fixture
def bank(running: Running) -> Bank:
    """The ledger of that service."""
    return Bank(running)


def _watch(running: Running, person: Person, wallet_id: str, cursor: str = "") -> Any:
    request = wallet_service_pb2.WatchWalletRequest(wallet_id=wallet_id, cursor=cursor)
    return running.stub(WalletServiceStub, user=person).WatchWallet(request, timeout=None)


async def _next(stream: Any, *, beats: bool = False) -> Any:
    """The next message; heartbeats, which a slow machine brings at any time, only if they are asked for."""
    async with asyncio.timeout(30):
        while True:
            message: Any = await stream.read()
            if beats or message is grpc.aio.EOF or message.WhichOneof("event") != "heartbeat":
                return message


async def test_the_wallet_comes_at_once_and_after_each_change(
    running: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    wallet = await bank.funded(500, amina)
    stream = _watch(running, amina, wallet)
    assert (await _next(stream)).wallet.balance.minor_units == 500
    held = hold(wallet, OUTSIDE, 100)
    expected = {
        "a credit": (post(OUTSIDE, wallet, 7), 507, 507),
        "a debit": (post(wallet, OUTSIDE, 7), 500, 500),
        "a hold": (held, 500, 400),
        "its release": (void_hold(held.id), 500, 500),
    }
    for what, (step, balance, available) in expected.items():
        await bank.book(step)
        told = (await _next(stream)).wallet
        amounts = (told.balance.minor_units, told.available.minor_units)
        assert amounts == (balance, available), what
    await bank.ops.FreezeAccount(
        ledger_service_pb2.FreezeAccountRequest(
            tenant_id="default", account_id=wallet, note="lost phone"
        )
    )
    assert (await _next(stream)).wallet.frozen
    stream.cancel()


async def test_a_cursor_leaves_out_what_was_seen(
    running: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    wallet = await bank.funded(500, amina)
    first = _watch(running, amina, wallet)
    cursor = (await _next(first)).cursor
    first.cancel()
    second = _watch(running, amina, wallet, cursor)
    reading = asyncio.create_task(_next(second))
    await asyncio.sleep(0.3)
    assert not reading.done(), "nothing changed since"
    await bank.book(post(OUTSIDE, wallet, 1))
    assert (await reading).wallet.balance.minor_units == 501
    second.cancel()
    await bank.book(post(OUTSIDE, wallet, 1))
    third = _watch(running, amina, wallet, cursor)
    assert (await _next(third)).wallet.balance.minor_units == 502
    third.cancel()
    odd = _watch(running, amina, wallet, "no cursor of ours")
    assert (await _next(odd)).wallet.balance.minor_units == 502
    odd.cancel()


async def test_a_heartbeat_comes_while_nothing_changes_and_the_session_stands(
    running: Running, bank: Bank, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quicken(running, monkeypatch, heartbeat_seconds=0.2)
    amina = harness.person()
    stream = _watch(running, amina, await bank.wallet(amina))
    first = await _next(stream)
    beat = await _next(stream, beats=True)
    assert beat.WhichOneof("event") == "heartbeat" and beat.cursor == first.cursor
    assert beat.heartbeat.time.seconds > 0
    harness.sessions.ended.add(amina.session_id)
    assert (await _next(stream)).end.cause == Cause.SESSION_ENDED
    assert await stream.read() is grpc.aio.EOF


async def test_the_stream_ends_with_the_token(
    running: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person(expires_in_seconds=2)
    stream = _watch(running, amina, await bank.wallet(amina))
    assert (await _next(stream)).HasField("wallet")
    assert (await _next(stream)).end.cause == Cause.TOKEN_EXPIRED
    assert await stream.read() is grpc.aio.EOF


async def test_the_stream_ends_after_its_longest_life(
    running: Running, bank: Bank, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quicken(running, monkeypatch, lifetime_seconds=0.2)
    amina = harness.person()
    stream = _watch(running, amina, await bank.wallet(amina))
    assert (await _next(stream)).HasField("wallet")
    assert (await _next(stream)).end.cause == Cause.LIFETIME_REACHED


async def test_the_stream_ends_with_a_message_when_the_service_stops(harness: Harness) -> None:
    amina = harness.person()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(harness.peers({}))
        async with wallet_service(harness) as running:
            stream = _watch(running, amina, await Bank(running).wallet(amina))
            assert (await _next(stream)).HasField("wallet")
            ending = asyncio.create_task(_next(stream))
            running.serving.service.draining.set()
            assert (await ending).end.cause == Cause.SERVICE_STOPPING


async def test_wallets_of_others_are_not_found(
    running: Running, bank: Bank, harness: Harness
) -> None:
    for wallet_id in (new_id(), await bank.wallet()):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await _next(_watch(running, harness.person(), wallet_id))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "walletId"):
        await _next(_watch(running, harness.person(), "x"))


async def test_a_person_has_five_streams_at_once(
    running: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    wallet = await bank.wallet(amina)
    streams = [_watch(running, amina, wallet) for _ in range(5)]
    for stream in streams:
        await _next(stream)
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS"):
        await _next(_watch(running, amina, wallet))
    for stream in streams:
        stream.cancel()


def _quicken(running: Running, monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Let streams that begin from now on beat or end sooner."""
    watcher = running.serving.service.servicers["hazina.wallet.v1.WalletService"].watcher  # type: ignore[attr-defined]
    original = watching.Watcher.watch

    def watch(self: watching.Watcher, *args: Any, **kwargs: Any) -> Any:
        quick = watching.Watcher(self.database, self.changes, self.clock, **seconds)
        return original(quick, *args, **kwargs)

    assert isinstance(watcher, watching.Watcher)
    monkeypatch.setattr(watching.Watcher, "watch", watch)
