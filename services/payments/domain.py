"""The payment state machine, fees and phone numbers: pure rules, no clock, no I/O.

A transaction knows its next step from its own row (`next_step`), the ledger entries of a step follow from the row
(`entries`), and what a provider says changes the row by one function (`heard`). So a step may be repeated by anyone at
any time, before or after a crash, with the same effect. Sources: money.md of the design, sections 2 to 4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

from services.kit.clock import derived_id
from services.kit.money import INT64_MAX, Money, half_up
from services.payments.errors import (
    AmountNotPayable,
    AmountOutOfRange,
    AmountOverflow,
    FeeScheduleInvalid,
    PhoneInvalid,
)


class Kind(StrEnum):
    """What moves."""

    DEPOSIT = "DEPOSIT"
    TRANSFER = "TRANSFER"
    WITHDRAWAL = "WITHDRAWAL"
    CONTRIBUTION = "CONTRIBUTION"
    GROUP_PAYOUT = "GROUP_PAYOUT"
    REVERSAL = "REVERSAL"


class State(StrEnum):
    """Where a transaction stands."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"
    UNKNOWN = "UNKNOWN"
    MANUAL_REVIEW = "MANUAL_REVIEW"


MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PROCESSING, State.COMPLETED, State.FAILED}),
    State.PROCESSING: frozenset(
        {State.COMPLETED, State.FAILED, State.UNKNOWN, State.MANUAL_REVIEW}
    ),
    State.UNKNOWN: frozenset({State.COMPLETED, State.FAILED, State.MANUAL_REVIEW}),
    State.MANUAL_REVIEW: frozenset({State.COMPLETED, State.FAILED}),
    # A provider's late success; a late deposit of another amount goes to a person first.
    State.FAILED: frozenset({State.COMPLETED, State.MANUAL_REVIEW}),
    State.COMPLETED: frozenset({State.REVERSED}),
    State.REVERSED: frozenset(),
}
"""Every allowed change of state; all others are faults of ours."""

WAITING = frozenset({State.PROCESSING, State.UNKNOWN, State.MANUAL_REVIEW})
"""States in which the provider may still say how it ended."""


class Flow(Enum):
    """Which way money goes, and so which steps there are."""

    INSIDE = "inside"
    IN = "in"
    OUT = "out"
    UNDO = "undo"


class Outcome(StrEnum):
    """How the provider, or two people, say that it ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Step(Enum):
    """What is to be done next."""

    NOTHING = "nothing"
    POST = "post"  # inside: move the money
    UNDO = "undo"  # reversal: move it back
    HOLD = "hold"  # out: reserve amount and fee, then hand it to the provider
    SEND = "send"  # in: ask the phone
    SETTLE = "settle"  # out: the held money leaves
    VOID = "void"  # out: the held money is free again
    LATE = "late"  # out: paid after all, though the hold is gone
    CREDIT = "credit"  # in: the wallet gets it
    SUSPEND = "suspend"  # another amount moved than was asked for: what came in is set apart
    ACCEPT = "accept"  # in: two people give the suspended money to the wallet
    FAIL = "fail"  # in: nothing came


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a transaction. All empty for the world outside."""

    user_id: UUID | None = None
    wallet_id: UUID | None = None
    name: str = ""
    masked_name: str = ""


