"""Wallets are made by the events of auth."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import Message

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1.envelope_pb2 import Envelope
from hazina.wallet.v1 import wallet_pb2, wallet_service_pb2
from hazina.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from services.kit.relay import publish
from tests.factories.wallet import new_id, wallet_service
from tests.harness import Harness, Person, Running


def _event(type_: str, payload: Message, *, tenant: str = "default") -> Envelope:
    envelope = Envelope(
        event_id=new_id(), type=type_, tenant_id=tenant, aggregate_version=1, actor="system"
    )
    envelope.occur_time.FromDatetime(datetime.now(UTC))
    envelope.payload.Pack(payload)
    return envelope


def _verified(person: Person) -> Envelope:
    payload = auth_events_pb2.UserVerified(user_id=str(person.id), display_name="Amina")
    return _event("auth.user.verified", payload)


async def _wallets(
    running: Running, person: Person, *, tenant: str | None = None, expected: int = 2
) -> list[wallet_pb2.Wallet]:
    stub = running.stub(WalletServiceStub, user=person, tenant=tenant)
    for _ in range(100):
        answer = await stub.ListWallets(wallet_service_pb2.ListWalletsRequest())
        if len(answer.wallets) >= expected:
            return list(answer.wallets)
        await asyncio.sleep(0.05)
    raise AssertionError("no wallets came")


async def test_a_verified_person_gets_wallets_in_shillings_and_bitcoin(harness: Harness) -> None:
    amina = harness.person()
    async with harness.peers({}), wallet_service(harness) as running:
        await publish(harness.redis, "auth", [_verified(amina)])
        shillings, bitcoin = await _wallets(running, amina)
    assert (shillings.currency, bitcoin.currency) == ("KES", "BTC")
    assert shillings.name and shillings.kind == wallet_pb2.Wallet.USER
    assert shillings.balance.minor_units == shillings.available.minor_units == 0


async def test_an_event_that_comes_twice_makes_the_wallets_once(harness: Harness) -> None:
    amina, brian = harness.person(), harness.person()
    async with harness.peers({}), wallet_service(harness) as running:
        again = _verified(amina)  # the same fact under another event id
        await publish(harness.redis, "auth", [_verified(amina), again, again, _verified(brian)])
        await _wallets(running, brian)  # events are taken in order
        assert len(await _wallets(running, amina)) == 2


async def test_a_member_of_a_further_tenant_gets_other_wallets_there(harness: Harness) -> None:
    tenants = {
        name: {"roles": ["member"], "permissions": ["wallet.read"]} for name in ("default", "umoja")
    }
    amina = harness.person(tenants=tenants)
    added = auth_events_pb2.MemberAdded(user_id=str(amina.id), display_name="Amina")
    async with harness.peers({}), wallet_service(harness) as running:
        await publish(
            harness.redis,
            "auth",
            [_verified(amina), _event("auth.member.added", added, tenant="umoja")],
        )
        there = await _wallets(running, amina, tenant="umoja")
        here = await _wallets(running, amina)
    assert not {UUID(one.id) for one in here} & {UUID(one.id) for one in there}
