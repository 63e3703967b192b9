"""The state machine, ledger entries, fees, schedule and phones, without any I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import Clock
from services.kit.errors import ServiceError
from services.kit.money import INT64_MAX
from services.payments import domain
from services.payments.domain import (
    MOVES,
    OUTSIDE,
    Direction,
    EntryKind,
    FeeRule,
    Flow,
    Kind,
    Method,
    Observation,
    Offer,
    Outcome,
    Party,
    State,
    Step,
    Transaction,
    Word,
    entries,
    fee_minor,
    heard,
    late_entries,
    mobile_money_phone,
    moved,
    next_step,
    question_time,
    resolved,
    undo_entries,
)
from services.payments.errors import (
    AmountNotPayable,
    AmountOutOfRange,
    AmountOverflow,
    FeeScheduleInvalid,
    PhoneInvalid,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_clock = Clock()
ASHA = Party(_clock.new_id(), _clock.new_id(), "Asha", "A***")
BRIAN = Party(_clock.new_id(), _clock.new_id(), "Brian", "B****")
FLOWS = {
    Flow.INSIDE: {"kind": Kind.TRANSFER, "payer": ASHA, "payee": BRIAN},
    Flow.IN: {"kind": Kind.DEPOSIT, "payer": OUTSIDE, "payee": ASHA, "rail": "mpesa"},
    Flow.OUT: {"kind": Kind.WITHDRAWAL, "payer": ASHA, "payee": OUTSIDE, "rail": "mpesa"},
    Flow.UNDO: {"kind": Kind.REVERSAL, "payer": BRIAN, "payee": ASHA},
}
MONEY_OUTSIDE = "EXTERNAL:mpesa"


def made(flow: Flow, state: State = State.PENDING, **facts: Any) -> Transaction:
    """A transaction of KES 200.00 with a fee of 15.00."""
    ended = state in (State.COMPLETED, State.FAILED, State.REVERSED)
    return Transaction(
        **{
            "tenant_id": "default",
            "id": _clock.new_id(),
            "state": state,
            "currency": "KES",
            "amount_minor": 20_000,
            "fee_minor": 1_500,
            "actor": "user:x",
            "create_time": NOW,
            "update_time": NOW,
            "send_attempt_time": None
            if state is State.PENDING or not facts.get("sent", True)
            else NOW,
            "complete_time": NOW if ended else None,
            **FLOWS[flow],
            **{name: value for name, value in facts.items() if name != "sent"},
        }
    )


def said(word: Word, **facts: Any) -> Observation:
    """What a provider answers."""
    return Observation(word, **facts)


# --- states -----------------------------------------------------------------------------------------------------------

ALLOWED = {(before, after) for before, all_after in MOVES.items() for after in all_after}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_the_allowed_moves_can_be_made(before: State, after: State) -> None:
    transaction = made(Flow.OUT, before)
    if (before, after) not in ALLOWED:
        with pytest.raises(AssertionError):
            moved(transaction, after, now=NOW)
        return
    later = NOW + timedelta(seconds=1)
    result = moved(transaction, after, now=later, failure_reason="WHY", failure_message="why")
    assert (result.state, result.version) == (after, transaction.version + 1)
    assert result.update_time == later
    assert (result.complete_time is None) == result.is_open


def test_what_is_completed_only_leaves_through_reversed() -> None:
    assert MOVES[State.COMPLETED] == {State.REVERSED} and not MOVES[State.REVERSED]
    assert MOVES[State.FAILED] == {State.COMPLETED, State.MANUAL_REVIEW}


def test_every_state_can_be_left_or_is_an_end() -> None:
    assert set(MOVES) == set(State)
    for state in (State.PENDING, State.PROCESSING, State.UNKNOWN, State.MANUAL_REVIEW):
        assert {State.COMPLETED, State.FAILED} <= MOVES[state]


@pytest.mark.parametrize(
    ("flow", "step"),
    [
        (Flow.INSIDE, Step.POST),
        (Flow.UNDO, Step.UNDO),
        (Flow.OUT, Step.HOLD),
        (Flow.IN, Step.SEND),
    ],
)
def test_the_first_step_follows_from_which_way_money_goes(flow: Flow, step: Step) -> None:
    transaction = made(flow)
    assert transaction.flow is flow and next_step(transaction) is step


@pytest.mark.parametrize("state", [State.PROCESSING, State.UNKNOWN, State.MANUAL_REVIEW])
@pytest.mark.parametrize("flow", [Flow.IN, Flow.OUT])
def test_while_nobody_knows_how_it_ended_nothing_is_done(flow: Flow, state: State) -> None:
    transaction = made(flow, state)
    assert next_step(transaction) is Step.NOTHING
    for word in (Word.NOT_FOUND, Word.UNDER_WAY):
        assert heard(transaction, said(word)) == transaction


@pytest.mark.parametrize("state", [State.PROCESSING, State.UNKNOWN, State.MANUAL_REVIEW])
@pytest.mark.parametrize(
    ("flow", "amount", "success", "failure"),
    [(Flow.IN, 21_500, Step.CREDIT, Step.FAIL), (Flow.OUT, 20_000, Step.SETTLE, Step.VOID)],
)
def test_an_answer_leads_to_the_step_that_fits(
    flow: Flow, amount: int, success: Step, failure: Step, state: State
) -> None:
    transaction = made(flow, state)
    good = heard(transaction, said(Word.SUCCEEDED, amount_minor=amount, receipt="R"))
    bad = heard(transaction, said(Word.FAILED, reason="PROVIDER_DECLINED"))
    assert next_step(good) is success and good.provider_receipt == "R"
    assert next_step(bad) is failure and bad.failure_reason == "PROVIDER_DECLINED"


@pytest.mark.parametrize(
    ("flow", "amount", "step"), [(Flow.IN, 21_500, Step.CREDIT), (Flow.OUT, 20_000, Step.LATE)]
)
def test_a_failure_may_still_become_a_success(flow: Flow, amount: int, step: Step) -> None:
    failed = made(flow, State.FAILED, outcome=Outcome.FAILED)
    assert next_step(failed) is Step.NOTHING
    late = heard(failed, said(Word.SUCCEEDED, amount_minor=amount))
    assert next_step(late) is step


def test_a_success_overrules_a_failure_that_was_not_yet_booked() -> None:
    failing = made(Flow.OUT, State.PROCESSING, outcome=Outcome.FAILED)
    late = heard(failing, said(Word.SUCCEEDED, amount_minor=20_000))
    assert next_step(late) is Step.SETTLE


@pytest.mark.parametrize("state", [State.COMPLETED, State.REVERSED, State.PENDING])
@pytest.mark.parametrize("word", Word)
def test_what_has_come_to_its_end_hears_nothing(state: State, word: Word) -> None:
    transaction = made(Flow.OUT, state)
    assert heard(transaction, said(word, amount_minor=1, reason="R")) is transaction


def test_a_success_never_becomes_a_failure() -> None:
    good = made(Flow.OUT, State.PROCESSING, outcome=Outcome.SUCCEEDED, outcome_minor=20_000)
    assert heard(good, said(Word.FAILED, reason="R")) is good


@pytest.mark.parametrize("flow", [Flow.IN, Flow.OUT])
def test_another_amount_is_set_apart_and_then_waits(flow: Flow) -> None:
    odd = heard(made(flow, State.PROCESSING), said(Word.SUCCEEDED, amount_minor=7_700))
    assert next_step(odd) is Step.SUSPEND
    apart = replace(moved(odd, State.MANUAL_REVIEW, now=NOW), suspended=True)
    assert next_step(apart) is Step.NOTHING
    assert heard(apart, said(Word.FAILED, reason="R")) is apart


@given(received=st.integers(1, 10**9), fee=st.integers(0, 10**6))
def test_an_accepted_deposit_of_another_amount_gives_the_wallet_what_came_less_the_fee(
    received: int, fee: int
) -> None:
    apart = made(
        Flow.IN,
        State.MANUAL_REVIEW,
        fee_minor=fee,
        outcome=Outcome.SUCCEEDED,
        outcome_minor=received,
        suspended=True,
    )
    accepted = resolved(apart, completed=True)
    assert next_step(accepted) is Step.ACCEPT
    assert accepted.total_minor == received and accepted.amount_minor > 0
    assert sum(one.amount_minor for one in entries(accepted, Step.ACCEPT)) == received


@given(paid=st.integers(1, 10**9))
def test_an_accepted_withdrawal_of_another_amount_takes_what_was_asked_at_most(paid: int) -> None:
    apart = made(
        Flow.OUT,
        State.MANUAL_REVIEW,
        outcome=Outcome.SUCCEEDED,
        outcome_minor=paid,
        suspended=True,
    )
    accepted = resolved(apart, completed=True)
    assert next_step(accepted) is Step.SETTLE
    assert accepted.amount_minor == min(paid, 20_000)
    assert accepted.amount_minor + accepted.receivable_minor == paid


@pytest.mark.parametrize("flow", [Flow.IN, Flow.OUT])
def test_two_people_can_end_what_is_unknown_either_way(flow: Flow) -> None:
    unknown = domain.silent(made(flow, State.PROCESSING), State.UNKNOWN, now=NOW)
    good, bad = (resolved(unknown, completed=completed) for completed in (True, False))
    assert next_step(good) is (Step.CREDIT if flow is Flow.IN else Step.SETTLE)
    assert next_step(bad) is (Step.FAIL if flow is Flow.IN else Step.VOID)


# --- ledger -----------------------------------------------------------------------------------------------------------


def flows_of(made_entries: list[domain.Entry]) -> list[tuple[object, object, int]]:
    """Who gives whom how much."""
    return [(one.debit, one.credit, one.amount_minor) for one in made_entries]


def test_a_transfer_posts_amount_and_fee_as_one_chain() -> None:
    assert flows_of(entries(made(Flow.INSIDE), Step.POST)) == [
        (ASHA.wallet_id, BRIAN.wallet_id, 20_000),
        (ASHA.wallet_id, domain.FEES, 1_500),
    ]


def test_what_costs_nothing_has_one_entry() -> None:
    assert len(entries(made(Flow.INSIDE, fee_minor=0), Step.POST)) == 1
    assert len(entries(made(Flow.OUT, fee_minor=0), Step.VOID)) == 1


def test_a_withdrawal_holds_amount_and_fee_and_settles_or_frees_these_very_holds() -> None:
    transaction = made(Flow.OUT, charge_minor=300)
    held = entries(transaction, Step.HOLD)
    assert flows_of(held) == [
        (ASHA.wallet_id, MONEY_OUTSIDE, 20_000),
        (ASHA.wallet_id, domain.FEES, 1_500),
    ]
    settled = entries(transaction, Step.SETTLE)
    assert [one.hold_id for one in settled] == [held[0].id, held[1].id, None]
    assert flows_of(settled)[2] == (domain.PROVIDER_COSTS, MONEY_OUTSIDE, 300)
    assert [one.hold_id for one in entries(transaction, Step.VOID)] == [one.id for one in held]


def test_holds_are_found_again_under_a_new_anchor() -> None:
    first = made(Flow.OUT)
    later = replace(first, anchor_id=_clock.new_id())
    assert entries(first, Step.SETTLE)[0].hold_id == entries(later, Step.SETTLE)[0].hold_id
    assert entries(first, Step.SETTLE)[0].id != entries(later, Step.SETTLE)[0].id


@pytest.mark.parametrize(
    ("flow", "step"),
    [
        (Flow.INSIDE, Step.POST),
        (Flow.OUT, Step.HOLD),
        (Flow.OUT, Step.SETTLE),
        (Flow.OUT, Step.VOID),
        (Flow.IN, Step.CREDIT),
        (Flow.IN, Step.ACCEPT),
        (Flow.IN, Step.SUSPEND),
    ],
)
def test_repeating_a_step_makes_the_same_entries_and_no_two_share_an_id(
    flow: Flow, step: Step
) -> None:
    transaction = made(flow, outcome_minor=5)
    first, second = entries(transaction, step), entries(transaction, step)
    assert first == second and len({one.id for one in first}) == len(first) > 0
    assert all(one.amount_minor > 0 or one.kind is EntryKind.VOID_HOLD for one in first)


def test_no_step_shares_an_id_with_another_step() -> None:
    transaction = made(Flow.OUT, outcome_minor=5, charge_minor=1, receivable_minor=1)
    ids: list[UUID] = []
    for step in (Step.HOLD, Step.SETTLE, Step.VOID):
        ids += [one.id for one in entries(transaction, step) if one.code != "PROVIDER_COST"]
    ids += [one.id for one in late_entries(transaction, 100)]
    assert len(ids) == len(set(ids))


@given(available=st.integers(-10, 50_000), fee=st.integers(0, 2_000), more=st.integers(0, 500))
def test_a_late_success_takes_what_is_there_and_owes_the_rest(
    available: int, fee: int, more: int
) -> None:
    transaction = made(Flow.OUT, State.FAILED, fee_minor=fee, receivable_minor=more)
    booked = late_entries(transaction, available)
    taken = sum(one.amount_minor for one in booked if one.debit == ASHA.wallet_id)
    owed = sum(one.amount_minor for one in booked if one.debit == domain.RECEIVABLE)
    out = sum(one.amount_minor for one in booked if one.credit == MONEY_OUTSIDE)
    assert taken == min(max(available, 0), 20_000 + fee)
    assert taken + owed == 20_000 + fee + more and out == 20_000 + more


@pytest.mark.parametrize(
    ("flow", "giver", "taker"),
    [
        (Flow.INSIDE, BRIAN.wallet_id, ASHA.wallet_id),
        (Flow.IN, ASHA.wallet_id, MONEY_OUTSIDE),
        (Flow.OUT, MONEY_OUTSIDE, ASHA.wallet_id),
    ],
)
def test_a_reversal_changes_the_sides_and_gives_the_fee_back(
    flow: Flow, giver: object, taker: object
) -> None:
    undone = undo_entries(made(Flow.UNDO), made(flow, State.COMPLETED))
    assert flows_of(undone) == [(giver, taker, 20_000), (domain.FEES, taker, 1_500)]


def test_only_what_is_completed_and_settled_can_be_reversed() -> None:
    good = made(Flow.OUT, State.COMPLETED)
    assert domain.is_reversible(good)
    assert not domain.is_reversible(replace(good, receivable_minor=1))
    assert not domain.is_reversible(replace(good, reversal_transaction_id=_clock.new_id()))
    assert not domain.is_reversible(made(Flow.UNDO, State.COMPLETED))
    for state in set(State) - {State.COMPLETED}:
        assert not domain.is_reversible(made(Flow.OUT, state))


# --- questions --------------------------------------------------------------------------------------------------------


def test_the_provider_is_asked_after_1_2_5_15_60_minutes_then_hourly_to_a_day() -> None:
    transaction = made(Flow.OUT, State.PROCESSING)
    asked = []
    for count in range(100):
        due = question_time(replace(transaction, ask_count=count))
        if due is None:
            break
        asked.append((due - NOW) / timedelta(minutes=1))
    assert asked == [1, 2, 5, 15, 60, *(hour * 60 for hour in range(2, 25))]


def test_the_schedule_can_be_shortened_in_development() -> None:
    due = question_time(made(Flow.OUT, State.PROCESSING), scale=0.01)
    assert due == NOW + timedelta(seconds=0.6)


# --- fees -------------------------------------------------------------------------------------------------------------

rules = st.builds(
    FeeRule,
    basis_points=st.integers(0, 10_000),
    fee_min=st.integers(0, 10**6),
    fee_max=st.integers(10**6, 10**9) | st.just(0),
)
amounts = st.integers(1, 10**15)


@given(amount=amounts, rule=rules)
def test_a_fee_lies_between_minimum_and_maximum(amount: int, rule: FeeRule) -> None:
    fee = fee_minor(amount, rule)
    assert fee >= rule.fee_min
    assert not rule.fee_max or fee <= rule.fee_max


@given(amount=amounts, rule=rules)
def test_a_larger_amount_never_costs_less(amount: int, rule: FeeRule) -> None:
    assert fee_minor(amount + 1, rule) >= fee_minor(amount, rule)


@given(amount=amounts, basis_points=st.integers(0, 10_000))
def test_a_fee_is_rounded_half_up(amount: int, basis_points: int) -> None:
    fee = fee_minor(amount, FeeRule(basis_points))
    assert -5_000 < fee * 10_000 - amount * basis_points <= 5_000


@given(amount=amounts, rule=rules)
def test_a_fee_that_is_paid_by_a_rail_is_a_multiple_of_its_step(amount: int, rule: FeeRule) -> None:
    assert fee_minor(amount, rule, step_minor=100) % 100 == 0


@pytest.mark.parametrize(("amount", "fee"), [(1_000, 5), (1_100, 6), (100, 1), (99, 0)])
def test_half_a_cent_is_a_cent(amount: int, fee: int) -> None:
    assert fee_minor(amount, FeeRule(50)) == fee


def test_amount_and_fee_fit_in_64_bits() -> None:
    assert fee_minor(INT64_MAX, FeeRule()) == 0
    with pytest.raises(AmountOverflow):
        fee_minor(INT64_MAX, FeeRule(fee_min=1))


@pytest.mark.parametrize("rule", [FeeRule(-1), FeeRule(0, -1), FeeRule(0, 0, -1), FeeRule(0, 2, 1)])
def test_rules_that_make_no_sense_are_refused(rule: FeeRule) -> None:
    with pytest.raises(FeeScheduleInvalid):
        rule.check()


# --- limits and phones ------------------------------------------------------------------------------------------------

OFFER = Offer(
    "mpesa",
    Method.MOBILE_MONEY,
    Direction.OUT,
    "KES",
    installed=True,
    amount_min=1_000,
    amount_max=25_000_000,
    amount_step=100,
)


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (1_000, None),
        (25_000_000, None),
        (900, AmountOutOfRange),
        (25_000_100, AmountOutOfRange),
        (1_001, AmountNotPayable),
    ],
)
def test_a_rail_takes_what_it_offers(amount: int, refusal: type[ServiceError] | None) -> None:
    if refusal is None:
        OFFER.check(amount)
        return
    with pytest.raises(refusal):
        OFFER.check(amount)


@pytest.mark.parametrize(
    "text",
    [
        "0712345678",
        "0712 345 678",
        "+254 712-345-678",
        "254712345678",
        "00254712345678",
        "712345678",
        "(0712) 345678",
    ],
)
def test_kenyan_numbers_are_written_in_one_way(text: str) -> None:
    assert mobile_money_phone(text) == "254712345678"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0201234567",
        "071234567",
        "07123456789",
        "+255712345678",
        "hello",
        "٠٧١٢٣٤٥٦٧٨",
        "0712345678\n9",
    ],
)
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(PhoneInvalid):
        mobile_money_phone(text)


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        phone = mobile_money_phone(text)
    except PhoneInvalid:
        return
    assert len(phone) == 12 and phone.isascii() and phone.isdigit() and phone.startswith("254")