OUTSIDE = Party()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One movement of money. Amounts in minor units of `currency`."""

    tenant_id: str
    id: UUID
    kind: Kind
    state: State
    currency: str
    amount_minor: int
    fee_minor: int
    payer: Party
    payee: Party
    actor: str
    create_time: datetime
    update_time: datetime
    rail: str = ""
    phone: str = ""  # 254 and 9 digits; empty inside
    note: str = ""
    version: int = 1  # counts the changes of state, from 1
    anchor_id: UUID | None = None  # ids of late steps are derived from it; None means `id`
    send_attempt_time: datetime | None = None  # set and committed before the provider is called
    provider_request_id: str = ""  # what the provider calls the request
    provider_conversation_id: str = ""  # what the provider calls the conversation
    provider_receipt: str = ""
    ask_count: int = 0  # scheduled questions that were asked
    outcome: Outcome | None = None
    outcome_minor: int | None = None  # what the provider says that it moved
    charge_minor: int = 0  # what the provider charged us
    suspended: bool = False  # another amount moved; what came in lies in SYSTEM:SUSPENSE
    receivable_minor: int = 0  # what the payer owes: a late success, or more paid out than asked
    failure_reason: str = ""
    failure_message: str = ""
    reversal_transaction_id: UUID | None = None
    hold_id: UUID | None = None  # what the group held for its payout
    complete_time: datetime | None = None

    @property
    def total_minor(self) -> int:
        """Amount and fee together: what the payer pays."""
        return self.amount_minor + self.fee_minor

    @property
    def flow(self) -> Flow:
        """Which way money goes."""
        if self.kind is Kind.REVERSAL:
            return Flow.UNDO
        if not self.rail:
            return Flow.INSIDE
        return Flow.OUT if self.payer.wallet_id else Flow.IN

    @property
    def is_open(self) -> bool:
        """Whether it has not come to its end."""
        return self.state not in (State.COMPLETED, State.FAILED, State.REVERSED)

    def step_id(self, step: str) -> UUID:
        """The ledger id of a step: the same whenever and by whomever it is repeated."""
        return derived_id(self.anchor_id or self.id, step)

    def first_step_id(self, step: str) -> UUID:
        """The ledger id of a step of the first day (holds), which never gets another anchor."""
        return derived_id(self.id, step)


def moved(
    transaction: Transaction,
    state: State,
    *,
    now: datetime,
    failure_reason: str = "",
    failure_message: str = "",
) -> Transaction:
    """The transaction in its next state. A move that is not in `MOVES` is a fault of ours."""
    assert state in MOVES[transaction.state], f"{transaction.state} never becomes {state}"
    ended = state in (State.COMPLETED, State.FAILED, State.REVERSED)
    return replace(
        transaction,
        state=state,
        version=transaction.version + 1,
        update_time=now,
        complete_time=(transaction.complete_time if state is State.REVERSED else now)
        if ended
        else None,
        failure_reason=failure_reason,
        failure_message=failure_message,
    )


def silent(transaction: Transaction, state: State, *, now: datetime) -> Transaction:
    """The transaction in UNKNOWN or MANUAL_REVIEW, because nobody has said how it ended."""
    return moved(
        transaction,
        state,
        now=now,
        failure_reason="PROVIDER_SILENT",
        failure_message="The provider has not said how it ended.",
    )


def next_step(transaction: Transaction) -> Step:
    """What is to be done next. Depends on nothing but the row."""
    flow, state, outcome = transaction.flow, transaction.state, transaction.outcome
    if state is State.PENDING:
        return {
            Flow.INSIDE: Step.POST,
            Flow.UNDO: Step.UNDO,
            Flow.OUT: Step.HOLD,
            Flow.IN: Step.SEND,
        }[flow]
    if outcome is None or state in (State.COMPLETED, State.REVERSED):
        return Step.NOTHING
    if flow is Flow.OUT:
        return _next_step_out(transaction, state, outcome)
    return _next_step_in(transaction, state, outcome)


def _next_step_out(transaction: Transaction, state: State, outcome: Outcome) -> Step:
    if outcome is Outcome.FAILED:
        return Step.VOID if state in WAITING else Step.NOTHING
    if transaction.outcome_minor == transaction.amount_minor + transaction.receivable_minor:
        return Step.LATE if state is State.FAILED else Step.SETTLE
    return Step.NOTHING if transaction.suspended else Step.SUSPEND


def _next_step_in(transaction: Transaction, state: State, outcome: Outcome) -> Step:
    if outcome is Outcome.FAILED:
        return Step.FAIL if state in WAITING else Step.NOTHING
    if transaction.outcome_minor == transaction.total_minor:
        return Step.ACCEPT if transaction.suspended else Step.CREDIT
    return Step.NOTHING if transaction.suspended else Step.SUSPEND


# --- what the provider says -------------------------------------------------------------------------------------------


class Word(Enum):
    """What a provider says about a request."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDER_WAY = "under way"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Observation:
    """What a provider answered to a question, read by its adapter."""

    word: Word
    amount_minor: int | None = None  # what was moved, for SUCCEEDED
    receipt: str = ""
    charge_minor: int = 0
    reason: str = ""  # for FAILED: PROVIDER_DECLINED or PAYER_CANCELLED
    message: str = ""  # for FAILED: words for people


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The provider's answer to a request: what it calls it, or that it refuses it for good."""

    is_refused: bool = False
    request_id: str = ""
    conversation_id: str = ""
    reason: str = ""
    message: str = ""


