"""Posting: load, decide, save, in one transaction, one at a time.

A call waits for its turn (first come, first served) and works in a task of its own, so that a caller that goes away can
neither cut short what has begun nor hold up others: before its turn it is dropped, afterwards it is finished.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from services.kit.clock import Clock
from services.kit.crash import reach
from services.kit.database import ALL_TENANTS, Database
from services.kit.errors import DeadlineExceeded, ServiceUnavailable
from services.kit.money import DECIMALS
from services.wallet import domain, store
from services.wallet.domain import Account, Books, Decision, Needs, Step, Verdict

_DUE_MAX = 1000


class Ledger:
    """The writer of this process. Several processes take turns by the lock of the shard."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[tuple[Verdict, ...]]] = set()

    async def post(
        self,
        tenant_id: str,
        actor: str,
        steps: Sequence[Step],
        *,
        remaining_seconds: Callable[[], float | None] = lambda: None,
    ) -> tuple[Verdict, ...]:
        """Judge and book the steps in their order; a verdict for each.

        Raises DeadlineExceeded when the deadline passes before its turn (then nothing happened), and
        ServiceUnavailable when the database cannot be reached: then repeating it, with the same ids, tells what happened.
        """
        has_left = False

        def is_late() -> bool:
            return has_left or remaining_seconds() == 0

        work = asyncio.create_task(
            self._post(tenant_id, actor, steps, domain.needs(steps), is_late=is_late)
        )
        self._under_way.add(work)
        work.add_done_callback(self._is_done)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            has_left = True
            raise

    async def release_due(self) -> int:
        """Release holds that have expired and that nothing has touched since; answers how many accounts had some."""
        async with self._database.unit(ALL_TENANTS, actor="system") as session:
            due = await store.list_due(session, limit=_DUE_MAX)
        by_tenant: dict[str, set[UUID]] = defaultdict(set)
        for tenant_id, account_id in due:
            by_tenant[tenant_id].add(account_id)
        for tenant_id, account_ids in by_tenant.items():
            needs = Needs(frozenset(account_ids), frozenset(), frozenset(), frozenset())
            await self._post(tenant_id, "system", (), needs, is_late=lambda: False)
        return len(due)

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _is_done(self, work: asyncio.Task[tuple[Verdict, ...]]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            work.exception()  # its caller may be gone; nobody else asks

    async def _post(
        self,
        tenant_id: str,
        actor: str,
        steps: Sequence[Step],
        needs: Needs,
        *,
        is_late: Callable[[], bool],
    ) -> tuple[Verdict, ...]:
        async with self._turn:
            if is_late():
                raise DeadlineExceeded
            saved: Decision | None = None
            try:
                async with self._database.unit(tenant_id, actor=actor) as session:
                    await store.lock_shard(session)
                    if is_late():
                        raise DeadlineExceeded
                    books = self._with_openable(
                        await store.load(session, tenant_id, needs), needs.codes
                    )
                    decision = domain.decide(books, steps)
                    if not decision.changes_nothing:
                        await store.save(session, tenant_id, actor, decision)
                        saved = decision
                    reach("wallet.post.before_commit")
            except ServiceUnavailable:
                if saved is None or not await self._is_committed(tenant_id, saved):
                    raise
                return saved.verdicts
            reach("wallet.post.after_commit")
            return decision.verdicts

    def _with_openable(self, books: Books, codes: frozenset[str]) -> Books:
        """Offer an account for each code and currency that has none."""
        if not codes:
            return books
        known = {(account.code, account.currency) for account in books.accounts.values()}
        openable: dict[tuple[str, str], Account] = {
            (code, currency): domain.code_account(self._clock.new_id(), code, currency, books.time)
            for code in codes
            for currency in DECIMALS
            if (code, currency) not in known
        }
        return replace(books, openable=openable)

    async def _is_committed(self, tenant_id: str, decision: Decision) -> bool:
        """After a commit whose answer was lost: read the ids back, behind whatever still works on them."""
        ids = [transfer.id for transfer in decision.transfers]
        if not ids:
            return (
                False  # only expired holds were released; repeating does it again or finds it done
            )
        async with self._database.unit(tenant_id, actor="system") as session:
            await store.lock_shard(session)
            return len(await store.read_booked(session, tenant_id, ids)) == len(ids)
