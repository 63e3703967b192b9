"""ExecuteWithdrawal: the requester has an approved withdrawal paid, once."""

import asyncio
from uuid import UUID

import grpc
import pytest

from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from services.kit.clock import derived_id
from tests.contract.groups.conftest import World
from tests.factories.groups import payout, refused
from tests.harness import assert_refused


async def test_a_wallet_is_paid_when_this_answers(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha, 40_000)
    done = await world.act("Execute", world.asha, made)
    assert done.state == Withdrawal.COMPLETED
    assert world.ledger.balance(world.wallet(world.asha)) == 540_000
    assert world.ledger.balance(UUID(group.wallet_id)) == 60_000
    assert world.ledger.held(UUID(group.wallet_id)) == 0
    assert world.payments.calls[-1].transaction_id == made.id


async def test_a_payout_by_mobile_money_is_on_its_way(world: World) -> None:
    group = await world.group(balance=100_000)
    answer = await world.withdrawals(world.asha).CreateWithdrawal(
        payout(group.id, "", phone="0712345678"), key="k"
    )
    done = await world.act("Execute", world.asha, answer.withdrawal)
    assert done.state == Withdrawal.PROCESSING
    assert done.destination.mobile_money.phone == "0712345678"


async def test_a_replayed_execution_answers_the_first_and_pays_once(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    first = await world.act("Execute", world.asha, made, key="k")
    assert await world.act("Execute", world.asha, made, key="k") == first
    assert world.ledger.balance(world.wallet(world.asha)) == 510_000


async def test_a_second_execution_with_a_new_key_is_refused(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.act("Execute", world.asha, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await world.act("Execute", world.asha, made)
    assert world.ledger.balance(world.wallet(world.asha)) == 510_000


async def test_twenty_executions_at_once_pay_once(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    answers = await asyncio.gather(
        *(world.act("Execute", world.asha, made) for _ in range(20)), return_exceptions=True
    )
    done = [one for one in answers if isinstance(one, Withdrawal)]
    assert len(done) == 1
    for error in answers:
        if isinstance(error, grpc.aio.AioRpcError):
            with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
                raise error
    assert world.ledger.balance(world.wallet(world.asha)) == 510_000


async def test_a_lost_answer_of_payments_is_found_again_by_the_same_key(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    world.payments.silent = 1
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await world.act("Execute", world.asha, made, key="k")
    assert (await world.get(world.asha, made)).state == Withdrawal.PROCESSING
    done = await world.act("Execute", world.asha, made, key="k")
    assert done.state == Withdrawal.COMPLETED
    assert world.ledger.balance(world.wallet(world.asha)) == 510_000


async def test_only_the_requester_executes(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian)
    await world.act("Approve", world.asha, made)
    with assert_refused("PERMISSION_DENIED", "REQUESTER_REQUIRED"):
        await world.act("Execute", world.asha, made)
    assert (await world.act("Execute", world.brian, made)).state == Withdrawal.COMPLETED


async def test_what_lacks_approvals_is_not_paid(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await world.act("Execute", world.brian, made)


@pytest.mark.parametrize("verb", ["Reject", "Cancel"])
async def test_what_has_ended_is_not_paid(world: World, verb: str) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.act(verb, world.asha, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await world.act("Execute", world.asha, made)
    assert world.payments.calls == []


async def test_a_hold_that_expired_before_ends_it(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.let_time_pass(made)
    for key in ("k", "k", "other"):
        with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
            await world.act("Execute", world.asha, made, key=key)
    assert (await world.get(world.asha, made)).state == Withdrawal.EXPIRED
    assert world.payments.calls == []


async def test_a_hold_that_expires_while_it_is_executed_ends_it(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    world.ledger.expire(derived_id(UUID(made.id), "group_hold"))
    for key in ("k", "k", "other"):
        with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
            await world.act("Execute", world.asha, made, key=key)
    assert (await world.get(world.asha, made)).state == Withdrawal.EXPIRED


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"),
        ("NOT_FOUND", "RECIPIENT_NOT_FOUND"),
        ("INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"),
        ("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"),
    ],
)
async def test_a_refused_payout_ends_it_with_the_money_back(
    world: World, code: str, reason: str
) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    world.payments.refusing.append(refused(code, reason))
    for _ in range(2):
        with assert_refused(code, reason):
            await world.act("Execute", world.asha, made, key="k")
    after = await world.get(world.asha, made)
    assert after.state == Withdrawal.FAILED and after.failure_reason == reason
    assert world.ledger.held(UUID(group.wallet_id)) == 0
    assert world.ledger.balance(UUID(group.wallet_id)) == 100_000
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await world.act("Execute", world.asha, made)


async def test_strangers_see_nothing(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.act("Execute", world.brian, made)


async def test_one_key_executes_one_withdrawal(world: World) -> None:
    group = await world.group(balance=100_000)
    first, second = await world.asked(group, world.asha), await world.asked(group, world.asha)
    await world.act("Execute", world.asha, first, key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await world.act("Execute", world.asha, second, key="k")
