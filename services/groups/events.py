"""What the groups service tells the others; comms makes messages of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from hazina.groups.v1 import (
    contribution_service_pb2,
    group_pb2,
    groups_events_pb2,
    withdrawal_service_pb2,
)
from hazina.type.v1 import money_pb2
from services.groups.domain import Contribution, Group, Invitation, Person, Withdrawal
from services.kit import outbox
from services.kit.database import Session

__all__ = [
    "APPROVAL_ASKED",
    "CONTRIBUTION_COMPLETED",
    "INVITATION_CREATED",
    "REMINDER_DUE",
    "WITHDRAWAL_DECIDED",
    "append_asked",
    "append_contribution",
    "append_decided",
    "append_invitation",
    "append_reminder",
]

INVITATION_CREATED = "groups.invitation.created"
CONTRIBUTION_COMPLETED = "groups.contribution.completed"
APPROVAL_ASKED = "groups.approval.asked"
WITHDRAWAL_DECIDED = "groups.withdrawal.decided"
REMINDER_DUE = "groups.reminder.due"

_SYSTEM = "service:groups"


async def append_invitation(
    session: Session, group: Group, made: Invitation, person: Person | None, *, actor: str
) -> None:
    """Somebody was invited."""
    payload = groups_events_pb2.InvitationCreated(
        invitation_id=str(made.id),
        group_id=str(group.id),
        group_name=group.name,
        inviter_user_id=str(made.inviter_id),
        inviter_name=made.inviter_name,
        user_id="" if person is None else str(person.user_id),
        role=group_pb2.Role.Kind.Value(made.role),
        expire_time=_time(made.expire_time),
    )
    await _append(session, INVITATION_CREATED, group, made.id, 1, payload, actor, made.create_time)


async def append_contribution(
    session: Session,
    group: Group,
    done: Contribution,
    officer_ids: Iterable[UUID],
    *,
    now: datetime,
) -> None:
    """A contribution has come."""
    payload = groups_events_pb2.ContributionCompleted(
        contribution_id=str(done.id),
        group_id=str(group.id),
        group_name=group.name,
        user_id=str(done.user_id),
        display_name=done.name,
        amount=_money(done.currency, done.amount_minor),
        method=contribution_service_pb2.Contribution.Method.Value(done.method),
        officer_user_ids=[str(one) for one in officer_ids if one != done.user_id],
    )
    actor = f"user:{done.user_id}"
    await _append(session, CONTRIBUTION_COMPLETED, group, done.id, 1, payload, actor, now)


async def append_asked(
    session: Session,
    group: Group,
    asked: Withdrawal,
    approver_ids: Sequence[UUID],
    *,
    actor: str,
    now: datetime,
) -> None:
    """A withdrawal waits for approvals."""
    payload = groups_events_pb2.ApprovalAsked(
        withdrawal_id=str(asked.id),
        group_id=str(group.id),
        group_name=group.name,
        requester_user_id=str(asked.requester_id),
        requester_name=asked.requester_name,
        amount=_money(asked.currency, asked.amount_minor),
        reason=asked.reason,
        approver_user_ids=[str(one) for one in approver_ids],
        expire_time=_time(asked.expire_time),
    )
    await _append(session, APPROVAL_ASKED, group, asked.id, asked.version, payload, actor, now)


async def append_decided(
    session: Session, group: Group, decided: Withdrawal, *, decider: str, actor: str, now: datetime
) -> None:
    """A withdrawal was approved or rejected, or its time is over."""
    payload = groups_events_pb2.WithdrawalDecided(
        withdrawal_id=str(decided.id),
        group_id=str(group.id),
        group_name=group.name,
        requester_user_id=str(decided.requester_id),
        amount=_money(decided.currency, decided.amount_minor),
        state=withdrawal_service_pb2.Withdrawal.State.Value(decided.state),
        decider_name=decider,
    )
    await _append(
        session, WITHDRAWAL_DECIDED, group, decided.id, decided.version, payload, actor, now
    )


async def append_reminder(
    session: Session,
    group: Group,
    debts: Sequence[tuple[UUID, int]],
    *,
    due: date,
    version: int,
    now: datetime,
) -> None:
    """A due day has come; person and what they owe."""
    payload = groups_events_pb2.ReminderDue(
        group_id=str(group.id),
        group_name=group.name,
        due_time=_time(datetime.combine(due, time(), UTC)),
        debts=[
            groups_events_pb2.ReminderDue.Debt(
                user_id=str(user_id), amount=_money(group.currency, owed)
            )
            for user_id, owed in debts
        ],
    )
    await _append(session, REMINDER_DUE, group, group.id, version, payload, _SYSTEM, now)


async def _append(
    session: Session,
    kind: str,
    group: Group,
    aggregate_id: UUID,
    version: int,
    payload: Message,
    actor: str,
    now: datetime,
) -> None:
    await outbox.append(
        session,
        type=kind,
        tenant_id=group.tenant_id,
        aggregate_id=str(aggregate_id),
        aggregate_version=version,
        payload=payload,
        actor=actor,
        occur_time=now,
    )


def _money(currency: str, minor_units: int) -> money_pb2.Money:
    return money_pb2.Money(currency=currency, minor_units=minor_units)


def _time(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
