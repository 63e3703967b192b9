"""Random histories of a ledger.

They are drawn from a seed, with an eye on the books as they stand, so that most steps meet something: a hold to end, an id
to repeat, an amount on the edge of what is available. A failing seed is the whole report: run it again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.kit.money import INT64_MAX as LIMIT
from services.kit.money import Money
from services.wallet.domain import AccountKey, Step, StepKind
from tests.factories.wallet_books import START, Memory, id_at, wallet

WALLETS = (
    wallet(1, funds=1000),
    wallet(2, funds=50),
    wallet(3, funds=LIMIT - 100),
    wallet(4, currency="BTC", funds=700),
    wallet(5, funds=500, frozen=True),
)
RICH, POOR, FULL, COINS, ICE = (one.id for one in WALLETS)
NOBODY = id_at(START, 99)
MPESA, FEES = "EXTERNAL:mpesa", "SYSTEM:FEES"
KEYS: tuple[AccountKey, ...] = (RICH, POOR, FULL, COINS, ICE, NOBODY, MPESA, FEES)
PERIOD_END = START - timedelta(days=2)


class History:
    """Random batches for one ledger in memory."""

    def __init__(self, seed: int, *, second: timedelta = timedelta(seconds=1)) -> None:
        self._second = second
        self.random = random.Random(seed)
        self.memory = Memory()
        self.memory.open(*WALLETS)
        if self.random.random() < 0.3:
            self.memory.period_end = PERIOD_END
        self._number = 100
        self._sent: list[Step] = []

    def batches(self) -> Iterator[list[Step]]:
        """Let time pass before each batch; whoever takes it must post it before the next one is drawn."""
        for _ in range(self.random.randint(3, 12)):
            self.memory.pass_time(self.random.choice([0, 0, 1, 60, 60, 4000]))
            batch = [self._step() for _ in range(self.random.randint(1, 5))]
            self._sent += batch
            yield batch

    def _step(self) -> Step:
        chance = self.random.random()
        if self._sent and chance < 0.08:
            return self.random.choice(self._sent)
        if self._sent and chance < 0.14:
            return self._changed(self.random.choice(self._sent))
        kind = self.random.choices([*StepKind], [4, 4, 3, 1])[0]
        step = self._begins(kind) if kind in (StepKind.POST, StepKind.HOLD) else self._ends(kind)
        if self.random.random() < 0.05:
            step = self._changed(step)
        return replace(step, linked=self.random.random() < 0.15)

    def _begins(self, kind: StepKind) -> Step:
        debit = self.random.choices(KEYS, [9, 4, 2, 1, 1, 1, 4, 1])[0]
        credit = self.random.choices(KEYS, [6, 5, 3, 1, 2, 1, 4, 3])[0]
        currency = "BTC" if COINS in (debit, credit) else "KES"
        if self.random.random() < 0.04:
            currency = self.random.choice(["KES", "BTC"])
        expire_time = None
        if kind is StepKind.HOLD and self.random.random() < 0.6:
            seconds = self.random.choice([0, 1, 60, 60, 60, 61])
            expire_time = self.memory.time + seconds * self._second
        amounts = [1, 10, 40, 50, 300, *self._edges(debit), *self._edges(credit)]
        return Step(
            id=self._id(),
            kind=kind,
            code="TRANSFER",
            transaction_id=NOBODY,
            debit=debit,
            credit=credit,
            amount=Money(currency, max(-5, min(LIMIT, self.random.choice(amounts)))),
            expire_time=expire_time,
            effective_time=self._effective(),
        )

    def _ends(self, kind: StepKind) -> Step:
        holds = [
            step
            for step in self._sent
            if step.id in self.memory.holds or self.random.random() < 0.03
        ]
        hold = self.random.choice(holds) if holds else None
        amount = credit = None
        if kind is StepKind.POST_HOLD and hold is not None and hold.amount is not None:
            whole = hold.amount.minor_units
            if self.random.random() < 0.6:
                edge = self.random.choice([whole, whole - 1, min(LIMIT, whole + 1), 1, whole // 2])
                currency = hold.amount.currency if self.random.random() < 0.9 else "USD"
                amount = Money(currency, edge)
            if self.random.random() < 0.5:
                credit = self.random.choice((*KEYS, FULL))
        return Step(
            id=self._id(),
            kind=kind,
            code="TRANSFER",
            transaction_id=NOBODY,
            credit=credit,
            amount=amount,
            hold_id=NOBODY if hold is None or self.random.random() < 0.05 else hold.id,
            effective_time=self._effective(),
        )

    def _edges(self, key: AccountKey) -> list[int]:
        """Amounts on the edge of what an account can give or take."""
        account = self.memory.accounts.get(key) if isinstance(key, UUID) else None
        if account is None:
            return [0, -5] if self.random.random() < 0.1 else []
        room = LIMIT - account.credits_posted - account.credits_pending
        return [account.available, account.available + 1, room, room + 1, account.available // 2]

    def _effective(self) -> Any:
        if self.random.random() < 0.85:
            return None
        offset = self.random.choice([0, -1, 1])
        return PERIOD_END + timedelta(microseconds=offset)

    def _id(self) -> UUID:
        self._number += 1
        days = self.random.choices([0, -3, 3, -0.99], [40, 1, 1, 2])[0]
        return id_at(self.memory.time + timedelta(days=days), self._number)

    def _changed(self, step: Step) -> Step:
        """The same step with one field set otherwise."""
        changes: list[tuple[str, Any]] = [
            ("kind", self.random.choice([*StepKind])),
            ("debit", self.random.choice([None, RICH, FEES])),
            ("credit", self.random.choice([None, POOR, FEES])),
            ("amount", self.random.choice([None, Money("KES", 7), Money("BTC", 10)])),
            ("hold_id", self.random.choice([None, NOBODY])),
            ("expire_time", self.random.choice([None, START + timedelta(hours=9)])),
            ("linked", not step.linked),
            ("code", "FEE"),
            ("transaction_id", RICH),
            ("reference", "SGR7X1"),
            ("effective_time", self.random.choice([None, START])),
        ]
        name, value = self.random.choice(changes)
        return replace(step, **{name: value})
