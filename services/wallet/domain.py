"""The ledger as pure functions: what may be booked, in which order refusals are told, and what follows from it.

`decide` is the one place that judges transfers. It is handed what the database knows (`Books`) and the steps in their order
of arrival, and answers a verdict for each step with everything that must be stored. It knows no clock, no database and no
protobuf, so the same function serves one call, many calls in one commit, and the model tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.kit.money import INT64_MAX, Money

ID_TIME_TOLERANCE = timedelta(days=1)
"""How far the time inside a new id may be off."""

AccountKey = UUID | str
"""An account by its id, or a system or external account by its code."""


class AccountKind(StrEnum):
    """Whose side it is."""

    USER = "USER"
    GROUP = "GROUP"
    SYSTEM = "SYSTEM"
    EXTERNAL = "EXTERNAL"


class StepKind(StrEnum):
    """What a step does."""

    POST = "POST"
    HOLD = "HOLD"
    POST_HOLD = "POST_HOLD"
    VOID_HOLD = "VOID_HOLD"


class HoldState(StrEnum):
    """What has become of a hold. All but HELD are final."""

    HELD = "HELD"
    POSTED = "POSTED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"


class Result(StrEnum):
    """What became of a step."""

    CREATED = "CREATED"
    EXISTS = "EXISTS"
    REFUSED = "REFUSED"


class Refusal(StrEnum):
    """Why a step is refused, in order of precedence: the first that applies is told."""

    CHAIN_REFUSED = "CHAIN_REFUSED"
    CHAIN_OPEN = "CHAIN_OPEN"
    ID_TIME_OUT_OF_RANGE = "ID_TIME_OUT_OF_RANGE"
    EXISTS_WITH_DIFFERENT_CONTENT = "EXISTS_WITH_DIFFERENT_CONTENT"
    AMOUNT_NOT_POSITIVE = "AMOUNT_NOT_POSITIVE"
    TRANSFER_MALFORMED = "TRANSFER_MALFORMED"
    HOLD_NOT_FOUND = "HOLD_NOT_FOUND"
    HOLD_ALREADY_POSTED = "HOLD_ALREADY_POSTED"
    HOLD_ALREADY_VOIDED = "HOLD_ALREADY_VOIDED"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    AMOUNT_EXCEEDS_HOLD = "AMOUNT_EXCEEDS_HOLD"
    EXPIRE_TIME_PAST = "EXPIRE_TIME_PAST"
    DEBIT_ACCOUNT_NOT_FOUND = "DEBIT_ACCOUNT_NOT_FOUND"
    CREDIT_ACCOUNT_NOT_FOUND = "CREDIT_ACCOUNT_NOT_FOUND"
    ACCOUNTS_SAME = "ACCOUNTS_SAME"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    PERIOD_CLOSED = "PERIOD_CLOSED"
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    AMOUNT_OVERFLOW = "AMOUNT_OVERFLOW"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"


@dataclass(frozen=True, slots=True)
class Account:
    """One side of every entry. The four totals are minor units of `currency` and never shrink below zero.

    `version` counts the commits that changed the account.
    """

    id: UUID
    kind: AccountKind
    owner_id: UUID | None
    code: str | None
    currency: str
    name: str
    protected: bool
    create_time: datetime
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    frozen: bool = False
    version: int = 1

    @property
    def balance(self) -> int:
        """Posted credits minus posted debits, in minor units."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What can be spent now, in minor units: balance minus held debits."""
        return self.credits_posted - self.debits_posted - self.debits_pending


