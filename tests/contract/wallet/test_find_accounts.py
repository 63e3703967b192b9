"""FindAccounts."""

from hazina.wallet.v1 import ledger_service_pb2
from tests.factories.wallet import Bank, new_id
from tests.harness import assert_refused


async def _find(bank: Bank, owner: str, currency: str = "", tenant: str = "default") -> list[str]:
    request = ledger_service_pb2.FindAccountsRequest(
        tenant_id=tenant, owner_id=owner, currency=currency
    )
    answer = await bank.payments.FindAccounts(request)
    return [account.id for account in answer.accounts]


async def test_it_finds_the_wallets_of_an_owner_oldest_first(bank: Bank) -> None:
    owner = new_id()
    shillings = await bank.wallet(owner)
    coins = await bank.wallet(owner, currency="BTC")
    await bank.wallet()
    assert await _find(bank, owner) == [shillings, coins]
    assert await _find(bank, owner, "BTC") == [coins]
    assert await _find(bank, owner, "USD") == []


async def test_an_unknown_owner_and_another_tenant_have_none(bank: Bank) -> None:
    owner = new_id()
    await bank.wallet(owner)
    assert await _find(bank, new_id()) == []
    assert await _find(bank, owner, tenant="umoja") == []


async def test_bad_fields_are_named(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "ownerId"):
        await _find(bank, "me")
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "currency"):
        await _find(bank, new_id(), "UGX")
