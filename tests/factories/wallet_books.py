"""A ledger in memory: what the database does for `decide`, with plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.kit.money import DECIMALS, Money
from services.wallet import domain
from services.wallet.domain import (
    Account,
    AccountKind,
    Books,
    Decision,
    Entry,
    Hold,
    HoldState,
    Step,
    StepKind,
    Transfer,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def id_at(time: datetime, number: int) -> UUID:
    """An id with the shape of a UUIDv7 of this time; equal numbers make equal ids."""
    milliseconds = int(time.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (0b10 << 62) | number)


def step(kind: str, number: int = 0, **fields: Any) -> Step:
    """A step with the id of this number, made at START unless `id` is given."""
    if isinstance(fields.get("amount"), int):
        fields["amount"] = Money("KES", fields["amount"])
    fields.setdefault("id", id_at(START, number))
    fields.setdefault("code", "TRANSFER")
    fields.setdefault("transaction_id", id_at(START, 0))
    return Step(kind=StepKind(kind), **fields)


def wallet(number: int, *, currency: str = "KES", funds: int = 0, **fields: Any) -> Account:
    """A person's wallet with so much in it."""
    return Account(
        id=id_at(START, 1_000_000 + number),
        kind=AccountKind.USER,
        owner_id=id_at(START, 2_000_000 + number),
        code=None,
        currency=currency,
        name="Savings",
        protected=True,
        create_time=START,
        credits_posted=funds,
        **fields,
    )


@dataclass
class Memory:
    """Applies decisions, and loads for the next one exactly what its steps need, as the database does."""

    accounts: dict[UUID, Account] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    transfers: dict[UUID, Transfer] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    period_end: datetime | None = None
    time: datetime = START
    _opened: int = 0

    def open(self, *accounts: Account) -> None:
        """Add accounts as they are."""
        self.accounts |= {account.id: account for account in accounts}

    def pass_time(self, seconds: float) -> None:
        """Let the clock run."""
        self.time += timedelta(seconds=seconds)

    def post(self, *steps: Step) -> Decision:
        """Load, decide, save."""
        decision = domain.decide(self.load(steps), steps)
        self.save(decision)
        return decision

    def told(self, *steps: Step) -> list[str]:
        """The same; verdicts in words."""
        return [words(verdict) for verdict in self.post(*steps).verdicts]

    def load(self, steps: Sequence[Step]) -> Books:
        """What the steps name, with expired holds of touched accounts and the accounts on their other side."""
        needs = domain.needs(steps)
        holds = {one: self.holds[one] for one in needs.hold_ids if one in self.holds}
        touched = {*needs.account_ids}
        touched |= {one.id for one in self.accounts.values() if one.code in needs.codes}
        touched |= {one for hold in holds.values() for one in _sides(hold)}
        for hold in self.holds.values():
            is_due = hold.state is HoldState.HELD and hold.expire_time is not None
            is_due = is_due and hold.expire_time <= self.time  # type: ignore[operator]
            if is_due and touched & set(_sides(hold)):
                holds[hold.id] = hold
        touched |= {one for hold in holds.values() for one in _sides(hold)}
        accounts = {one: self.accounts[one] for one in touched if one in self.accounts}
        known = {(one.code, one.currency) for one in accounts.values()}
        return Books(
            time=self.time,
            accounts=accounts,
            holds=holds,
            transfers={
                one: self.transfers[one] for one in needs.transfer_ids if one in self.transfers
            },
            openable={
                (code, currency): self._openable(code, currency)
                for code in needs.codes
                for currency in DECIMALS
                if (code, currency) not in known
            },
            period_end=self.period_end,
        )

    def save(self, decision: Decision) -> None:
        """Store what was decided; nothing may be stored twice."""
        assert not {one.id for one in decision.transfers} & set(self.transfers)
        assert not {one.id for one in decision.opened} & set(self.accounts)
        self.accounts |= {one.id: one for one in (*decision.opened, *decision.changed)}
        self.holds |= {one.id: one for one in (*decision.holds_made, *decision.holds_ended)}
        self.transfers |= {one.id: one for one in decision.transfers}
        self.entries += decision.entries

    def by_code(self, code: str, currency: str = "KES") -> Account:
        """A system or external account that was opened."""
        [found] = [
            one for one in self.accounts.values() if (one.code, one.currency) == (code, currency)
        ]
        return found

    def _openable(self, code: str, currency: str) -> Account:
        self._opened += 1
        account_id = id_at(START, 3_000_000 + self._opened)
        return domain.code_account(account_id, code, currency, self.time)


def words(verdict: domain.Verdict) -> str:
    """CREATED, EXISTS, or the reason of the refusal with the field if one is named."""
    return f"{verdict.refusal or verdict.result} {verdict.field}".strip()


def _sides(hold: Hold) -> tuple[UUID, UUID]:
    return hold.debit_account_id, hold.credit_account_id