def heard(transaction: Transaction, said: Observation) -> Transaction:
    """The transaction after an answer that is believed; the state changes only with the ledger step that follows.

    What has succeeded never fails again. A failure may still become a success. Anything else changes nothing.
    """
    if (
        transaction.state in (State.PENDING, State.COMPLETED, State.REVERSED)
        or transaction.outcome is Outcome.SUCCEEDED
        or transaction.suspended
    ):
        return transaction
    if said.word is Word.SUCCEEDED:
        amount_minor = said.amount_minor
        if amount_minor is None:
            amount_minor = sent_minor(transaction)
        return replace(
            transaction,
            outcome=Outcome.SUCCEEDED,
            outcome_minor=amount_minor,
            provider_receipt=said.receipt or transaction.provider_receipt,
            charge_minor=said.charge_minor,
        )
    if said.word is Word.FAILED and transaction.outcome is None:
        return replace(
            transaction,
            outcome=Outcome.FAILED,
            failure_reason=said.reason,
            failure_message=said.message,
        )
    return transaction


def sent_minor(transaction: Transaction) -> int:
    """What the provider is asked to move: the total comes in, the amount goes out (the fee stays)."""
    return transaction.total_minor if transaction.flow is Flow.IN else transaction.amount_minor


def resolved(transaction: Transaction, *, completed: bool) -> Transaction:
    """The transaction after two people have said how it ended. It was UNKNOWN or in MANUAL_REVIEW."""
    assert transaction.state in (State.UNKNOWN, State.MANUAL_REVIEW), "operations ask before"
    if not completed:
        return replace(
            transaction,
            outcome=Outcome.FAILED,
            failure_reason=transaction.failure_reason,
            failure_message="Staff found that this did not happen.",
        )
    if transaction.suspended and transaction.flow is Flow.OUT:
        # The wallet gives what was asked at most; what was paid beyond that is owed to us.
        paid, asked = transaction.outcome_minor or 0, transaction.amount_minor
        return replace(
            transaction, amount_minor=min(paid, asked), receivable_minor=max(paid - asked, 0)
        )
    if transaction.suspended:
        # The wallet gets what came, less the fee; small sums bear no fee.
        received = transaction.outcome_minor or 0
        fee_minor = transaction.fee_minor if received > transaction.fee_minor else 0
        return replace(
            transaction,
            outcome=Outcome.SUCCEEDED,
            amount_minor=received - fee_minor,
            fee_minor=fee_minor,
        )
    return replace(transaction, outcome=Outcome.SUCCEEDED, outcome_minor=sent_minor(transaction))


_FIRST_QUESTIONS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60))
_LAST_HOUR = 24


def question_time(transaction: Transaction, *, scale: float = 1.0) -> datetime | None:
    """When the provider is asked again by schedule; None when a person has to decide.

    1, 2, 5, 15 and 60 minutes after the request, then each hour up to 24. `scale` shortens that in development.
    """
    assert transaction.send_attempt_time is not None, "nothing was sent"
    hours = range(2, _LAST_HOUR + 1)
    offsets = [*_FIRST_QUESTIONS, *(timedelta(hours=hour) for hour in hours)]
    if transaction.ask_count >= len(offsets):
        return None
    return transaction.send_attempt_time + offsets[transaction.ask_count] * scale


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answered to our request or question. `raw` is kept as evidence.

    A question whose answer comes later to an address of ours has no observation yet.
    """

    raw: str
    acceptance: Acceptance | None = None
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What an unsigned callback tells: under which names the provider knows our request. Never how it ended."""

    request_id: str = ""
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class HookAddress:
    """What the last part of a hook's address says."""

    transaction_id: UUID | None = None
    answers_question: bool = False  # only the provider knew this address, because we asked it there


# --- people and wallets -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the tenant, as the directory knows them."""

    user_id: UUID
    name: str
    masked_name: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet of the tenant, as the ledger knows it."""

    id: UUID
    owner_id: UUID
    currency: str
    name: str
    is_group: bool
    frozen: bool
    available_minor: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A ledger entry that exists."""

    amount_minor: int
    is_held: bool  # a hold that was neither posted nor voided


# --- ledger -----------------------------------------------------------------------------------------------------------


class EntryKind(StrEnum):
    """What a ledger entry does."""

    POST = "POST"
    HOLD = "HOLD"
    POST_HOLD = "POST_HOLD"
    VOID_HOLD = "VOID_HOLD"


