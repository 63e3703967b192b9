"""The jobs of the groups service. Each may run twice, and repeats harmlessly."""

from datetime import date, datetime
from uuid import UUID

from services.groups.operations import contributions, groups, invitations, reminders, withdrawals
from services.groups.operations.desk import Desk
from services.kit import idempotency
from services.kit.database import ALL_TENANTS
from services.kit.jobs import Jobs, RetryPolicy

__all__ = ["define"]

_UNTIL_DONE = RetryPolicy(pauses_seconds=(1, 2, 5, 15, 30, 60), forever=True)
_FOR_A_DAY = RetryPolicy(pauses_seconds=(2, 10, 60, 300, 900, *(3600,) * 24))


def define(jobs: Jobs, desk: Desk) -> None:
    """Tell the worker what the jobs do."""

    @jobs.task(groups.OPEN_JOB, retry=_UNTIL_DONE)
    async def open_group(tenant_id: str, group_id: str) -> None:
        await groups.open_group(desk, tenant_id, UUID(group_id))

    @jobs.task(contributions.CONTRIBUTION_JOB, retry=_UNTIL_DONE)
    async def contribution(tenant_id: str, contribution_id: str) -> None:
        await contributions.drive(desk, tenant_id, UUID(contribution_id))

    @jobs.task(withdrawals.WITHDRAWAL_JOB, retry=_UNTIL_DONE)
    async def withdrawal(tenant_id: str, withdrawal_id: str) -> None:
        await withdrawals.drive(desk, tenant_id, UUID(withdrawal_id))

    @jobs.task(withdrawals.EXPIRE_JOB, retry=_UNTIL_DONE)
    async def expire(tenant_id: str, withdrawal_id: str) -> None:
        await withdrawals.expire(desk, tenant_id, UUID(withdrawal_id))

    @jobs.task(invitations.INVITE_JOB, retry=_FOR_A_DAY)
    async def invite(tenant_id: str, invitation_id: str) -> None:
        await invitations.send_invitation(desk, tenant_id, UUID(invitation_id))

    @jobs.task(reminders.REMIND_JOB, retry=_UNTIL_DONE)
    async def remind(tenant_id: str, group_id: str, due_day: str, schedule_time: str) -> None:
        await reminders.remind(
            desk,
            tenant_id,
            UUID(group_id),
            due=date.fromisoformat(due_day),
            schedule_time=datetime.fromisoformat(schedule_time),
        )

    @jobs.periodic("groups.purge", "27 3 * * *")
    async def purge() -> None:
        before = desk.clock.now() - idempotency.KEPT
        async with desk.database.unit(ALL_TENANTS) as session:
            await idempotency.purge(session, before)
