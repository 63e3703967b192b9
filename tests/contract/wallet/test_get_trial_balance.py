"""GetTrialBalance."""

from typing import Any

import asyncpg

from hazina.type.v1.money_pb2 import Money
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from tests.factories.wallet import OUTSIDE, Bank, hold, post
from tests.harness import Harness, assert_refused


def _lines(currency: ledger_service_pb2.CurrencyBalance) -> dict[tuple[int, str], Any]:
    return {(line.kind, line.code): line for line in currency.lines}


async def test_an_empty_tenant_has_empty_books(bank: Bank) -> None:
    balance = await bank.trial_balance()
    assert not balance.currencies and balance.time.seconds > 0


async def test_debits_equal_credits_in_every_currency(bank: Bank) -> None:
    payer, payee = await bank.funded(500), await bank.wallet()
    await bank.book(
        post(payer, payee, 120),
        hold(payer, OUTSIDE, 30),
        post(OUTSIDE, "SYSTEM:FX", Money(currency="BTC", minor_units=9)),
    )
    coins, shillings = (await bank.trial_balance()).currencies
    assert (coins.currency, shillings.currency) == ("BTC", "KES")
    assert shillings.debits_posted == shillings.credits_posted == 620
    assert shillings.net == coins.net == 0 and shillings.consistent and coins.consistent
    lines = _lines(shillings)
    wallets = lines[ledger_pb2.Account.USER, ""]
    assert (wallets.account_count, wallets.debits_posted, wallets.credits_posted) == (2, 120, 620)
    assert wallets.debits_pending == 30
    assert lines[ledger_pb2.Account.EXTERNAL, OUTSIDE].credits_pending == 30


async def test_each_tenant_has_its_own_books(bank: Bank) -> None:
    await bank.funded(500)
    await bank.of("umoja").funded(7)
    [shillings] = (await bank.of("umoja").trial_balance()).currencies
    assert shillings.credits_posted == 7


async def test_books_that_somebody_changed_are_not_consistent(bank: Bank, harness: Harness) -> None:
    wallet = await bank.funded(500)
    admin = await asyncpg.connect((await harness.database("wallet")).admin_url)
    try:
        await admin.execute(
            "UPDATE wallet.account SET credits_posted = credits_posted + 1 WHERE id = $1::uuid",
            wallet,
        )
    finally:
        await admin.close()
    [shillings] = (await bank.trial_balance()).currencies
    assert not shillings.consistent and shillings.net == 1


async def test_sums_beyond_int64_are_refused(bank: Bank) -> None:
    await bank.funded(2**63 - 1)
    wallet = await bank.wallet()
    await bank.book(post("EXTERNAL:cards", wallet, 1))
    with assert_refused("OUT_OF_RANGE", "AMOUNT_OVERFLOW"):
        await bank.trial_balance()


async def test_only_operators_may_ask(bank: Bank) -> None:
    request = ledger_service_pb2.GetTrialBalanceRequest(tenant_id="default")
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await bank.payments.GetTrialBalance(request)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "tenantId"):
        await bank.ops.GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())