FEES, SUSPENSE = "SYSTEM:FEES", "SYSTEM:SUSPENSE"
RECEIVABLE, PROVIDER_COSTS = "SYSTEM:RECEIVABLE", "SYSTEM:PROVIDER_COSTS"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry to make. Accounts are wallet ids or codes of system and external accounts."""

    id: UUID
    kind: EntryKind
    code: str
    debit: UUID | str = ""
    credit: UUID | str = ""
    amount_minor: int = 0
    hold_id: UUID | None = None


def external(rail: str) -> str:
    """The account that stands for the money outside."""
    return f"EXTERNAL:{rail}"


def entries(transaction: Transaction, step: Step) -> list[Entry]:
    """The ledger entries of a step, as one chain: all or none. `LATE` has its own function."""
    match step:
        case Step.POST:
            made = _post_entries(transaction)
        case Step.HOLD:
            made = _hold_entries(transaction)
        case Step.SETTLE:
            made = _settle_entries(transaction)
        case Step.VOID:
            made = _void_entries(transaction)
        case Step.CREDIT:
            made = _credit_entries(transaction, external(transaction.rail), "post")
        case Step.ACCEPT:
            made = _credit_entries(transaction, SUSPENSE, "accept")
        case Step.SUSPEND:
            made = [
                Entry(
                    transaction.step_id("suspend"),
                    EntryKind.POST,
                    "SUSPENSE",
                    external(transaction.rail),
                    SUSPENSE,
                    transaction.outcome_minor or 0,
                )
            ]
        case _:
            raise AssertionError(f"{step} has no entries")
    return [entry for entry in made if entry.kind is EntryKind.VOID_HOLD or entry.amount_minor > 0]


def _wallet(party: Party) -> UUID:
    assert party.wallet_id is not None, "this side is a wallet"
    return party.wallet_id


def _post_entries(t: Transaction) -> list[Entry]:
    payer, payee = _wallet(t.payer), _wallet(t.payee)
    post = t.first_step_id("post")
    if t.hold_id is None:
        moved_entry = Entry(post, EntryKind.POST, t.kind, payer, payee, t.amount_minor)
    else:
        moved_entry = Entry(
            post, EntryKind.POST_HOLD, t.kind, amount_minor=t.amount_minor, hold_id=t.hold_id
        )
    return [
        moved_entry,
        Entry(t.first_step_id("fee"), EntryKind.POST, "FEE", payer, FEES, t.fee_minor),
    ]


def _hold_entries(t: Transaction) -> list[Entry]:
    payer = _wallet(t.payer)
    outside = external(t.rail)
    freed = []
    if t.hold_id is not None:  # what the group held for 24 hours is held without an end from now on
        release = t.first_step_id("release")
        freed = [Entry(release, EntryKind.VOID_HOLD, t.kind, hold_id=t.hold_id)]
    return [
        *freed,
        Entry(t.first_step_id("hold"), EntryKind.HOLD, t.kind, payer, outside, t.amount_minor),
        Entry(t.first_step_id("hold_fee"), EntryKind.HOLD, "FEE", payer, FEES, t.fee_minor),
    ]


def _settle_entries(t: Transaction) -> list[Entry]:
    """Both holds are posted whole; what the provider charged us is our cost."""
    holds = [
        Entry(
            t.step_id(name.replace("hold", "settle")),
            EntryKind.POST_HOLD,
            code,
            amount_minor=amount,
            hold_id=t.first_step_id(name),
        )
        for name, code, amount in (
            ("hold", t.kind, t.amount_minor),
            ("hold_fee", "FEE", t.fee_minor),
        )
    ]
    outside = external(t.rail)
    owed = Entry(
        t.step_id("owed"), EntryKind.POST, "OVERPAID", RECEIVABLE, outside, t.receivable_minor
    )
    return [*holds, owed, _cost_entry(t)]


def _cost_entry(t: Transaction) -> Entry:
    return Entry(
        t.step_id("cost"),
        EntryKind.POST,
        "PROVIDER_COST",
        PROVIDER_COSTS,
        external(t.rail),
        t.charge_minor,
    )


def _void_entries(t: Transaction) -> list[Entry]:
    names = ["hold", "hold_fee"] if t.fee_minor else ["hold"]
    return [
        Entry(
            t.step_id(name.replace("hold", "void")),
            EntryKind.VOID_HOLD,
            t.kind,
            hold_id=t.first_step_id(name),
        )
        for name in names
    ]


def _credit_entries(t: Transaction, source: str, step: str) -> list[Entry]:
    return [
        Entry(t.step_id(step), EntryKind.POST, t.kind, source, _wallet(t.payee), t.amount_minor),
        Entry(t.step_id(f"{step}_fee"), EntryKind.POST, "FEE", source, FEES, t.fee_minor),
        _cost_entry(t) if step == "post" else replace(_cost_entry(t), amount_minor=0),
    ]


def late_entries(transaction: Transaction, available_minor: int) -> list[Entry]:
    """A withdrawal that was paid after its hold had been freed: the wallet gives what it has, the rest is owed to us."""
    t = transaction
    payer, outside = _wallet(t.payer), external(t.rail)
    available_minor = max(available_minor, 0)
    amount_from_wallet = min(available_minor, t.amount_minor)
    fee_from_wallet = min(available_minor - amount_from_wallet, t.fee_minor)
    amount_owed = t.amount_minor + t.receivable_minor - amount_from_wallet
    fee_owed = t.fee_minor - fee_from_wallet
    post = EntryKind.POST
    made = [
        Entry(t.step_id("late"), post, t.kind, payer, outside, amount_from_wallet),
        Entry(t.step_id("late_owed"), post, "LATE_SUCCESS", RECEIVABLE, outside, amount_owed),
        Entry(t.step_id("late_fee"), post, "FEE", payer, FEES, fee_from_wallet),
        Entry(t.step_id("late_fee_owed"), post, "LATE_SUCCESS", RECEIVABLE, FEES, fee_owed),
        _cost_entry(t),
    ]
    return [entry for entry in made if entry.amount_minor > 0]


def undo_entries(reversal: Transaction, original: Transaction) -> list[Entry]:
    """The original's entries with sides changed, fee included."""
    t = reversal
    giver: UUID | str = original.payee.wallet_id or external(original.rail)
    taker: UUID | str = original.payer.wallet_id or external(original.rail)
    made = [
        Entry(t.step_id("undo"), EntryKind.POST, t.kind, giver, taker, original.amount_minor),
        Entry(t.step_id("undo_fee"), EntryKind.POST, "FEE", FEES, taker, original.fee_minor),
    ]
    return [entry for entry in made if entry.amount_minor > 0]