@dataclass(frozen=True, slots=True)
class Step:
    """A transfer as it is asked for. Unset fields are None; which ones must be set depends on `kind`."""

    id: UUID
    kind: StepKind
    code: str
    transaction_id: UUID
    debit: AccountKey | None = None
    credit: AccountKey | None = None
    amount: Money | None = None
    hold_id: UUID | None = None
    expire_time: datetime | None = None
    linked: bool = False
    reference: str = ""
    effective_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A step as it is booked: accounts by id, amount and times resolved. Never changes."""

    id: UUID
    kind: StepKind
    debit_account_id: UUID
    credit_account_id: UUID
    amount: Money
    hold_id: UUID | None
    expire_time: datetime | None
    linked: bool
    code: str
    transaction_id: UUID
    reference: str
    effective_time: datetime
    book_time: datetime


@dataclass(frozen=True, slots=True)
class Booked:
    """A transfer in the books, with its place in the order of commits and, for a HOLD, its state."""

    transfer: Transfer
    seq: int
    actor: str
    hold_state: HoldState | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Reserved money. `end_transfer_id` is what posted or voided it."""

    id: UUID
    debit_account_id: UUID
    credit_account_id: UUID
    amount: Money
    expire_time: datetime | None
    state: HoldState = HoldState.HELD
    end_transfer_id: UUID | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account: what a transfer changed (positive came in) and the balance after it, in minor units."""

    account_id: UUID
    transfer_id: UUID
    amount_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """An entry with the facts of its transfer, as its owner reads it."""

    seq: int
    transfer_id: UUID
    transaction_id: UUID
    code: str
    amount: Money
    balance: Money
    book_time: datetime
    effective_time: datetime


class StreamCause(StrEnum):
    """Why a stream of a wallet ends."""

    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    SERVICE_STOPPING = "SERVICE_STOPPING"
    SESSION_ENDED = "SESSION_ENDED"
    LIFETIME_REACHED = "LIFETIME_REACHED"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """In a stream: nothing changed for a while."""

    time: datetime


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The last message of a stream."""

    cause: StreamCause


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """Totals of all accounts of one currency, kind and code. Sums may be larger than int64."""

    currency: str
    kind: AccountKind
    code: str
    account_count: int
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    inconsistent_count: int


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Every line of the books at one moment, by currency, kind and code."""

    time: datetime
    lines: tuple[BalanceLine, ...]


@dataclass(frozen=True, slots=True)
class Books:
    """What the database knows about the accounts, holds and ids that some steps name. `time` is its clock.

    `openable` holds accounts that may be opened on first use, by code and currency. `period_end` closes everything
    that counts before it. Holds that expired are among `holds` as HELD: `decide` releases them first.
    """

    time: datetime
    accounts: Mapping[UUID, Account]
    holds: Mapping[UUID, Hold] = field(default_factory=dict)
    transfers: Mapping[UUID, Transfer] = field(default_factory=dict)
    openable: Mapping[tuple[str, str], Account] = field(default_factory=dict)
    period_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a step. Accounts are as they stood after it; None when refused."""

    transfer_id: UUID
    result: Result
    refusal: Refusal | None = None
    field: str = ""
    debit_account: Account | None = None
    credit_account: Account | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict for each step in the same order, and what must be stored for them in one commit."""

    verdicts: tuple[Verdict, ...]
    transfers: tuple[Transfer, ...]
    entries: tuple[Entry, ...]
    opened: tuple[Account, ...]
    changed: tuple[Account, ...]
    holds_made: tuple[Hold, ...]
    holds_ended: tuple[Hold, ...]

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.transfers or self.changed or self.holds_ended)


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be loaded before steps can be decided."""

    account_ids: frozenset[UUID]
    codes: frozenset[str]
    hold_ids: frozenset[UUID]
    transfer_ids: frozenset[UUID]


def needs(steps: Iterable[Step]) -> Needs:
    """Everything that the steps name."""
    account_ids: set[UUID] = set()
    codes: set[str] = set()
    hold_ids: set[UUID] = set()
    transfer_ids: set[UUID] = set()
    for step in steps:
        transfer_ids.add(step.id)
        if step.hold_id is not None:
            hold_ids.add(step.hold_id)
        for key in (step.debit, step.credit):
            if isinstance(key, UUID):
                account_ids.add(key)
            elif key is not None:
                codes.add(key)
    return Needs(
        frozenset(account_ids), frozenset(codes), frozenset(hold_ids), frozenset(transfer_ids)
    )


def code_account(account_id: UUID, code: str, currency: str, time: datetime) -> Account:
    """A new system or external account. It is not protected: it may go below zero."""
    kind = AccountKind.EXTERNAL if code.startswith("EXTERNAL:") else AccountKind.SYSTEM
    return Account(account_id, kind, None, code, currency, code, protected=False, create_time=time)


def owned_account(
    account_id: UUID,
    kind: AccountKind,
    owner_id: UUID,
    currency: str,
    name: str,
    time: datetime,
) -> Account:
    """A new wallet of a person or a group. It is protected: it cannot go below zero."""
    assert kind in (AccountKind.USER, AccountKind.GROUP), "others have a code, not an owner"
    return Account(
        account_id, kind, owner_id, None, currency, name, protected=True, create_time=time
    )


def period_end_is_valid(end: datetime, *, last: datetime | None, now: datetime) -> bool:
    """Periods end in the past, and never before the last one that was closed."""
    return end <= now and (last is None or end >= last)


def is_same_account(one: Account, other: Account) -> bool:
    """Whether both are the same person's or group's wallet of one currency."""
    return (one.id, one.kind, one.owner_id, one.currency) == (
        other.id,
        other.kind,
        other.owner_id,
        other.currency,
    )


