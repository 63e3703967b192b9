"""The ledger once more, as simply as it can be said, to compare with.

Nothing is kept but the history of what was accepted: every balance is summed up anew whenever it is needed, and a chain is
tried on a copy. Slow, and easy to read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from services.wallet.domain import Step

LIMIT = 2**63 - 1


class Fact(NamedTuple):
    """Something that was accepted: who gives, who gets, how much, in which currency."""

    step: Step
    debit: object
    credit: object
    amount: int
    currency: str
    time: datetime


class Holder(NamedTuple):
    """What the model must know of an account."""

    currency: str
    protected: bool
    frozen: bool


@dataclass
class Model:
    """The history, and the accounts that exist. System and external accounts are named (code, currency)."""

    holders: dict[object, Holder]
    funds: dict[object, int] = field(default_factory=dict)
    history: list[Fact] = field(default_factory=list)
    period_end: datetime | None = None

    def apply(self, steps: Sequence[Step], now: datetime) -> list[str]:
        """Verdicts in words."""
        told: list[str] = []
        chain: list[Step] = []
        for step in steps:
            chain.append(step)
            if not step.linked:
                told += self._chain(chain, now)
                chain = []
        return told + ["CHAIN_REFUSED"] * (len(chain) - 1) + ["CHAIN_OPEN"] * bool(chain)

    def _chain(self, chain: list[Step], now: datetime) -> list[str]:
        trial = copy.copy(self)
        trial.history = list(self.history)
        told: list[str] = []
        for index, step in enumerate(chain):
            verdict = trial._one(step, now)
            if verdict not in ("CREATED", "EXISTS"):
                others = ["CHAIN_REFUSED"] * len(chain)
                return [*others[:index], verdict, *others[index + 1 :]]
            told.append(verdict)
        self.history = trial.history
        return told

    def _one(self, step: Step, now: datetime) -> str:
        for fact in self.history:
            if fact.step.id == step.id:
                return self._again(step, fact)
        refusal = next(self._refusals(step, now), None)
        if refusal:
            return refusal
        debit, credit, amount, currency = self._meant(step)
        self.history.append(Fact(step, debit, credit, amount, currency, now))
        return "CREATED"

    def _again(self, step: Step, fact: Fact) -> str:
        first = fact.step
        if step.kind != first.kind:
            return "EXISTS_WITH_DIFFERENT_CONTENT kind"
        if step.hold_id != first.hold_id:
            return "EXISTS_WITH_DIFFERENT_CONTENT hold_id"
        if step.hold_id and step.debit is not None:
            return "EXISTS_WITH_DIFFERENT_CONTENT debit"
        debit, credit, amount, currency = self._meant(step, code_currency=fact.currency)
        pairs = {
            "debit": (debit, fact.debit),
            "credit": (credit, fact.credit),
            "amount": ((amount, currency), (fact.amount, fact.currency)),
            "expire_time": (step.expire_time, first.expire_time),
            "linked": (step.linked, first.linked),
            "code": (step.code, first.code),
            "transaction_id": (step.transaction_id, first.transaction_id),
            "reference": (step.reference, first.reference),
            "effective_time": (step.effective_time or fact.time, first.effective_time or fact.time),
        }
        for name, (now_said, said) in pairs.items():
            if now_said != said:
                return f"EXISTS_WITH_DIFFERENT_CONTENT {name}"
        return "EXISTS"

    def _refusals(self, step: Step, now: datetime) -> Iterator[str]:
        """Every reason that applies, in order."""
        age = now.timestamp() - (step.id.int >> 80) / 1000
        if abs(age) > timedelta(days=1).total_seconds():
            yield "ID_TIME_OUT_OF_RANGE"
        begins = step.kind in ("POST", "HOLD")
        if (step.amount is None and begins) or (step.amount and step.amount.minor_units <= 0):
            yield "AMOUNT_NOT_POSITIVE"
        given = {
            name
            for name in ("debit", "credit", "hold_id", "expire_time", "amount")
            if getattr(step, name) is not None
        }
        needed, allowed = {
            "POST": ({"debit", "credit"}, {"amount"}),
            "HOLD": ({"debit", "credit"}, {"amount", "expire_time"}),
            "POST_HOLD": ({"hold_id"}, {"credit", "amount"}),
            "VOID_HOLD": ({"hold_id"}, set()),
        }[step.kind]
        if not needed <= given <= needed | allowed:
            yield "TRANSFER_MALFORMED"
            return
        held = self._hold(step.hold_id)
        if step.hold_id and (held is None or held.step.kind != "HOLD"):
            yield "HOLD_NOT_FOUND"
            return
        if held:
            state = self.state(held, now)
            if state != "HELD":
                yield {"POSTED": "HOLD_ALREADY_POSTED", "VOIDED": "HOLD_ALREADY_VOIDED"}.get(
                    state, "HOLD_EXPIRED"
                )
        debit, credit, amount, currency = self._meant(step)
        if held and currency == held.currency and amount > held.amount:
            yield "AMOUNT_EXCEEDS_HOLD"
        if step.expire_time and step.expire_time <= now:
            yield "EXPIRE_TIME_PAST"
        if not self._exists(debit):
            yield "DEBIT_ACCOUNT_NOT_FOUND"
            return
        if not self._exists(credit):
            yield "CREDIT_ACCOUNT_NOT_FOUND"
            return
        if debit == credit:
            yield "ACCOUNTS_SAME"
        if not self._holder(debit).currency == self._holder(credit).currency == currency:
            yield "CURRENCY_MISMATCH"
        if self.period_end and (step.effective_time or now) < self.period_end:
            yield "PERIOD_CLOSED"
        if begins and self._holder(debit).frozen:
            yield "ACCOUNT_FROZEN"
        grows = [debit, credit] if begins else [credit] if held and credit != held.credit else []
        for account in grows:
            out, came_in, going, coming = self.totals(account, now)
            used = out + going if account == debit else came_in + coming
            if used + amount > LIMIT:
                yield "AMOUNT_OVERFLOW"
        out, came_in, going, _ = self.totals(debit, now)
        if begins and self._holder(debit).protected and came_in - out - going < amount:
            yield "INSUFFICIENT_FUNDS"

    def totals(self, account: object, now: datetime) -> tuple[int, int, int, int]:
        """Posted debits, posted credits, held debits, held credits."""
        out = going = coming = 0
        came_in = self.funds.get(account, 0)
        for fact in self.history:
            if fact.step.kind in ("POST", "POST_HOLD"):
                out += fact.amount * (fact.debit == account)
                came_in += fact.amount * (fact.credit == account)
            if fact.step.kind == "HOLD" and self.state(fact, now) == "HELD":
                going += fact.amount * (fact.debit == account)
                coming += fact.amount * (fact.credit == account)
        return out, came_in, going, coming

    def state(self, held: Fact, now: datetime) -> str:
        """What has become of a hold."""
        for fact in self.history:
            if fact.step.hold_id == held.step.id:
                return {"POST_HOLD": "POSTED", "VOID_HOLD": "VOIDED"}[fact.step.kind]
        is_over = held.step.expire_time is not None and held.step.expire_time <= now
        return "EXPIRED" if is_over else "HELD"

    def _hold(self, hold_id: UUID | None) -> Fact | None:
        return next((fact for fact in self.history if fact.step.id == hold_id), None)

    def _meant(
        self, step: Step, code_currency: str | None = None
    ) -> tuple[object, object, int, str]:
        """Giver, getter, amount and currency that a step stands for."""
        held = self._hold(step.hold_id)
        amount = step.amount.minor_units if step.amount else held.amount if held else 0
        currency = step.amount.currency if step.amount else held.currency if held else ""
        named = code_currency or (held.currency if held else currency)
        debit = held.debit if held else self._named(step.debit, named)
        credit = self._named(step.credit, named) if step.credit or not held else held.credit
        return debit, credit, amount, currency

    @staticmethod
    def _named(key: object, currency: str) -> object:
        return (key, currency) if isinstance(key, str) else key

    def _exists(self, account: object) -> bool:
        return account in self.holders or isinstance(account, tuple)

    def _holder(self, account: object) -> Holder:
        if isinstance(account, tuple):
            return Holder(account[1], protected=False, frozen=False)
        return self.holders[account]
