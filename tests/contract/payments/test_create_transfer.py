"""CreateTransfer: money between people of a tenant, done when answered."""

import asyncio

import grpc
import pytest

from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.errors import ServiceUnavailable
from tests.contract.payments.conftest import World
from tests.factories.payments import transfer_request
from tests.harness import assert_refused


async def test_a_transfer_moves_money_and_is_done_when_answered(world: World) -> None:
    request = transfer_request(world.asha_wallet, "+254722000111", 120_050, note="rent")
    answer = await world.payments(world.asha).CreateTransfer(request, key="k")
    made = answer.transaction
    assert made.state == Transaction.COMPLETED and made.kind == Transaction.TRANSFER
    assert (made.amount.minor_units, made.fee.minor_units, made.total.minor_units) == (
        120_050,
        0,
        120_050,
    )
    assert made.counterparty_name == "B****" and made.note == "rent"
    assert made.HasField("complete_time") and not made.rail
    assert world.ledger.balance(world.asha_wallet) == 379_950
    assert world.ledger.balance(world.brian_wallet) == 120_050


async def test_a_wallet_can_be_paid_by_its_id(world: World) -> None:
    request = transfer_request(world.asha_wallet, world.brian_wallet, 100)
    await world.payments(world.asha).CreateTransfer(request, key="k")
    assert world.ledger.balance(world.brian_wallet) == 100


async def test_a_replayed_request_answers_the_first_transfer_and_says_so(world: World) -> None:
    payments = world.payments(world.asha)
    request = transfer_request(world.asha_wallet, world.brian_wallet, 100)
    first_call = payments.CreateTransfer(request, key="k")
    first = await first_call
    second_call = payments.CreateTransfer(request, key="k")
    second = await second_call
    assert first == second
    assert ("idempotent-replayed", "true") not in tuple(await first_call.initial_metadata())
    assert ("idempotent-replayed", "true") in tuple(await second_call.initial_metadata())
    assert world.ledger.balance(world.brian_wallet) == 100


async def test_twenty_twins_at_once_move_money_once_and_get_one_answer(world: World) -> None:
    payments = world.payments(world.asha)
    request = transfer_request(world.asha_wallet, world.brian_wallet, 100)
    answers = await asyncio.gather(*(payments.CreateTransfer(request, key="k") for _ in range(20)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert world.ledger.balance(world.brian_wallet) == 100


async def test_transfers_that_together_exceed_the_balance_succeed_as_far_as_they_fit(
    world: World,
) -> None:
    payments = world.payments(world.asha)
    request = transfer_request(world.asha_wallet, world.brian_wallet, 30_000)
    answers = await asyncio.gather(
        *(payments.CreateTransfer(request, key=f"k-{one}") for one in range(50)),
        return_exceptions=True,
    )
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert len(answers) - len(refused) == 16
    for error in refused:
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            raise error
    assert world.ledger.balance(world.asha_wallet) == 20_000
    assert world.ledger.balance(world.brian_wallet) == 480_000


async def test_a_repeat_replays_the_refusal_of_the_ledger_even_when_funds_have_come(
    world: World,
) -> None:
    payments = world.payments(world.brian)
    request = transfer_request(world.brian_wallet, world.asha_wallet, 100)
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await payments.CreateTransfer(request, key="k")
    await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet, 500), key="k"
    )
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await payments.CreateTransfer(request, key="k")
    assert world.ledger.balance(world.brian_wallet) == 500


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    payments = world.payments(world.asha)
    await payments.CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet, 100), key="k"
    )
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await payments.CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet, 101), key="k"
        )


async def test_a_key_is_required(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet)
        )


async def test_a_lost_ledger_answer_is_found_again_by_the_same_key(world: World) -> None:
    payments = world.payments(world.asha)
    request = transfer_request(world.asha_wallet, world.brian_wallet, 100)
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await payments.CreateTransfer(request, key="k")
    answer = await payments.CreateTransfer(request, key="k")
    assert answer.transaction.state == Transaction.COMPLETED
    assert world.ledger.balance(world.brian_wallet) == 100


async def test_another_persons_wallet_cannot_pay(world: World) -> None:
    request = transfer_request(world.asha_wallet, world.brian_wallet)
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await world.payments(world.brian).CreateTransfer(request, key="k")


async def test_a_frozen_wallet_cannot_pay(world: World) -> None:
    world.ledger.freeze(world.asha_wallet)
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet), key="k"
        )


@pytest.mark.parametrize("tenant", ["default", "other"])
async def test_strangers_and_people_of_other_tenants_cannot_be_found(
    world: World, tenant: str
) -> None:
    stranger = world.harness.person()
    wallet = world.ledger.open(stranger.id, tenant="other")
    if tenant == "other":
        world.directory.add(stranger.id, "Stranger", "stranger@example.org", tenant="other")
    for target in ("stranger@example.org", wallet):
        with assert_refused("NOT_FOUND", "RECIPIENT_NOT_FOUND"):
            await world.payments(world.asha).CreateTransfer(
                transfer_request(world.asha_wallet, target), key=f"k-{target}"
            )


async def test_a_wallet_cannot_pay_itself(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, "asha@example.org"), key="k"
        )


async def test_the_amount_is_in_the_currency_of_the_wallet(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet, currency="BTC"), key="k"
        )


@pytest.mark.parametrize("minor_units", [0, -1])
async def test_amounts_are_more_than_zero(world: World, minor_units: int) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="amount"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet, minor_units), key="k"
        )


async def test_a_note_is_at_most_140_characters(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="note"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet, note="x" * 141), key="k"
        )


async def test_an_ended_session_moves_no_money(world: World) -> None:
    world.harness.sessions.ended.add(world.asha.session_id)
    with assert_refused("UNAUTHENTICATED", "SESSION_ENDED"):
        await world.payments(world.asha).CreateTransfer(
            transfer_request(world.asha_wallet, world.brian_wallet), key="k"
        )