def decide(books: Books, steps: Sequence[Step]) -> Decision:
    """Judge the steps in their order; each sees what the ones before it did.

    Expired holds are released first. A chain (steps that say `linked`, and the one after them) is booked whole or not at all.
    """
    return _Judge(books).judge(steps)


class _Refused(Exception):
    """The step at hand is refused."""

    def __init__(self, refusal: Refusal, field: str = "") -> None:
        self.refusal, self.field = refusal, field


class _Judge:
    """The running state of one decision. A journal remembers what was replaced, so that a chain can be taken back."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._accounts: dict[UUID, Account] = dict(books.accounts)
        self._holds: dict[UUID, Hold] = dict(books.holds)
        self._transfers: dict[UUID, Transfer] = dict(books.transfers)
        self._codes: dict[tuple[str, str], UUID] = {
            (account.code, account.currency): account.id
            for account in books.accounts.values()
            if account.code is not None
        }
        self._booked: list[Transfer] = []
        self._entries: list[Entry] = []
        self._journal: list[tuple[dict[Any, Any], Any, Any]] = []

    def judge(self, steps: Sequence[Step]) -> Decision:
        """Everything, in order."""
        self._release_expired()
        verdicts: list[Verdict] = []
        start = 0
        while start < len(steps):
            end = start
            while steps[end].linked and end + 1 < len(steps):
                end += 1
            verdicts += self._chain(steps[start : end + 1])
            start = end + 1
        return self._decision(verdicts)

    def _chain(self, chain: Sequence[Step]) -> list[Verdict]:
        if chain[-1].linked:
            return _refused(chain, len(chain) - 1, _Refused(Refusal.CHAIN_OPEN))
        self._journal.clear()
        booked, entries = len(self._booked), len(self._entries)
        verdicts: list[Verdict] = []
        for index, step in enumerate(chain):
            try:
                verdicts.append(self._step(step))
            except _Refused as refused:
                for mapping, key, replaced in reversed(self._journal):
                    if replaced is None:
                        del mapping[key]
                    else:
                        mapping[key] = replaced
                del self._booked[booked:], self._entries[entries:]
                return _refused(chain, index, refused)
        return verdicts

    def _step(self, step: Step) -> Verdict:
        known = self._transfers.get(step.id)
        if known is not None:
            return self._repeated(step, known)
        _check_id_time(step.id, self._books.time)
        _check_amount(step)
        _check_form(step)
        if step.kind in (StepKind.POST, StepKind.HOLD):
            transfer = self._begin(step)
        else:
            transfer = self._end_hold(step)
        self._put(self._transfers, step.id, transfer)
        self._booked.append(transfer)
        return Verdict(
            step.id,
            Result.CREATED,
            debit_account=self._accounts[transfer.debit_account_id],
            credit_account=self._accounts[transfer.credit_account_id],
        )

    def _repeated(self, step: Step, known: Transfer) -> Verdict:
        differs = self._difference(step, known)
        if differs:
            raise _Refused(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, differs)
        return Verdict(
            step.id,
            Result.EXISTS,
            debit_account=self._accounts[known.debit_account_id],
            credit_account=self._accounts[known.credit_account_id],
        )

    def _difference(self, step: Step, known: Transfer) -> str:
        """The first field in which the step differs from what is booked under its id, or nothing."""
        if step.kind is not known.kind:
            return "kind"
        if step.hold_id != known.hold_id:
            return "hold_id"
        ends_hold = known.hold_id is not None
        hold = self._holds[known.hold_id] if known.hold_id is not None else None
        if ends_hold and step.debit is not None:
            return "debit"
        if not ends_hold and not self._is(step.debit, known.debit_account_id, known):
            return "debit"
        credit = step.credit
        if credit is None and hold is not None:
            credit = hold.credit_account_id
        if not self._is(credit, known.credit_account_id, known):
            return "credit"
        amount = step.amount
        if amount is None and hold is not None:
            amount = hold.amount
        if amount != known.amount:
            return "amount"
        for name in ("expire_time", "linked", "code", "transaction_id", "reference"):
            if getattr(step, name) != getattr(known, name):
                return name
        if (step.effective_time or known.book_time) != known.effective_time:
            return "effective_time"
        return ""

    def _is(self, key: AccountKey | None, account_id: UUID, known: Transfer) -> bool:
        account = self._account(key, known.amount.currency)
        return account is not None and account.id == account_id

    def _begin(self, step: Step) -> Transfer:
        """POST and HOLD."""
        assert step.amount is not None, "checked before"
        amount = step.amount
        if step.expire_time is not None and step.expire_time <= self._books.time:
            raise _Refused(Refusal.EXPIRE_TIME_PAST)
        debit = self._account(step.debit, amount.currency)
        if debit is None:
            raise _Refused(Refusal.DEBIT_ACCOUNT_NOT_FOUND)
        credit = self._account(step.credit, amount.currency)
        if credit is None:
            raise _Refused(Refusal.CREDIT_ACCOUNT_NOT_FOUND)
        if debit.id == credit.id:
            raise _Refused(Refusal.ACCOUNTS_SAME)
        if not debit.currency == credit.currency == amount.currency:
            raise _Refused(Refusal.CURRENCY_MISMATCH)
        effective_time = self._effective_time(step)
        if debit.frozen:
            raise _Refused(Refusal.ACCOUNT_FROZEN)
        _check_room(debit.debits_posted, debit.debits_pending, amount)
        _check_room(credit.credits_posted, credit.credits_pending, amount)
        if debit.protected and debit.available < amount.minor_units:
            raise _Refused(Refusal.INSUFFICIENT_FUNDS)
        transfer = _booked(step, debit.id, credit.id, amount, effective_time, self._books.time)
        if step.kind is StepKind.POST:
            self._move(transfer, debit, credit)
        else:
            self._reserve(debit, credit, amount.minor_units)
            hold = Hold(step.id, debit.id, credit.id, amount, step.expire_time)
            self._put(self._holds, hold.id, hold)
        return transfer

    def _end_hold(self, step: Step) -> Transfer:
        """POST_HOLD and VOID_HOLD."""
        assert step.hold_id is not None, "checked before"
        hold = self._holds.get(step.hold_id)
        if hold is None:
            raise _Refused(Refusal.HOLD_NOT_FOUND)
        if hold.state is not HoldState.HELD:
            raise _Refused(_ENDED[hold.state])
        amount = step.amount or hold.amount
        same_currency = amount.currency == hold.amount.currency
        if same_currency and amount.minor_units > hold.amount.minor_units:
            raise _Refused(Refusal.AMOUNT_EXCEEDS_HOLD)
        held_for = self._accounts[hold.credit_account_id]
        credit = held_for
        if step.credit is not None:
            named = self._account(step.credit, hold.amount.currency)
            if named is None:
                raise _Refused(Refusal.CREDIT_ACCOUNT_NOT_FOUND)
            credit = named
        if credit.id == hold.debit_account_id:
            raise _Refused(Refusal.ACCOUNTS_SAME)
        if not same_currency or credit.currency != hold.amount.currency:
            raise _Refused(Refusal.CURRENCY_MISMATCH)
        effective_time = self._effective_time(step)
        if credit.id != held_for.id:
            _check_room(credit.credits_posted, credit.credits_pending, amount)
        is_post = step.kind is StepKind.POST_HOLD
        transfer = _booked(
            step, hold.debit_account_id, credit.id, amount, effective_time, self._books.time
        )
        self._release(hold)
        if is_post:
            debit = self._accounts[hold.debit_account_id]
            self._move(transfer, debit, self._accounts.get(credit.id, credit))
        ended = replace(
            hold,
            state=HoldState.POSTED if is_post else HoldState.VOIDED,
            end_transfer_id=step.id,
            end_time=self._books.time,
        )
        self._put(self._holds, hold.id, ended)
        return transfer

    def _effective_time(self, step: Step) -> datetime:
        effective_time = step.effective_time or self._books.time
        if self._books.period_end is not None and effective_time < self._books.period_end:
            raise _Refused(Refusal.PERIOD_CLOSED)
        return effective_time

    def _account(self, key: AccountKey | None, currency: str) -> Account | None:
        if key is None or isinstance(key, UUID):
            return None if key is None else self._accounts.get(key)
        account_id = self._codes.get((key, currency))
        if account_id is not None:
            return self._accounts[account_id]
        return self._books.openable.get((key, currency))

    def _move(self, transfer: Transfer, debit: Account, credit: Account) -> None:
        minor = transfer.amount.minor_units
        debit = replace(debit, debits_posted=debit.debits_posted + minor)
        credit = replace(credit, credits_posted=credit.credits_posted + minor)
        self._keep(debit)
        self._keep(credit)
        self._entries += (
            Entry(debit.id, transfer.id, -minor, debit.balance),
            Entry(credit.id, transfer.id, minor, credit.balance),
        )

    def _reserve(self, debit: Account, credit: Account, minor: int) -> None:
        self._keep(replace(debit, debits_pending=debit.debits_pending + minor))
        self._keep(replace(credit, credits_pending=credit.credits_pending + minor))

    def _release(self, hold: Hold) -> None:
        self._reserve(
            self._accounts[hold.debit_account_id],
            self._accounts[hold.credit_account_id],
            -hold.amount.minor_units,
        )

    def _release_expired(self) -> None:
        now = self._books.time
        for hold in self._books.holds.values():
            if hold.state is HoldState.HELD and hold.expire_time and hold.expire_time <= now:
                self._release(hold)
                self._holds[hold.id] = replace(hold, state=HoldState.EXPIRED, end_time=now)

    def _keep(self, account: Account) -> None:
        if account.code is not None:
            self._put(self._codes, (account.code, account.currency), account.id)
        self._put(self._accounts, account.id, account)

    def _put(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        self._journal.append((mapping, key, mapping.get(key)))
        mapping[key] = value

    def _decision(self, verdicts: list[Verdict]) -> Decision:
        known = self._books.accounts
        return Decision(
            verdicts=tuple(verdicts),
            transfers=tuple(self._booked),
            entries=tuple(self._entries),
            opened=tuple(account for account in self._accounts.values() if account.id not in known),
            changed=tuple(
                replace(account, version=account.version + 1)
                for account in self._accounts.values()
                if account.id in known and account is not known[account.id]
            ),
            holds_made=tuple(
                hold for hold in self._holds.values() if hold.id not in self._books.holds
            ),
            holds_ended=tuple(
                hold
                for hold in self._holds.values()
                if hold.id in self._books.holds and hold is not self._books.holds[hold.id]
            ),
        )


_ENDED = {
    HoldState.POSTED: Refusal.HOLD_ALREADY_POSTED,
    HoldState.VOIDED: Refusal.HOLD_ALREADY_VOIDED,
    HoldState.EXPIRED: Refusal.HOLD_EXPIRED,
}


def _refused(chain: Sequence[Step], index: int, refused: _Refused) -> list[Verdict]:
    """The step at `index` is refused for its own reason, the others of its chain with it."""
    return [
        Verdict(step.id, Result.REFUSED, refused.refusal, refused.field)
        if position == index
        else Verdict(step.id, Result.REFUSED, Refusal.CHAIN_REFUSED)
        for position, step in enumerate(chain)
    ]


def _check_id_time(transfer_id: UUID, now: datetime) -> None:
    off_seconds = abs((transfer_id.int >> 80) / 1000 - now.timestamp())
    if off_seconds > ID_TIME_TOLERANCE.total_seconds():
        raise _Refused(Refusal.ID_TIME_OUT_OF_RANGE)


def _check_amount(step: Step) -> None:
    if step.amount is None:
        if step.kind in (StepKind.POST, StepKind.HOLD):
            raise _Refused(Refusal.AMOUNT_NOT_POSITIVE)
    elif step.amount.minor_units <= 0:
        raise _Refused(Refusal.AMOUNT_NOT_POSITIVE)


def _check_form(step: Step) -> None:
    """Every kind has its own fields: no other may be set, and what it needs must be."""
    if step.kind in (StepKind.POST, StepKind.HOLD):
        is_whole = step.debit is not None and step.credit is not None and step.hold_id is None
        is_whole = is_whole and (step.kind is StepKind.HOLD or step.expire_time is None)
    else:
        is_whole = step.hold_id is not None and step.debit is None and step.expire_time is None
        if step.kind is StepKind.VOID_HOLD:
            is_whole = is_whole and step.credit is None and step.amount is None
    if not is_whole:
        raise _Refused(Refusal.TRANSFER_MALFORMED)


def _check_room(posted: int, pending: int, amount: Money) -> None:
    """Posted and held money of one side together stay within int64, so a held amount can always be posted."""
    if posted + pending + amount.minor_units > INT64_MAX:
        raise _Refused(Refusal.AMOUNT_OVERFLOW)


def _booked(
    step: Step,
    debit_account_id: UUID,
    credit_account_id: UUID,
    amount: Money,
    effective_time: datetime,
    book_time: datetime,
) -> Transfer:
    return Transfer(
        id=step.id,
        kind=step.kind,
        debit_account_id=debit_account_id,
        credit_account_id=credit_account_id,
        amount=amount,
        hold_id=step.hold_id,
        expire_time=step.expire_time,
        linked=step.linked,
        code=step.code,
        transaction_id=step.transaction_id,
        reference=step.reference,
        effective_time=effective_time,
        book_time=book_time,
    )
