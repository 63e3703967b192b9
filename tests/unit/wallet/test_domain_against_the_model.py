"""The decision function and the reference model, driven by the same random histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.wallet.domain import HoldState, Refusal, Step, StepKind
from tests.factories.wallet_books import Memory, words
from tests.factories.wallet_history import WALLETS, History
from tests.unit.wallet.reference_model import LIMIT, Holder, Model

SEEDS = st.integers(0, 2**32)


@settings(max_examples=250, deadline=None)
@given(seed=SEEDS)
def test_every_verdict_and_every_balance_is_that_of_the_model(seed: int) -> None:
    history = History(seed)
    memory = history.memory
    model = Model(
        holders={one.id: Holder(one.currency, one.protected, one.frozen) for one in WALLETS},
        funds={one.id: one.credits_posted for one in WALLETS},
        period_end=memory.period_end,
    )
    for batch in history.batches():
        decision = memory.post(*batch)
        assert [words(one) for one in decision.verdicts] == model.apply(batch, memory.time)
        for account in memory.accounts.values():
            key = account.id if account.code is None else (account.code, account.currency)
            out, came_in, going, coming = model.totals(key, memory.time)
            late_debits, late_credits = _unreleased(memory, account.id)
            assert (account.debits_posted, account.credits_posted) == (out, came_in)
            assert account.debits_pending == going + late_debits
            assert account.credits_pending == coming + late_credits


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_whatever_happens_the_books_balance_and_nobody_is_overdrawn(seed: int) -> None:
    history = History(seed)
    memory = history.memory
    for batch in history.batches():
        memory.post(*batch)
        for account in memory.accounts.values():
            assert not account.protected or account.available >= 0
            assert 0 <= account.debits_posted + account.debits_pending <= LIMIT
            assert 0 <= account.credits_posted + account.credits_pending <= LIMIT
    per_transfer: Counter[UUID] = Counter()
    balances = {one.id: one.credits_posted for one in WALLETS}
    for entry in memory.entries:
        per_transfer[entry.transfer_id] += entry.amount_minor
        balances[entry.account_id] = balances.get(entry.account_id, 0) + entry.amount_minor
        assert entry.balance_minor == balances[entry.account_id]
    assert not any(per_transfer.values())
    posted = {
        one.id
        for one in memory.transfers.values()
        if one.kind in (StepKind.POST, StepKind.POST_HOLD)
    }
    assert set(per_transfer) == posted
    assert len(memory.entries) == 2 * len(posted)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_what_was_created_exists_when_it_is_sent_again_and_changes_nothing(seed: int) -> None:
    history = History(seed)
    memory = history.memory
    for batch in history.batches():
        decision = memory.post(*batch)
        for chain, verdicts in _chains(batch, decision.verdicts):
            if any(verdict.refusal for verdict in verdicts):
                continue
            later = replace_time(memory, days=40)  # an id that is known stays known
            again = later.post(*chain)
            assert [words(one) for one in again.verdicts] == ["EXISTS"] * len(chain)
            assert not again.transfers and not again.entries and not again.opened


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_a_chain_happens_whole_or_not_at_all(seed: int) -> None:
    history = History(seed)
    memory = history.memory
    for batch in history.batches():
        before = set(memory.transfers)
        decision = memory.post(*batch)
        created: set[UUID] = set()
        for chain, verdicts in _chains(batch, decision.verdicts):
            refused = [one.refusal for one in verdicts if one.refusal is not None]
            if refused:
                assert len(refused) == len(chain)
                to_blame = [one for one in refused if one is not Refusal.CHAIN_REFUSED]
                assert len(to_blame) == 1
            else:
                created |= {step.id for step in chain} - before
        assert {one.id for one in decision.transfers} == created


def replace_time(memory: Memory, *, days: int) -> Memory:
    """A copy of the ledger, some days later."""
    return replace(
        memory,
        accounts=dict(memory.accounts),
        holds=dict(memory.holds),
        transfers=dict(memory.transfers),
        entries=list(memory.entries),
        time=memory.time + timedelta(days=days),
    )


def _chains(batch: list[Step], verdicts: Any) -> Iterator[tuple[list[Step], list[Any]]]:
    chain: list[Step] = []
    told: list[Any] = []
    for step, verdict in zip(batch, verdicts, strict=True):
        chain.append(step)
        told.append(verdict)
        if not step.linked:
            yield chain, told
            chain, told = [], []
    if chain:
        yield chain, told


def _unreleased(memory: Memory, account_id: UUID) -> tuple[int, int]:
    """Expired holds that no batch has touched since: still pending, until the next one or the job releases them."""
    due = [
        hold
        for hold in memory.holds.values()
        if hold.state is HoldState.HELD and hold.expire_time and hold.expire_time <= memory.time
    ]
    return (
        sum(hold.amount.minor_units for hold in due if hold.debit_account_id == account_id),
        sum(hold.amount.minor_units for hold in due if hold.credit_account_id == account_id),
    )
