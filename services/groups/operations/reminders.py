"""Reminders: on each due day, who has not paid all that is due. A chain of jobs, one for each group with a schedule."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from services.groups import domain, events
from services.groups.domain import REMINDERS_MAX, Group
from services.groups.operations.desk import Desk
from services.groups.store import groups as store
from services.kit.database import Session

__all__ = ["REMIND_JOB", "plan", "remind"]

REMIND_JOB = "groups.remind"
_HOUR = 6  # UTC: nine in the morning in Nairobi


async def plan(desk: Desk, session: Session, group: Group, *, after: date | None = None) -> None:
    """Have members reminded on the first due day after a day (by default today)."""
    if group.schedule is None or group.schedule_time is None:
        return
    due = domain.next_due(group.schedule, after or desk.clock.now().date())
    await desk.jobs.defer(
        session,
        REMIND_JOB,
        run_at=datetime.combine(due, time(_HOUR), UTC),
        tenant_id=group.tenant_id,
        group_id=str(group.id),
        due_day=due.isoformat(),
        schedule_time=group.schedule_time.isoformat(),
    )


async def remind(
    desk: Desk, tenant_id: str, group_id: UUID, *, due: date, schedule_time: datetime
) -> None:
    """The job: tell who is behind, with a fixed number of queries, and plan the next due day.

    A schedule that was changed since has jobs of its own.
    """
    async with desk.database.unit(tenant_id) as session:
        group = await store.find_group(session, group_id, lock=True)
        assert group is not None, "groups are never deleted"
        if group.schedule_time != schedule_time:
            return
        number = await store.mark_reminded(session, group_id, due)
        if number is None:
            return  # a twin of this job was faster
        now = desk.clock.now()
        members = await store.list_members(session, group_id)
        debts = [
            (member.user_id, owed)
            for member in members
            if (owed := domain.behind_minor(group, member, due)) > 0
        ]
        parts = [
            debts[start : start + REMINDERS_MAX] for start in range(0, len(debts), REMINDERS_MAX)
        ]
        for place, part in enumerate(parts):
            await events.append_reminder(
                session, group, part, due=due, version=number + place, now=now
            )
        if len(parts) > 1:
            await store.number_reminders(session, group_id, len(parts) - 1)
        await plan(desk, session, group, after=max(due, now.date() - timedelta(days=1)))
