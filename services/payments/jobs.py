"""The jobs of the payments service. Each may run twice, and repeats harmlessly."""

from datetime import timedelta
from uuid import UUID

from services.kit import idempotency
from services.kit.database import ALL_TENANTS
from services.kit.jobs import Jobs, RetryPolicy
from services.payments.operations import provider, steps
from services.payments.operations.desk import Desk

__all__ = ["define"]

_UNTIL_DONE = RetryPolicy(pauses_seconds=(1, 2, 5, 15, 30, 60), forever=True)


def define(jobs: Jobs, desk: Desk) -> None:
    """Tell the worker what the jobs do."""

    @jobs.task(steps.DRIVE_JOB, retry=_UNTIL_DONE)
    async def drive(tenant_id: str, transaction_id: str) -> None:
        await steps.resume(desk, tenant_id, UUID(transaction_id))

    @jobs.task(steps.ASK_JOB, retry=_UNTIL_DONE)
    async def ask(tenant_id: str, transaction_id: str, question: int | None, tries: int) -> None:
        await provider.ask(desk, tenant_id, UUID(transaction_id), question=question, tries=tries)

    @jobs.task(steps.CALLBACK_JOB, retry=_UNTIL_DONE)
    async def callback(callback_id: str) -> None:
        await provider.process_callback(desk, UUID(callback_id))

    @jobs.periodic("payments.sweep", "* * * * *")
    async def sweep() -> None:
        await steps.sweep(desk)

    @jobs.periodic("payments.purge", "17 3 * * *")
    async def purge() -> None:
        await provider.purge_callbacks(desk)
        before = desk.clock.now() - timedelta(days=idempotency.KEPT.days)
        async with desk.database.unit(ALL_TENANTS) as session:
            await idempotency.purge(session, before)
