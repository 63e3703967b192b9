"""UnfreezeAccount."""

from hazina.wallet.v1 import ledger_service_pb2
from tests.factories.wallet import OUTSIDE, Bank, new_id, post
from tests.harness import assert_refused


def _request(account_id: str, note: str = "cleared") -> ledger_service_pb2.UnfreezeAccountRequest:
    return ledger_service_pb2.UnfreezeAccountRequest(
        tenant_id="default", account_id=account_id, note=note
    )


async def test_a_freed_account_gives_again(bank: Bank) -> None:
    wallet = await bank.funded(100)
    await bank.ops.FreezeAccount(
        ledger_service_pb2.FreezeAccountRequest(
            tenant_id="default", account_id=wallet, note="a court order"
        )
    )
    assert not (await bank.ops.UnfreezeAccount(_request(wallet))).account.frozen
    await bank.book(post(wallet, OUTSIDE, 100))


async def test_repeating_it_changes_nothing(bank: Bank) -> None:
    wallet = await bank.wallet()
    first = await bank.ops.UnfreezeAccount(_request(wallet))
    assert await bank.ops.UnfreezeAccount(_request(wallet)) == first


async def test_an_unknown_account_is_not_found(bank: Bank) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await bank.ops.UnfreezeAccount(_request(new_id()))


async def test_it_needs_a_note(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "note"):
        await bank.ops.UnfreezeAccount(_request(new_id(), note=""))