def is_reversible(transaction: Transaction) -> bool:
    """Completed, not undone, not itself a reversal, and nothing of it is owed to us."""
    return (
        transaction.state is State.COMPLETED
        and transaction.kind is not Kind.REVERSAL
        and transaction.receivable_minor == 0
        and transaction.reversal_transaction_id is None
    )


# --- fees and limits --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeeRule:
    """What a movement costs. Minor units; `fee_max` 0 means no maximum."""

    basis_points: int = 0
    fee_min: int = 0
    fee_max: int = 0

    def check(self) -> None:
        """Raises FeeScheduleInvalid."""
        if min(self.basis_points, self.fee_min, self.fee_max) < 0 or (
            self.fee_max and self.fee_min > self.fee_max
        ):
            raise FeeScheduleInvalid


FREE = FeeRule()


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """The fee of one kind of movement on one rail (empty inside) in one currency."""

    rail: str
    kind: Kind
    currency: str
    rule: FeeRule


def fee_minor(amount_minor: int, rule: FeeRule, *, step_minor: int = 1) -> int:
    """The fee: basis points of the amount, not below the minimum nor above the maximum, rounded half-up.

    `step_minor` is what it is rounded to: deposits pay the fee by the rail, which may not take cents.
    Raises AmountOverflow if amount and fee leave int64.
    """
    assert amount_minor > 0, "the contract refuses other amounts"
    fee = half_up(amount_minor * rule.basis_points, 10_000)
    fee = max(fee, rule.fee_min)
    if rule.fee_max:
        fee = min(fee, rule.fee_max)
    fee = half_up(fee, step_minor) * step_minor
    if amount_minor + fee > INT64_MAX:
        raise AmountOverflow
    return fee


class Direction(StrEnum):
    """Which way money travels on a rail."""

    IN = "IN"
    OUT = "OUT"


class Method(StrEnum):
    """How money travels."""

    MOBILE_MONEY = "MOBILE_MONEY"
    CARD = "CARD"
    LIGHTNING = "LIGHTNING"


