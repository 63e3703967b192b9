"""BatchGetAccounts."""

from hazina.wallet.v1 import ledger_service_pb2
from tests.factories.wallet import Bank, new_id
from tests.harness import assert_refused


def _request(*ids: str, tenant: str = "default") -> ledger_service_pb2.BatchGetAccountsRequest:
    return ledger_service_pb2.BatchGetAccountsRequest(tenant_id=tenant, account_ids=ids)


async def test_it_answers_accounts_with_their_totals(bank: Bank) -> None:
    rich, poor = await bank.funded(70), await bank.wallet()
    answer = await bank.payments.BatchGetAccounts(_request(rich, poor))
    totals = {one.id: one.credits_posted for one in answer.accounts}
    assert totals == {rich: 70, poor: 0}


async def test_unknown_accounts_and_those_of_other_tenants_are_left_out(bank: Bank) -> None:
    here, elsewhere = await bank.wallet(), await bank.of("umoja").wallet()
    answer = await bank.payments.BatchGetAccounts(_request(here, elsewhere, new_id()))
    assert [one.id for one in answer.accounts] == [here]


async def test_bad_ids_none_and_too_many_are_refused(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "accountIds[0]"):
        await bank.payments.BatchGetAccounts(_request("x"))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "accountIds"):
        await bank.payments.BatchGetAccounts(_request())
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "accountIds"):
        await bank.payments.BatchGetAccounts(_request(*[new_id()] * 1001))
