"""CreateWithdrawal: a payout is asked for, and its money held for 24 hours."""

from uuid import UUID

import pytest

from hazina.groups.v1.group_pb2 import ApprovalPolicy, ApprovalStep
from hazina.groups.v1.withdrawal_service_pb2 import Approval, Withdrawal
from services.kit.errors import ServiceUnavailable
from tests.contract.groups.conftest import World
from tests.factories.groups import payout, quorum, refused
from tests.harness import assert_refused


async def test_any_member_may_ask_and_the_money_is_held(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian, 40_000)
    assert made.state == Withdrawal.PENDING and made.approvals_needed == 1 and not made.approvals
    assert made.expire_time.seconds - made.create_time.seconds == 86_400
    assert world.ledger.held(UUID(group.wallet_id)) == 40_000
    assert await world.events("groups.approval.asked") == 1


async def test_the_requesters_own_approval_counts_if_they_may_approve(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    assert made.state == Withdrawal.APPROVED
    assert [(one.user_id, one.decision) for one in made.approvals] == [
        (str(world.asha.id), Approval.APPROVED)
    ]


async def test_a_person_is_paid_by_their_address(world: World) -> None:
    group = await world.group(balance=100_000)
    answer = await world.withdrawals(world.asha).CreateWithdrawal(
        payout(group.id, "brian@example.org"), key="k"
    )
    assert answer.withdrawal.destination.identifier == "brian@example.org"
    await world.act("Execute", world.asha, answer.withdrawal)
    assert world.ledger.balance(world.wallet(world.brian)) == 510_000


async def test_the_amount_decides_how_many_must_approve(world: World) -> None:
    steps = [
        ApprovalStep(amount_minor_max=10_000, approvals_needed=1),
        ApprovalStep(amount_minor_max=20_000, approvals_needed=2),
    ]
    policy = ApprovalPolicy(kind=ApprovalPolicy.BY_AMOUNT, steps=steps)
    group = await world.group(balance=200_000, approval_policy=policy)
    for person in (world.brian, world.chris):
        await world.join(group, person, "ADMIN")
    needed = [
        (await world.asked(group, world.asha, amount)).approvals_needed
        for amount in (10_000, 10_001, 20_001)
    ]
    assert needed == [1, 2, 3]


async def test_a_replayed_request_answers_the_first_withdrawal(world: World) -> None:
    group = await world.group(balance=100_000, approval_policy=quorum(2))
    await world.join(group, world.brian, "ADMIN")
    stub, request = world.withdrawals(world.asha), payout(group.id, world.wallet(world.asha))
    first = await stub.CreateWithdrawal(request, key="k")
    await world.act("Approve", world.brian, first.withdrawal)
    call = stub.CreateWithdrawal(request, key="k")
    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())
    assert world.ledger.held(UUID(group.wallet_id)) == 10_000


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    group = await world.group(balance=100_000)
    stub = world.withdrawals(world.asha)
    await stub.CreateWithdrawal(payout(group.id, world.wallet(world.asha)), key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await stub.CreateWithdrawal(payout(group.id, world.wallet(world.asha), 1), key="k")


async def test_what_is_held_for_one_withdrawal_cannot_be_asked_for_again(world: World) -> None:
    group = await world.group(balance=15_000)
    await world.asked(group, world.asha)
    stub, request = world.withdrawals(world.asha), payout(group.id, world.wallet(world.asha))
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await stub.CreateWithdrawal(request, key="k")
    assert world.ledger.held(UUID(group.wallet_id)) == 10_000


async def test_a_refused_withdrawal_is_seen_by_nobody(world: World) -> None:
    group = await world.group()
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await world.asked(group, world.asha)
    [row] = await world.rows("SELECT id FROM groups.withdrawal")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.get(world.asha, Withdrawal(id=str(row["id"]), group_id=group.id))


async def test_a_lost_ledger_answer_is_found_again_by_the_same_key(world: World) -> None:
    group = await world.group(balance=100_000)
    stub, request = world.withdrawals(world.asha), payout(group.id, world.wallet(world.asha))
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await stub.CreateWithdrawal(request, key="k")
    answer = await stub.CreateWithdrawal(request, key="k")
    assert answer.withdrawal.state == Withdrawal.APPROVED
    assert world.ledger.held(UUID(group.wallet_id)) == 10_000


async def test_a_frozen_group_wallet_holds_nothing_more(world: World) -> None:
    group = await world.group(balance=100_000)
    world.ledger.freeze(UUID(group.wallet_id))
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await world.asked(group, world.asha)


async def test_strangers_do_not_see_the_group(world: World) -> None:
    group = await world.group(balance=100_000)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.asked(group, world.brian)


async def test_nobody_can_be_paid_who_is_not_here(world: World) -> None:
    group = await world.group(balance=100_000)
    stub = world.withdrawals(world.asha)
    for target in ("stranger@example.org", world.harness.person().id):
        with assert_refused("NOT_FOUND", "RECIPIENT_NOT_FOUND"):
            await stub.CreateWithdrawal(payout(group.id, target), key=world.key())


async def test_a_group_cannot_pay_itself(world: World) -> None:
    group = await world.group(balance=100_000)
    with assert_refused("INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"):
        await world.withdrawals(world.asha).CreateWithdrawal(
            payout(group.id, UUID(group.wallet_id)), key="k"
        )


async def test_the_amount_is_in_the_currency_of_the_group(world: World) -> None:
    group = await world.group(balance=100_000)
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.withdrawals(world.asha).CreateWithdrawal(
            payout(group.id, world.wallet(world.asha), currency="USD"), key="k"
        )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE"),
        ("INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"),
        ("OUT_OF_RANGE", "AMOUNT_OVERFLOW"),
        ("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"),
        ("INVALID_ARGUMENT", "PHONE_INVALID"),
    ],
)
async def test_what_payments_could_not_carry_out_is_refused_at_once(
    world: World, code: str, reason: str
) -> None:
    group = await world.group(balance=100_000)
    world.payments.refusing.append(refused(code, reason))
    with assert_refused(code, reason) as told:
        await world.withdrawals(world.asha).CreateWithdrawal(
            payout(group.id, "", phone="0712345678"), key="k"
        )
    assert told.domain == "groups.hazina"
    assert await world.rows("SELECT 1 FROM groups.withdrawal") == []


async def test_a_withdrawal_that_could_not_be_held_within_a_day_is_given_up(world: World) -> None:
    group = await world.group(balance=100_000)
    world.ledger.failing.append(ServiceUnavailable())
    stub, request = world.withdrawals(world.asha), payout(group.id, world.wallet(world.asha))
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await stub.CreateWithdrawal(request, key="k")
    world.ledger.refuse_next_hold = "EXPIRE_TIME_PAST"
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_TOO_OLD"):
        await stub.CreateWithdrawal(request, key="k")


@pytest.mark.parametrize(("field", "amount", "reason"), [("amount", 0, "x"), ("reason", 1, "")])
async def test_bad_input_is_named(world: World, field: str, amount: int, reason: str) -> None:
    group = await world.group(balance=100_000)
    request = payout(group.id, world.wallet(world.asha), amount)
    request.reason = reason
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await world.withdrawals(world.asha).CreateWithdrawal(request, key="k")
