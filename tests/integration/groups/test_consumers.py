"""What groups does about events: an event replayed or out of order changes nothing the second time."""

from uuid import UUID

import pytest

from hazina.auth.v1.auth_events_pb2 import UserUpdated
from hazina.event.v1.envelope_pb2 import Envelope
from hazina.payments.v1.payments_events_pb2 import TransactionChanged
from hazina.payments.v1.transaction_pb2 import Transaction
from services.groups import consumers
from services.kit.database import Database
from tests.contract.groups.conftest import World, world
from tests.factories.groups import by_phone, payout
from tests.factories.payments import money

__all__ = ["world"]


async def hear(world: World, message: TransactionChanged | UserUpdated) -> None:
    """Run the handler of an event as the inbox does."""
    is_money = isinstance(message, TransactionChanged)
    kind = "payments.transaction.changed" if is_money else "auth.user.updated"
    database = Database(
        world.running.config.database_url, schema="groups", application_name="test", pool_size=1
    )
    try:
        async with database.unit("default") as session:
            handler = consumers.handlers(world.desk)[kind]
            await handler(session, Envelope(tenant_id="default"), message)
    finally:
        await database.close()


def told(
    transaction_id: str, kind: Transaction.Kind.ValueType, state: str, amount: int, reason: str = ""
) -> TransactionChanged:
    return TransactionChanged(
        transaction=Transaction(
            id=transaction_id,
            kind=kind,
            state=Transaction.State.Value(state),
            amount=money(amount),
            failure_reason=reason,
        )
    )


@pytest.mark.parametrize(
    ("states", "end", "total"),
    [
        (["PENDING", "PROCESSING", "COMPLETED"], "COMPLETED", 10_000),
        (["COMPLETED"] * 10, "COMPLETED", 10_000),
        (["COMPLETED", "PROCESSING", "PENDING"], "COMPLETED", 10_000),
        (["FAILED", "COMPLETED", "FAILED"], "COMPLETED", 10_000),
        (["UNKNOWN", "FAILED"], "FAILED", 0),
        (["COMPLETED", "REVERSED", "COMPLETED"], "REVERSED", 0),
    ],
)
async def test_a_contribution_ends_once_whatever_comes_when(
    world: World,
    states: list[str],
    end: str,
    total: int,
) -> None:
    group = await world.group()
    answer = await world.contributions(world.asha).CreateContribution(by_phone(group.id), key="k")
    made = answer.contribution.id
    for state in states:
        await hear(world, told(made, Transaction.CONTRIBUTION, state, 10_000))
    [row] = await world.rows("SELECT state FROM groups.contribution")
    [member] = await world.rows("SELECT contributed_minor FROM groups.member")
    assert (row["state"], member["contributed_minor"]) == (end, total)
    assert await world.events("groups.contribution.completed") == ("COMPLETED" in states)


@pytest.mark.parametrize(
    ("states", "end"),
    [
        (["PROCESSING", "UNKNOWN"], "PROCESSING"),
        (["COMPLETED"] * 10, "COMPLETED"),
        (["COMPLETED", "FAILED"], "COMPLETED"),
        (["FAILED"] * 3, "FAILED"),
        (["FAILED", "COMPLETED"], "COMPLETED"),
        (["COMPLETED", "REVERSED"], "REVERSED"),
    ],
)
async def test_a_payout_ends_once_whatever_comes_when(
    world: World,
    states: list[str],
    end: str,
) -> None:
    group = await world.group(balance=100_000)
    answer = await world.withdrawals(world.asha).CreateWithdrawal(
        payout(group.id, "", phone="0712345678"), key="k"
    )
    made = await world.act("Execute", world.asha, answer.withdrawal)
    for state in states:
        reason = "PROVIDER_DECLINED" if state == "FAILED" else ""
        await hear(world, told(made.id, Transaction.GROUP_PAYOUT, state, 10_000, reason))
    [row] = await world.rows("SELECT state FROM groups.withdrawal")
    assert row["state"] == end


async def test_what_is_not_ours_is_let_be(world: World) -> None:
    for kind in (Transaction.CONTRIBUTION, Transaction.GROUP_PAYOUT, Transaction.TRANSFER):
        await hear(world, told(str(UUID(int=5)), kind, "COMPLETED", 1))


async def test_a_person_with_a_new_name_is_listed_under_it(world: World) -> None:
    await world.group()
    await hear(world, UserUpdated(user_id=str(world.asha.id), display_name="Asha Wanjiru"))
    [row] = await world.rows("SELECT name FROM groups.member")
    assert row["name"] == "Asha Wanjiru"