@dataclass(frozen=True, slots=True)
class Offer:
    """One way in or out: what a rail can do in one direction and currency."""

    rail: str
    method: Method
    direction: Direction
    currency: str
    installed: bool = False
    amount_min: int = 0
    amount_max: int = 0
    amount_step: int = 1

    def check(self, amount_minor: int) -> None:
        """Raises AmountNotPayable or AmountOutOfRange with what the rail can."""
        if amount_minor % self.amount_step:
            raise AmountNotPayable(amountStep=str(self.amount_step), currency=self.currency)
        if not self.amount_min <= amount_minor <= self.amount_max:
            raise AmountOutOfRange(
                f"The amount must lie between {Money(self.currency, self.amount_min).format()}"
                f" and {Money(self.currency, self.amount_max).format()}.",
                amountMin=str(self.amount_min),
                amountMax=str(self.amount_max),
                currency=self.currency,
            )


NOT_INSTALLED: Sequence[Offer] = (
    Offer("card", Method.CARD, Direction.IN, "KES"),
    Offer("lightning", Method.LIGHTNING, Direction.IN, "BTC"),
    Offer("lightning", Method.LIGHTNING, Direction.OUT, "BTC"),
)
"""Ways that the contract knows and no adapter serves yet."""


_SEPARATORS = re.compile(r"[\s().-]")
_KENYAN_MOBILE = re.compile(r"^(?:(?:\+|00)?254|0)?([17]\d{8})$", re.ASCII)


def mobile_money_phone(text: str) -> str:
    """A Kenyan mobile number in any usual spelling as 254 and nine digits. Raises PhoneInvalid."""
    match = _KENYAN_MOBILE.match(_SEPARATORS.sub("", text))
    if match is None:
        raise PhoneInvalid
    return f"254{match[1]}"


# --- orders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Destination:
    """Who is to be paid: one of the two."""

    identifier: str = ""
    wallet_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A transfer that somebody wants."""

    source_wallet_id: UUID
    destination: Destination
    currency: str
    amount_minor: int
    note: str


@dataclass(frozen=True, slots=True)
class OutsideOrder:
    """A deposit or withdrawal that somebody wants. The phone is already 254 and nine digits; empty for other methods."""

    wallet_id: UUID
    currency: str
    amount_minor: int
    method: Method
    phone: str


@dataclass(frozen=True, slots=True)
class GroupOrder:
    """What a group wants to be paid or to pay. The id is the caller's; either a wallet or a phone is on the other side."""

    tenant_id: str
    transaction_id: UUID
    kind: Kind
    user_id: UUID
    group_wallet_id: UUID
    currency: str
    amount_minor: int
    wallet_id: UUID | None = None
    phone: str = ""
    hold_id: UUID | None = None

    def fits(self, found: Transaction) -> bool:
        """Whether a transaction is what this order made."""
        group, other = found.payee, found.payer
        if self.kind is Kind.GROUP_PAYOUT:
            group, other = other, group
        amounts = (found.currency, found.amount_minor + found.receivable_minor)
        return (
            (found.kind, found.phone, found.hold_id) == (self.kind, self.phone, self.hold_id)
            and (group.wallet_id, other.wallet_id) == (self.group_wallet_id, self.wallet_id)
            # What was settled by people after another amount had moved keeps its order's currency only.
            and (amounts == (self.currency, self.amount_minor) or found.outcome_minor is not None)
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What a transfer would be."""

    recipient_name: str
    currency: str
    amount_minor: int
    fee_minor: int


# --- review -----------------------------------------------------------------------------------------------------------


class Action(StrEnum):
    """What a proposal wants."""

    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    REVERSE = "REVERSE"


class ReviewState(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "PROPOSED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Review:
    """A proposal of one person that a second one confirms."""

    id: UUID
    tenant_id: str
    transaction_id: UUID
    action: Action
    state: ReviewState
    note: str
    proposer_id: UUID
    create_time: datetime
    decider_id: UUID | None = None
    decide_time: datetime | None = None
    decision_note: str = ""
    reversal_transaction_id: UUID | None = None


class Source(StrEnum):
    """How evidence came."""

    CALLBACK = "CALLBACK"
    QUERY = "QUERY"
    RESPONSE = "RESPONSE"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that the provider said, as it came."""

    source: Source
    body: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """Something that waits for a person."""

    id: UUID
    reason: str
    create_time: datetime
    transaction: Transaction | None = None
    evidence: tuple[Evidence, ...] = ()
    review: Review | None = None
