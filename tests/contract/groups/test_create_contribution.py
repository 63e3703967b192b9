"""CreateContribution: from a wallet, by mobile money, or in cash."""

from uuid import UUID

import pytest

from hazina.groups.v1.contribution_service_pb2 import Contribution
from tests.contract.groups.conftest import World
from tests.factories.groups import by_phone, from_wallet, in_cash, refused
from tests.harness import assert_refused


async def test_a_contribution_from_a_wallet_is_done_when_answered(world: World) -> None:
    group = await world.group()
    answer = await world.contributions(world.asha).CreateContribution(
        from_wallet(group.id, world.wallet(world.asha), 12_000), key="k"
    )
    made = answer.contribution
    assert made.state == Contribution.COMPLETED and made.method == Contribution.WALLET
    assert made.display_name == "Asha Otieno" and made.amount.minor_units == 12_000
    assert world.ledger.balance(UUID(group.wallet_id)) == 12_000
    assert world.payments.calls[-1].transaction_id == made.id
    assert await world.events("groups.contribution.completed") == 1


async def test_a_phone_is_asked_and_the_contribution_waits(world: World) -> None:
    group = await world.group()
    answer = await world.contributions(world.asha).CreateContribution(by_phone(group.id), key="k")
    assert answer.contribution.state == Contribution.PENDING
    assert answer.contribution.method == Contribution.MOBILE_MONEY


async def test_cash_waits_for_a_second_person(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    answer = await world.contributions(world.asha).CreateContribution(
        in_cash(group.id, 5_000, world.brian.id), key="k"
    )
    made = answer.contribution
    assert made.state == Contribution.PENDING and made.user_id == str(world.brian.id)
    assert world.ledger.balance(f"SYSTEM:CASH:{group.id}") == 0
    assert world.payments.calls == []


async def test_a_replayed_request_pays_once(world: World) -> None:
    group = await world.group()
    stub = world.contributions(world.asha)
    request = from_wallet(group.id, world.wallet(world.asha))
    first = await stub.CreateContribution(request, key="k")
    call = stub.CreateContribution(request, key="k")
    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())
    assert world.ledger.balance(UUID(group.wallet_id)) == 10_000


async def test_a_lost_answer_of_payments_is_found_again_by_the_same_key(world: World) -> None:
    group = await world.group()
    stub = world.contributions(world.asha)
    request = from_wallet(group.id, world.wallet(world.asha))
    world.payments.silent = 1
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await stub.CreateContribution(request, key="k")
    answer = await stub.CreateContribution(request, key="k")
    assert answer.contribution.state == Contribution.COMPLETED
    assert world.ledger.balance(UUID(group.wallet_id)) == 10_000


async def test_a_wallet_that_holds_too_little_pays_nothing_now_and_when_repeated(
    world: World,
) -> None:
    group = await world.group()
    request = from_wallet(group.id, world.wallet(world.asha), 500_001)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS") as told:
            await world.contributions(world.asha).CreateContribution(request, key="k")
        assert told.domain == "groups.hazina"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("NOT_FOUND", "WALLET_NOT_FOUND"),
        ("FAILED_PRECONDITION", "WALLET_FROZEN"),
        ("INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE"),
        ("INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"),
        ("OUT_OF_RANGE", "AMOUNT_OVERFLOW"),
        ("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"),
        ("INVALID_ARGUMENT", "PHONE_INVALID"),
    ],
)
async def test_what_payments_refuses_is_refused(world: World, code: str, reason: str) -> None:
    group = await world.group()
    world.payments.refusing.append(refused(code, reason))
    for _ in range(2):
        with assert_refused(code, reason):
            await world.contributions(world.asha).CreateContribution(by_phone(group.id), key="k")


async def test_the_amount_is_in_the_currency_of_the_group(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.contributions(world.asha).CreateContribution(
            from_wallet(group.id, world.wallet(world.asha), currency="USD"), key="k"
        )


@pytest.mark.parametrize(
    ("role", "may"),
    [("ADMIN", True), ("TREASURER", True), ("SECRETARY", False), ("MEMBER", False)],
)
async def test_who_may_record_cash_for_others(world: World, role: str, may: bool) -> None:
    group = await world.group()
    await world.join(group, world.brian, role)
    await world.join(group, world.chris)
    call = world.contributions(world.brian).CreateContribution(
        in_cash(group.id, 100, world.chris.id), key="k"
    )
    if may:
        await call
        return
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await call


async def test_cash_of_who_is_not_in_the_group_cannot_be_recorded(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.contributions(world.asha).CreateContribution(
            in_cash(group.id, 100, world.brian.id), key="k"
        )


async def test_strangers_cannot_contribute(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.contributions(world.brian).CreateContribution(
            from_wallet(group.id, world.wallet(world.brian)), key="k"
        )


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    group = await world.group()
    stub = world.contributions(world.asha)
    await stub.CreateContribution(from_wallet(group.id, world.wallet(world.asha)), key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await stub.CreateContribution(from_wallet(group.id, world.wallet(world.asha), 1), key="k")


@pytest.mark.parametrize("amount", [0, -1])
async def test_amounts_are_more_than_zero(world: World, amount: int) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="amount"):
        await world.contributions(world.asha).CreateContribution(
            from_wallet(group.id, world.wallet(world.asha), amount), key="k"
        )
