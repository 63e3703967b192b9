"""CreateAccount."""

from typing import Any

from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from tests.factories.wallet import Bank, new_id
from tests.harness import assert_refused


def _request(**fields: Any) -> ledger_service_pb2.CreateAccountRequest:
    defaults: dict[str, Any] = {
        "tenant_id": "default",
        "account_id": new_id(),
        "kind": ledger_pb2.Account.GROUP,
        "owner_id": new_id(),
        "currency": "KES",
        "name": "Umoja savings",
    }
    return ledger_service_pb2.CreateAccountRequest(**{**defaults, **fields})


async def test_a_groups_wallet_is_protected_and_empty(bank: Bank) -> None:
    request = _request()
    account = (await bank.groups.CreateAccount(request)).account
    assert (account.id, account.owner_id) == (request.account_id, request.owner_id)
    assert account.kind == ledger_pb2.Account.GROUP and account.name == "Umoja savings"
    assert account.protected and not account.frozen and account.credits_posted == 0
    assert account.tenant_id == "default" and account.create_time.seconds > 0


async def test_repeating_it_answers_the_account(bank: Bank) -> None:
    request = _request()
    first = await bank.groups.CreateAccount(request)
    assert await bank.groups.CreateAccount(request) == first


async def test_an_owner_has_one_account_of_a_kind_and_currency(bank: Bank) -> None:
    first = _request()
    await bank.groups.CreateAccount(first)
    with assert_refused("ALREADY_EXISTS", "ACCOUNT_EXISTS") as refusal:
        await bank.groups.CreateAccount(_request(owner_id=first.owner_id))
    assert refusal.domain == "wallet.hazina"
    await bank.groups.CreateAccount(_request(owner_id=first.owner_id, currency="BTC"))


async def test_an_id_is_taken_once(bank: Bank) -> None:
    first = _request()
    await bank.groups.CreateAccount(first)
    with assert_refused("ALREADY_EXISTS", "ACCOUNT_EXISTS"):
        await bank.groups.CreateAccount(_request(account_id=first.account_id))


async def test_the_same_id_in_another_tenant_is_another_account(bank: Bank) -> None:
    first = _request()
    await bank.groups.CreateAccount(first)
    other = _request(account_id=first.account_id, tenant_id="umoja")
    assert (await bank.groups.CreateAccount(other)).account.tenant_id == "umoja"


async def test_bad_fields_are_named(bank: Bank) -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("tenantId", {"tenant_id": "Umoja"}),
        ("accountId", {"account_id": "x"}),
        ("kind", {"kind": ledger_pb2.Account.SYSTEM}),
        ("ownerId", {"owner_id": ""}),
        ("currency", {"currency": "UGX"}),
        ("name", {"name": ""}),
        ("name", {"name": "x" * 81}),
        ("name", {"name": "a\0b"}),
    ]
    for path, fields in bad:
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", path):
            await bank.groups.CreateAccount(_request(**fields))


async def test_only_groups_may_make_accounts(bank: Bank) -> None:
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await bank.payments.CreateAccount(_request())
