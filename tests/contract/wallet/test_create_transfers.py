"""CreateTransfers: what it books, and every reason that it refuses with."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.type.v1.money_pb2 import Money
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from services.kit.clock import Clock, derived_id
from tests.factories.wallet import (
    ACTOR,
    OUTSIDE,
    Bank,
    hold,
    kes,
    new_id,
    post,
    post_hold,
    step,
    told,
    void_hold,
)
from tests.factories.wallet_books import id_at
from tests.harness import Running, assert_refused

INT64_MAX = 2**63 - 1


def _now(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


def _id_at(**delta: float) -> str:
    return str(id_at(_now(**delta), secrets.randbits(60)))


# What is booked


async def test_a_post_moves_the_amount_and_answers_the_new_balances(bank: Bank) -> None:
    payer, payee = await bank.funded(500_00), await bank.wallet()
    [verdict] = await bank.book(post(payer, payee, 120_50))
    assert verdict.debit_account.credits_posted - verdict.debit_account.debits_posted == 379_50
    assert verdict.credit_account.credits_posted == 120_50
    assert verdict.credit_account.id == payee and verdict.credit_account.tenant_id == "default"
    assert await bank.available(payer) == 379_50
    assert await bank.available(payee) == 120_50


async def test_system_and_external_accounts_are_opened_by_their_code(bank: Bank) -> None:
    group = new_id()
    codes = ["SYSTEM:FEES", "SYSTEM:SUSPENSE", f"SYSTEM:CASH:{group}", "EXTERNAL:lightning"]
    for code in codes:
        [verdict] = await bank.book(post(OUTSIDE, code, 100))
        assert verdict.credit_account.code == code
        assert not verdict.credit_account.protected
    [again] = await bank.book(post(OUTSIDE, "SYSTEM:FEES", 100))
    assert again.credit_account.credits_posted == 200
    assert again.debit_account.debits_posted == 500, "an external account may go below zero"


async def test_a_code_stands_for_another_account_in_each_currency(bank: Bank) -> None:
    bitcoin = Money(currency="BTC", minor_units=7)
    shillings, coins = await bank.book(
        post(OUTSIDE, "SYSTEM:FX", 100), post(OUTSIDE, "SYSTEM:FX", bitcoin)
    )
    assert shillings.credit_account.id != coins.credit_account.id
    assert coins.credit_account.currency == "BTC"


async def test_a_hold_reserves_and_posting_it_moves_the_money(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    [verdict] = await bank.book(held)
    assert verdict.debit_account.debits_pending == verdict.credit_account.credits_pending == 400
    assert await bank.available(payer) == 600
    [posted] = await bank.book(post_hold(held.id))
    assert posted.debit_account.debits_pending == 0 and posted.debit_account.debits_posted == 400
    assert await bank.available(payer) == 600


async def test_a_hold_posted_in_part_releases_the_rest(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held)
    await bank.book(post_hold(held.id, amount=150))
    assert await bank.available(payer) == 850


async def test_a_hold_can_be_posted_to_another_account(bank: Bank) -> None:
    payer, payee = await bank.funded(1000), await bank.wallet()
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held)
    [verdict] = await bank.book(post_hold(held.id, credit=payee))
    assert verdict.credit_account.id == payee
    assert await bank.available(payee) == 400


async def test_voiding_a_hold_releases_all_of_it(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held)
    await bank.book(void_hold(held.id))
    assert await bank.available(payer) == 1000


async def test_a_hold_and_its_posting_fit_into_one_message(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held, post_hold(held.id))
    assert await bank.available(payer) == 600


async def test_a_chain_settles_a_hold_with_its_fee(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 410)
    await bank.book(held)
    verdicts = await bank.book(
        void_hold(held.id, linked=True),
        post(payer, OUTSIDE, 400, linked=True),
        post(payer, "SYSTEM:FEES", 10, code="FEE"),
    )
    assert len(verdicts) == 3
    assert await bank.available(payer) == 590


async def test_a_derived_id_is_an_id(bank: Bank) -> None:
    transaction_id = Clock().new_id()
    payment = post(OUTSIDE, "SYSTEM:FEES", 5, id=str(derived_id(transaction_id, "post")))
    await bank.book(payment)
    assert [told(one) for one in await bank.transfers(payment)] == ["EXISTS"]


# Repeating


async def test_a_repeated_step_exists_and_changes_nothing(bank: Bank) -> None:
    payer, payee = await bank.funded(100), await bank.wallet()
    payment = post(payer, payee, 100)
    await bank.book(payment)
    [again] = await bank.transfers(payment)
    assert told(again) == "EXISTS"
    assert again.credit_account.credits_posted == 100
    assert await bank.available(payee) == 100


async def test_a_repeated_chain_exists_as_a_whole(bank: Bank) -> None:
    payer, payee = await bank.funded(100), await bank.wallet()
    chain = [post(payer, payee, 60, linked=True), post(payer, "SYSTEM:FEES", 40)]
    await bank.book(*chain)
    assert [told(one) for one in await bank.transfers(*chain)] == ["EXISTS", "EXISTS"]


CHANGES: dict[str, Any] = {
    "kind": ledger_pb2.Transfer.HOLD,
    "debit": ledger_pb2.AccountReference(code="SYSTEM:FX"),
    "credit": ledger_pb2.AccountReference(code="SYSTEM:FX"),
    "amount": kes(101),
    "code": "FEE",
    "transaction_id": new_id(),
    "reference": "SGR7X1",
    "effective_time": Timestamp(seconds=1_700_000_000),
    "linked": True,
}


async def test_an_id_with_other_content_names_the_field(bank: Bank) -> None:
    payment = post(OUTSIDE, "SYSTEM:FEES", 100)
    await bank.book(payment)
    for field, value in CHANGES.items():
        changed = ledger_pb2.Transfer()
        changed.CopyFrom(payment)
        if hasattr(value, "DESCRIPTOR"):
            getattr(changed, field).CopyFrom(value)
        else:
            setattr(changed, field, value)
        others = [post(OUTSIDE, "SYSTEM:FEES", 1)] if field == "linked" else []
        verdict = (await bank.transfers(changed, *others))[0]
        assert told(verdict) == f"EXISTS_WITH_DIFFERENT_CONTENT {field}"
        assert not verdict.HasField("debit_account")
    assert [told(one) for one in await bank.transfers(payment)] == ["EXISTS"]


async def test_the_same_hold_is_known_whether_its_amount_is_written_or_not(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held)
    posting = post_hold(held.id)
    await bank.book(posting)
    posting.amount.CopyFrom(kes(400))
    assert [told(one) for one in await bank.transfers(posting)] == ["EXISTS"]
    posting.amount.CopyFrom(kes(399))
    [verdict] = await bank.transfers(posting)
    assert told(verdict) == "EXISTS_WITH_DIFFERENT_CONTENT amount"


# Refusals


async def test_a_refused_step_never_fails_its_neighbours(bank: Bank) -> None:
    payer, payee = await bank.funded(100), await bank.wallet()
    verdicts = await bank.transfers(
        post(payer, payee, 60), post(payer, payee, 60), post(payer, payee, 40)
    )
    assert [told(one) for one in verdicts] == ["CREATED", "INSUFFICIENT_FUNDS", "CREATED"]


async def test_a_chain_with_a_refused_step_changes_nothing(bank: Bank) -> None:
    payer, payee = await bank.funded(100), await bank.wallet()
    verdicts = await bank.transfers(
        post(payer, payee, 60, linked=True),
        post(payer, payee, 60, linked=True),
        post(payer, payee, 10),
        post(payer, payee, 5),
    )
    assert [told(one) for one in verdicts] == [
        "CHAIN_REFUSED",
        "INSUFFICIENT_FUNDS",
        "CHAIN_REFUSED",
        "CREATED",
    ]
    assert await bank.available(payee) == 5


async def test_a_chain_without_an_end_is_refused(bank: Bank) -> None:
    verdicts = await bank.transfers(
        post(OUTSIDE, "SYSTEM:FEES", 1, linked=True), post(OUTSIDE, "SYSTEM:FEES", 1, linked=True)
    )
    assert [told(one) for one in verdicts] == ["CHAIN_REFUSED", "CHAIN_OPEN"]


async def test_a_new_id_of_another_day_is_refused(bank: Bank) -> None:
    verdicts = await bank.transfers(
        *(post(OUTSIDE, "SYSTEM:FEES", 1, id=_id_at(hours=hours)) for hours in (-25, -23, 23, 25))
    )
    assert [told(one) for one in verdicts] == [
        "ID_TIME_OUT_OF_RANGE",
        "CREATED",
        "CREATED",
        "ID_TIME_OUT_OF_RANGE",
    ]


async def test_an_amount_of_nothing_or_less_is_refused(bank: Bank) -> None:
    verdicts = await bank.transfers(
        *(post(OUTSIDE, "SYSTEM:FEES", amount) for amount in (0, -1, -(2**63)))
    )
    assert [told(one) for one in verdicts] == ["AMOUNT_NOT_POSITIVE"] * 3


async def test_a_missing_amount_is_refused(bank: Bank) -> None:
    [verdict] = await bank.transfers(step("POST", debit=OUTSIDE, credit="SYSTEM:FEES"))
    assert told(verdict) == "AMOUNT_NOT_POSITIVE"


async def test_fields_of_another_kind_of_step_are_refused(bank: Bank) -> None:
    later = _now(hours=1)
    malformed = [
        step("POST", credit=OUTSIDE, amount=1),
        step("POST", debit=OUTSIDE, amount=1),
        post(OUTSIDE, "SYSTEM:FEES", 1, hold_id=new_id()),
        post(OUTSIDE, "SYSTEM:FEES", 1, expire_time=later),
        hold(OUTSIDE, "SYSTEM:FEES", 1, hold_id=new_id()),
        step("POST_HOLD"),
        post_hold(new_id(), debit=OUTSIDE),
        post_hold(new_id(), expire_time=later),
        step("VOID_HOLD"),
        void_hold(new_id(), debit=OUTSIDE),
        void_hold(new_id(), credit=OUTSIDE),
        void_hold(new_id(), amount=1),
    ]
    verdicts = await bank.transfers(*malformed)
    assert [told(one) for one in verdicts] == ["TRANSFER_MALFORMED"] * len(malformed)


async def test_a_hold_that_is_none_is_not_found(bank: Bank) -> None:
    payment = post(OUTSIDE, "SYSTEM:FEES", 1)
    verdicts = await bank.transfers(payment, post_hold(new_id()), void_hold(payment.id))
    assert [told(one) for one in verdicts] == ["CREATED", "HOLD_NOT_FOUND", "HOLD_NOT_FOUND"]


async def test_a_hold_ends_once(bank: Bank) -> None:
    posted, voided = hold(OUTSIDE, "SYSTEM:FEES", 5), hold(OUTSIDE, "SYSTEM:FEES", 5)
    verdicts = await bank.transfers(
        *(posted, post_hold(posted.id), post_hold(posted.id), void_hold(posted.id)),
        *(voided, void_hold(voided.id), void_hold(voided.id), post_hold(voided.id)),
    )
    assert [told(one) for one in verdicts] == [
        *("CREATED", "CREATED", "HOLD_ALREADY_POSTED", "HOLD_ALREADY_POSTED"),
        *("CREATED", "CREATED", "HOLD_ALREADY_VOIDED", "HOLD_ALREADY_VOIDED"),
    ]


async def test_more_than_was_held_is_refused(bank: Bank) -> None:
    held = hold(OUTSIDE, "SYSTEM:FEES", 5)
    verdicts = await bank.transfers(held, post_hold(held.id, amount=6))
    assert told(verdicts[1]) == "AMOUNT_EXCEEDS_HOLD"


async def test_a_hold_that_would_end_before_it_begins_is_refused(bank: Bank) -> None:
    [verdict] = await bank.transfers(hold(OUTSIDE, "SYSTEM:FEES", 5, expire_time=_now(seconds=-1)))
    assert told(verdict) == "EXPIRE_TIME_PAST"


async def test_accounts_that_do_not_exist_are_not_found(bank: Bank) -> None:
    held = hold(OUTSIDE, "SYSTEM:FEES", 5)
    elsewhere = await bank.of("umoja").wallet()
    verdicts = await bank.transfers(
        post(new_id(), OUTSIDE, 1),
        post(OUTSIDE, new_id(), 1),
        post(OUTSIDE, elsewhere, 1),
        held,
        post_hold(held.id, credit=new_id()),
    )
    assert [told(one) for one in verdicts] == [
        "DEBIT_ACCOUNT_NOT_FOUND",
        "CREDIT_ACCOUNT_NOT_FOUND",
        "CREDIT_ACCOUNT_NOT_FOUND",
        "CREATED",
        "CREDIT_ACCOUNT_NOT_FOUND",
    ]


async def test_one_account_on_both_sides_is_refused(bank: Bank) -> None:
    wallet = await bank.funded(10)
    verdicts = await bank.transfers(post(wallet, wallet, 1), post(OUTSIDE, OUTSIDE, 1))
    assert [told(one) for one in verdicts] == ["ACCOUNTS_SAME", "ACCOUNTS_SAME"]


async def test_a_step_has_one_currency(bank: Bank) -> None:
    shillings, coins = await bank.funded(10), await bank.wallet(currency="BTC")
    held = hold(shillings, OUTSIDE, 5)
    verdicts = await bank.transfers(
        post(shillings, coins, 1),
        post(shillings, OUTSIDE, Money(currency="BTC", minor_units=1)),
        held,
        post_hold(held.id, amount=Money(currency="BTC", minor_units=1)),
    )
    assert [told(one) for one in verdicts] == [
        "CURRENCY_MISMATCH",
        "CURRENCY_MISMATCH",
        "CREATED",
        "CURRENCY_MISMATCH",
    ]


async def test_nothing_counts_in_a_closed_period(bank: Bank) -> None:
    end = _now(hours=-1)
    request = ledger_service_pb2.ClosePeriodRequest(tenant_id="default")
    request.end_time.FromDatetime(end)
    await bank.ops.ClosePeriod(request)
    verdicts = await bank.transfers(
        post(OUTSIDE, "SYSTEM:FEES", 1, effective_time=end - timedelta(seconds=1)),
        post(OUTSIDE, "SYSTEM:FEES", 1, effective_time=end),
        post(OUTSIDE, "SYSTEM:FEES", 1),
    )
    assert [told(one) for one in verdicts] == ["PERIOD_CLOSED", "CREATED", "CREATED"]


async def test_a_frozen_account_gives_nothing_but_what_was_held_before(bank: Bank) -> None:
    wallet = await bank.funded(100)
    held = hold(wallet, OUTSIDE, 10)
    await bank.book(held)
    await bank.ops.FreezeAccount(
        ledger_service_pb2.FreezeAccountRequest(
            tenant_id="default", account_id=wallet, note="asked by the police"
        )
    )
    verdicts = await bank.transfers(
        post(wallet, OUTSIDE, 1),
        hold(wallet, OUTSIDE, 1),
        post(OUTSIDE, wallet, 1),
        post_hold(held.id),
    )
    assert [told(one) for one in verdicts] == [
        "ACCOUNT_FROZEN",
        "ACCOUNT_FROZEN",
        "CREATED",
        "CREATED",
    ]


async def test_totals_stay_within_int64(bank: Bank) -> None:
    wallet = await bank.wallet()
    verdicts = await bank.transfers(
        post(OUTSIDE, wallet, INT64_MAX),
        post("EXTERNAL:cards", wallet, 1),
        post(OUTSIDE, "SYSTEM:FEES", 1),
        post(wallet, "SYSTEM:FX", INT64_MAX),
    )
    assert [told(one) for one in verdicts] == [
        "CREATED",
        "AMOUNT_OVERFLOW",
        "AMOUNT_OVERFLOW",
        "CREATED",
    ]


async def test_a_wallet_cannot_go_below_zero(bank: Bank) -> None:
    wallet = await bank.funded(100)
    verdicts = await bank.transfers(
        hold(wallet, OUTSIDE, 60), post(wallet, OUTSIDE, 41), hold(wallet, OUTSIDE, 41)
    )
    assert [told(one) for one in verdicts] == [
        "CREATED",
        "INSUFFICIENT_FUNDS",
        "INSUFFICIENT_FUNDS",
    ]


async def test_the_reason_that_comes_first_in_the_contract_is_told(bank: Bank) -> None:
    wallet = await bank.funded(10)
    verdicts = await bank.transfers(
        post(wallet, wallet, 0, id=_id_at(days=-9)),
        post(wallet, wallet, 0),
        post(wallet, new_id(), 999),
        hold(new_id(), wallet, 1, expire_time=_now(seconds=-9)),
    )
    assert [told(one) for one in verdicts] == [
        "ID_TIME_OUT_OF_RANGE",
        "AMOUNT_NOT_POSITIVE",
        "CREDIT_ACCOUNT_NOT_FOUND",
        "EXPIRE_TIME_PAST",
    ]


# Whole calls that are refused


BAD: list[tuple[str, Any, str]] = [
    ("id", "nobody", "transfers[0].id"),
    ("kind", 0, "transfers[0].kind"),
    ("kind", 9, "transfers[0].kind"),
    ("code", "transfer", "transfers[0].code"),
    ("transaction_id", "", "transfers[0].transactionId"),
    ("reference", "x" * 141, "transfers[0].reference"),
    ("reference", "a\0b", "transfers[0].reference"),
    ("hold_id", "x", "transfers[0].holdId"),
]


async def test_a_message_that_breaks_the_contract_is_refused_as_a_whole(bank: Bank) -> None:
    for name, value, field in BAD:
        payment = post(OUTSIDE, "SYSTEM:FEES", 1)
        setattr(payment, name, value)
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await bank.transfers(payment)


async def test_codes_are_those_of_the_contract(bank: Bank) -> None:
    for code in ("SYSTEM:MINE", "EXTERNAL:", "fees", "SYSTEM:CASH:x", ""):
        payment = post(OUTSIDE, "SYSTEM:FEES", 1)
        payment.debit.code = code
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transfers[0].debit.code"):
            await bank.transfers(payment)


async def test_a_time_that_is_none_is_refused(bank: Bank) -> None:
    payment = post(OUTSIDE, "SYSTEM:FEES", 1)
    payment.effective_time.seconds = 10**15
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED") as refusal:
        await bank.transfers(payment)
    assert any(field.startswith("transfers[0].effectiveTime") for field in refusal.fields)


async def test_an_empty_message_and_one_of_too_many_steps_are_refused(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transfers"):
        await bank.transfers()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transfers"):
        await bank.transfers(*[post(OUTSIDE, "SYSTEM:FEES", 1)] * 10_001)


async def test_a_thousand_faults_are_told_in_an_answer_of_bearable_size(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transfers[0].id") as refusal:
        await bank.transfers(*[ledger_pb2.Transfer()] * 1000)
    assert len(refusal.fields) <= 20


async def test_a_thousand_steps_are_booked_in_their_order(bank: Bank) -> None:
    payments = [post(OUTSIDE, "SYSTEM:FEES", 1) for _ in range(1000)]
    verdicts = await bank.transfers(*payments)
    assert [one.credit_account.credits_posted for one in verdicts] == list(range(1, 1001))


async def test_only_payments_and_groups_may_book(bank: Bank, wallet: Running) -> None:
    request = ledger_service_pb2.CreateTransfersRequest(
        tenant_id="default", actor=ACTOR, transfers=[post(OUTSIDE, "SYSTEM:FEES", 1)]
    )
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await bank.ops.CreateTransfers(request)
    await bank.groups.CreateTransfers(request)
