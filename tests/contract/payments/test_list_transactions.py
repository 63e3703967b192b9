"""ListTransactions: newest first, for both sides, page by page."""

import pytest

from hazina.payments.v1 import payment_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import deposit_request, transfer_request
from tests.harness import Person, assert_refused


async def listed(world: World, user: Person, **filters: object) -> list[Transaction]:
    """The first page."""
    answer = await world.payments(user).ListTransactions(
        payment_service_pb2.ListTransactionsRequest(**filters)  # type: ignore[arg-type]
    )
    return list(answer.transactions)


async def pay(world: World, minor_units: int) -> Transaction:
    """Asha pays Brian."""
    answer = await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet, minor_units),
        key=f"pay-{minor_units}",
    )
    made: Transaction = answer.transaction
    return made


async def test_both_sides_see_a_transfer_with_the_other_ones_name(world: World) -> None:
    made = await pay(world, 100)
    [seen_by_asha] = await listed(world, world.asha)
    [seen_by_brian] = await listed(world, world.brian)
    assert seen_by_asha == made and seen_by_asha.counterparty_name == "B****"
    assert seen_by_brian.id == made.id and seen_by_brian.counterparty_name == "A****"
    assert await listed(world, world.chris) == []


async def test_a_refused_transfer_is_its_payers_own_affair(world: World) -> None:
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await pay(world, 600_000)
    [failed] = await listed(world, world.asha)
    assert failed.state == Transaction.FAILED and failed.failure_reason == "INSUFFICIENT_FUNDS"
    assert await listed(world, world.brian) == []


async def test_every_transaction_is_on_exactly_one_page_newest_first(world: World) -> None:
    made = [(await pay(world, amount)).id for amount in range(1, 8)]
    payments = world.payments(world.brian)
    seen: list[str] = []
    token = ""
    while True:
        answer = await payments.ListTransactions(
            payment_service_pb2.ListTransactionsRequest(page_size=3, page_token=token)
        )
        seen += [one.id for one in answer.transactions]
        assert len(answer.transactions) <= 3
        token = answer.next_page_token
        if not token:
            break
    assert seen == made[::-1]


async def test_filters_choose_by_wallet_state_and_kind(world: World) -> None:
    transfer = await pay(world, 100)
    deposit = (
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet), key="deposit"
        )
    ).transaction
    assert [one.id for one in await listed(world, world.asha)] == [deposit.id, transfer.id]
    by_kind = await listed(world, world.asha, kind=Transaction.DEPOSIT)
    by_state = await listed(world, world.asha, state=Transaction.COMPLETED)
    assert [one.id for one in by_kind] == [deposit.id]
    assert [one.id for one in by_state] == [transfer.id]
    assert await listed(world, world.asha, wallet_id=str(world.brian_wallet)) == []
    own = await listed(world, world.brian, wallet_id=str(world.brian_wallet))
    assert [one.id for one in own] == [transfer.id]


async def test_a_page_token_of_another_person_or_filter_is_refused(world: World) -> None:
    for amount in (1, 2):
        await pay(world, amount)
    answer = await world.payments(world.asha).ListTransactions(
        payment_service_pb2.ListTransactionsRequest(page_size=1)
    )
    token = answer.next_page_token
    for user, request in (
        (world.brian, payment_service_pb2.ListTransactionsRequest(page_token=token)),
        (
            world.asha,
            payment_service_pb2.ListTransactionsRequest(
                page_token=token, kind=Transaction.TRANSFER
            ),
        ),
        (world.asha, payment_service_pb2.ListTransactionsRequest(page_token=token[:-2] + "xx")),
    ):
        with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
            await world.payments(user).ListTransactions(request)


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("pageSize", {"page_size": -1}),
        ("walletId", {"wallet_id": "nonsense"}),
        ("state", {"state": 99}),
        ("kind", {"kind": 99}),
    ],
)
async def test_bad_input_is_refused_with_its_field(
    world: World, field: str, facts: dict[str, object]
) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await listed(world, world.asha, **facts)
