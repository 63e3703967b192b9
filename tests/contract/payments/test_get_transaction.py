"""GetTransaction: one transaction, for its two sides only."""

from hazina.payments.v1.payment_service_pb2 import GetTransactionRequest
from services.kit.clock import Clock
from tests.contract.payments.conftest import World
from tests.factories.payments import transfer_request
from tests.harness import assert_refused


async def test_both_sides_read_it_and_nobody_else(world: World) -> None:
    answer = await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet), key="k"
    )
    request = GetTransactionRequest(transaction_id=answer.transaction.id)
    assert await world.payments(world.asha).GetTransaction(request) == answer.transaction
    seen = await world.payments(world.brian).GetTransaction(request)
    assert seen.counterparty_name == "A****"
    with assert_refused("NOT_FOUND", "NOT_FOUND") as hidden:
        await world.payments(world.chris).GetTransaction(request)
    with assert_refused("NOT_FOUND", "NOT_FOUND") as absent:
        await world.payments(world.chris).GetTransaction(
            GetTransactionRequest(transaction_id=str(Clock().new_id()))
        )
    assert hidden.message == absent.message


async def test_another_tenant_does_not_see_it(world: World) -> None:
    answer = await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet), key="k"
    )
    elsewhere = world.harness.person(id=world.asha.id, tenant="other")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.payments(elsewhere).GetTransaction(
            GetTransactionRequest(transaction_id=answer.transaction.id)
        )


async def test_an_id_is_a_uuid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="transactionId"):
        await world.payments(world.asha).GetTransaction(GetTransactionRequest(transaction_id="7"))
