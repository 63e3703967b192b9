"""The rules of groups: who may do what, who must approve, who is behind. No clock, no I/O.

Amounts are in minor units of the group's currency. Sources: the groups part of the design, money.md section 3.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

from services.groups.errors import (
    AlreadyDecided,
    ApprovalPolicyInvalid,
    ContributionStateInvalid,
    HoldExpired,
    LastOwner,
    RoleNotAllowed,
    WithdrawalNotApproved,
    WithdrawalStateInvalid,
)
from services.kit.clock import derived_id

INVITATION_LIFE = timedelta(days=7)
"""How long an invitation waits."""

WITHDRAWAL_LIFE = timedelta(hours=24)
"""How long a withdrawal waits to be approved and executed; its hold ends with it."""

REMINDERS_MAX = 500
"""How many debts one reminder event carries."""


# --- roles ------------------------------------------------------------------------------------------------------------


class Role(StrEnum):
    """A member's place in a group."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    TREASURER = "TREASURER"
    SECRETARY = "SECRETARY"
    MEMBER = "MEMBER"


class Right(Enum):
    """What a role allows. Seeing, contributing, asking for a withdrawal and leaving are every member's."""

    INVITE_MEMBERS = "invite members"
    INVITE_OFFICERS = "invite to any role below the owner"
    CHANGE_ROLES = "change roles below the owner, and take members out"
    CHANGE_OWNERS = "make, change and take out owners"
    CHANGE_GROUP = "change the group's name and rules"
    KEEP_CASH = "record cash for others, and confirm what others recorded"
    APPROVE = "approve and reject withdrawals"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right) - {Right.CHANGE_OWNERS},
    Role.TREASURER: frozenset({Right.KEEP_CASH}),
    Role.SECRETARY: frozenset({Right.INVITE_MEMBERS}),
    Role.MEMBER: frozenset(),
}
"""The one table of who may do what."""


def require(role: Role, right: Right) -> None:
    """Raises RoleNotAllowed."""
    if right not in RIGHTS[role]:
        raise RoleNotAllowed(role=role)


def may_approve(role: Role) -> bool:
    """Whether a member of this role has a say in withdrawals."""
    return Right.APPROVE in RIGHTS[role]


def require_invite(role: Role, invited: Role) -> None:
    """Raises RoleNotAllowed unless the role may invite somebody to the other one."""
    assert invited is not Role.OWNER, "the contract refuses to invite owners"
    require(role, Right.INVITE_MEMBERS if invited is Role.MEMBER else Right.INVITE_OFFICERS)


def require_change(role: Role, *, old: Role, new: Role | None) -> None:
    """Raises RoleNotAllowed unless the role may give a member of role `old` another one, or (None) take them out."""
    require(role, Right.CHANGE_OWNERS if Role.OWNER in (old, new) else Right.CHANGE_ROLES)


def keep_an_owner(old: Role, new: Role | None, *, owner_count: int) -> None:
    """Raises LastOwner if a change of one member's role leaves the group without an owner."""
    if old is Role.OWNER and new is not Role.OWNER and owner_count <= 1:
        raise LastOwner


# --- groups and members -----------------------------------------------------------------------------------------------


class PolicyKind(StrEnum):
    """How approvals are counted."""

    ALL_ADMINS = "ALL_ADMINS"
    QUORUM = "QUORUM"
    BY_AMOUNT = "BY_AMOUNT"


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """Up to this amount, so many approvals."""

    amount_minor_max: int
    approvals_needed: int


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who must approve withdrawals."""

    kind: PolicyKind = PolicyKind.ALL_ADMINS
    approvals_needed: int = 0
    steps: tuple[PolicyStep, ...] = ()

    def check(self) -> None:
        """Raises ApprovalPolicyInvalid."""
        if self.kind is PolicyKind.QUORUM and self.approvals_needed < 1:
            raise ApprovalPolicyInvalid("A quorum needs one approval at least.")
        if self.kind is PolicyKind.BY_AMOUNT and not self.steps:
            raise ApprovalPolicyInvalid("Approval by amount needs one step at least.")
        for lower, higher in zip(self.steps, self.steps[1:], strict=False):
            if (
                lower.amount_minor_max >= higher.amount_minor_max
                or lower.approvals_needed > higher.approvals_needed
            ):
                raise ApprovalPolicyInvalid("Steps must rise.")

    def required(self, amount_minor: int) -> int | None:
        """How many approvals an amount needs; None means every owner and admin."""
        if self.kind is PolicyKind.QUORUM:
            return self.approvals_needed
        if self.kind is PolicyKind.BY_AMOUNT:
            for step in self.steps:
                if amount_minor <= step.amount_minor_max:
                    return step.approvals_needed
        return None


class Period(StrEnum):
    """How often something is due."""

    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When members are to contribute: `due_day` is 1 (Monday) to 7, or 1 to 28 of the month."""

    amount_minor: int
    period: Period
    due_day: int


class ExitRule(StrEnum):
    """What happens to the contributions of who leaves."""

    PAY_OUT = "PAY_OUT"
    FORFEIT = "FORFEIT"


@dataclass(frozen=True, slots=True)
class Group:
    """People who save together. `schedule_time` is since when the schedule counts."""

    tenant_id: str
    id: UUID
    name: str
    description: str
    currency: str
    policy: ApprovalPolicy
    schedule: Schedule | None
    schedule_time: datetime | None
    exit_rule: ExitRule
    create_time: datetime
    is_open: bool = False  # it has its wallet
    version: int = 1

    @property
    def wallet_id(self) -> UUID:
        """The group's wallet: its id follows from the group's."""
        return derived_id(self.id, "wallet")

    @property
    def cash_account(self) -> str:
        """Where cash of the group is booked."""
        return f"SYSTEM:CASH:{self.id}"

    @property
    def etag(self) -> str:
        """Changes with every change of the group."""
        return f"v{self.version}"


class MemberState(StrEnum):
    """Whether a person belongs to the group. LEAVING waits for what they take along; only ACTIVE members count."""

    ACTIVE = "ACTIVE"
    LEAVING = "LEAVING"
    LEFT = "LEFT"


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a group, or one who was. Totals are those of all their time in it."""

    tenant_id: str
    group_id: UUID
    user_id: UUID
    name: str
    role: Role
    join_time: datetime
    state: MemberState = MemberState.ACTIVE
    contributed_minor: int = 0  # from wallets and by mobile money
    cash_minor: int = 0
    settled_minor: int = 0  # of what they contributed, what was settled when they left before
    base_minor: int = 0  # what they had contributed when the schedule began to count for them
    exit_id: UUID | None = None  # the payout that they leave with

    @property
    def total_minor(self) -> int:
        """All that they contributed, cash included."""
        return self.contributed_minor + self.cash_minor

    @property
    def exit_minor(self) -> int:
        """What they take along when contributions are paid out; cash is settled by hand."""
        return self.contributed_minor - self.settled_minor


def rejoined(before: Member, *, name: str, role: Role, now: datetime) -> Member:
    """Somebody who comes back: what they contributed then stays counted, and nothing of it is due or paid out again."""
    return replace(
        before,
        name=name,
        role=role,
        state=MemberState.ACTIVE,
        join_time=now,
        settled_minor=before.contributed_minor,
        base_minor=before.total_minor,
        exit_id=None,
    )


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as one of its members sees it."""

    group: Group
    role: Role
    member_count: int


# --- schedules --------------------------------------------------------------------------------------------------------


def due_days(schedule: Schedule, after: date, until: date) -> int:
    """How many due days lie after one day, up to and including another."""
    if until <= after:
        return 0
    if schedule.period is Period.WEEKLY:
        return _weeks(until, schedule.due_day) - _weeks(after, schedule.due_day)
    return _months(until, schedule.due_day) - _months(after, schedule.due_day)


def _weeks(day: date, due_day: int) -> int:
    return (
        day.toordinal() - due_day
    ) // 7  # the ordinal of a Monday is 1 more than a multiple of 7


def _months(day: date, due_day: int) -> int:
    return day.year * 12 + day.month - (day.day < due_day)


def behind_minor(group: Group, member: Member, until: date) -> int:
    """What was due up to and including a day and is not paid. Zero without a schedule, and for who paid ahead."""
    if group.schedule is None or group.schedule_time is None:
        return 0
    since = max(group.schedule_time, member.join_time).date()
    due_minor = group.schedule.amount_minor * due_days(group.schedule, since, until)
    return max(0, due_minor - (member.total_minor - member.base_minor))


def next_due(schedule: Schedule, after: date) -> date:
    """The first due day after a day."""
    day = after + timedelta(days=1)
    while not due_days(schedule, day - timedelta(days=1), day):
        day += timedelta(days=1)
    return day


# --- invitations ------------------------------------------------------------------------------------------------------


class InvitationState(StrEnum):
    """Where an invitation stands."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A place in a group that waits for a person. The identifier is an address in the form that auth keeps."""

    tenant_id: str
    id: UUID
    group_id: UUID
    identifier: str
    role: Role
    inviter_id: UUID
    inviter_name: str
    create_time: datetime
    expire_time: datetime
    state: InvitationState = InvitationState.PENDING
    user_id: UUID | None = None  # who accepted or declined

    def state_at(self, now: datetime) -> InvitationState:
        """Where it stands at a moment: what waits too long is over without anybody's doing."""
        if self.state is InvitationState.PENDING and now >= self.expire_time:
            return InvitationState.EXPIRED
        return self.state


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation as it is shown."""

    invitation: Invitation
    group_name: str
    member_count: int


_EMAIL = re.compile(r"^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+$")
_PHONE = re.compile(r"^\+[1-9]\d{6,14}$", re.ASCII)
_KENYAN = re.compile(r"^(?:(?:\+|00)?254|0)([17]\d{8})$", re.ASCII)
_SEPARATORS = re.compile(r"[\s().-]")


def parse_identifier(text: str) -> str | None:
    """An email address in lower case or a phone number in E.164 form; None for neither."""
    if "@" in text:
        email = text.strip().lower()
        return email if _EMAIL.match(email) else None
    digits = _SEPARATORS.sub("", text)
    if kenyan := _KENYAN.match(digits):
        return f"+254{kenyan[1]}"
    return digits if _PHONE.match(digits) else None


# --- contributions ----------------------------------------------------------------------------------------------------


class Method(StrEnum):
    """How a contribution is paid."""

    WALLET = "WALLET"
    MOBILE_MONEY = "MOBILE_MONEY"
    CASH = "CASH"


class ContributionState(StrEnum):
    """Where a contribution stands."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a member pays. Its id is also that of the transaction, but for cash."""

    tenant_id: str
    id: UUID
    group_id: UUID
    user_id: UUID
    name: str
    method: Method
    currency: str
    amount_minor: int
    recorder_id: UUID
    create_time: datetime
    state: ContributionState = ContributionState.PENDING
    source_wallet_id: UUID | None = None
    phone: str = ""
    booking_id: UUID | None = None  # cash: the ledger entry, once it is confirmed
    confirmer_id: UUID | None = None
    failure_reason: str = ""
    complete_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What payments says about a transaction. `reason` is why it failed."""

    state: str
    amount_minor: int
    reason: str = ""
    message: str = ""


_CONTRIBUTION_MOVES: Mapping[ContributionState, frozenset[str]] = {
    ContributionState.PENDING: frozenset({"COMPLETED", "FAILED", "REVERSED"}),
    ContributionState.FAILED: frozenset({"COMPLETED", "REVERSED"}),  # a provider's late success
    ContributionState.COMPLETED: frozenset({"REVERSED"}),
    ContributionState.REVERSED: frozenset(),
}


def contribution_after(before: Contribution, told: Told, now: datetime) -> Contribution:
    """The contribution after news of its transaction. News that is old or says that it still waits changes nothing."""
    if told.state not in _CONTRIBUTION_MOVES[before.state]:
        return before
    state = ContributionState(told.state)
    is_done = state is ContributionState.COMPLETED
    return replace(
        before,
        state=state,
        amount_minor=told.amount_minor if is_done else before.amount_minor,
        failure_reason=told.reason if state is ContributionState.FAILED else "",
        complete_time=now if is_done else before.complete_time,
    )


def counted_minor(contribution: Contribution) -> int:
    """What of a contribution counts in the totals."""
    is_there = contribution.state is ContributionState.COMPLETED
    return contribution.amount_minor if is_there else 0


def require_confirm(contribution: Contribution, user_id: UUID, role: Role) -> None:
    """Cash is confirmed by a second person: the member, or for what the member recorded one who keeps cash.

    Raises ContributionStateInvalid.
    """
    is_second = user_id != contribution.recorder_id
    is_member = user_id == contribution.user_id
    keeps = contribution.recorder_id == contribution.user_id and Right.KEEP_CASH in RIGHTS[role]
    if (
        contribution.method is not Method.CASH
        or contribution.state is not ContributionState.PENDING
        or not (is_second and (is_member or keeps))
    ):
        raise ContributionStateInvalid


# --- withdrawals ------------------------------------------------------------------------------------------------------


class State(StrEnum):
    """Where a withdrawal stands."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"


MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.FAILED}
    ),
    # Back to PENDING: who approved may not any more, or somebody must now who has not.
    State.APPROVED: frozenset(
        {State.PENDING, State.REJECTED, State.EXPIRED, State.CANCELLED, State.PROCESSING}
    ),
    # EXPIRED: the hold was over when payments came to it.
    State.PROCESSING: frozenset({State.COMPLETED, State.FAILED, State.EXPIRED, State.REVERSED}),
    State.FAILED: frozenset({State.COMPLETED, State.REVERSED}),  # a provider's late success
    State.COMPLETED: frozenset({State.REVERSED}),
    State.REVERSED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Every allowed change of state; all others are faults of ours."""

WAITING = frozenset({State.PENDING, State.APPROVED})
"""States that people and time may still change."""

FREE = frozenset({State.REJECTED, State.EXPIRED, State.CANCELLED, State.FAILED})
"""States in which nothing may be held for the withdrawal."""


class WithdrawalKind(StrEnum):
    """What a group pays out: what somebody asked for, or what a member takes along who leaves."""

    REQUEST = "REQUEST"
    EXIT = "EXIT"


class Decision(StrEnum):
    """What an owner or admin said."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Approval:
    """What one owner or admin said."""

    user_id: UUID
    name: str
    decision: Decision
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a payout goes, as it was asked for, and the wallet that this is; a phone has none."""

    wallet_id: UUID | None = None
    identifier: str = ""
    phone: str = ""
    named_wallet: bool = (
        False  # asked for by the wallet's id rather than by the person's identifier
    )


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A payout of a group. Its id is also that of the transaction. `required` None: every owner and admin."""

    tenant_id: str
    id: UUID
    group_id: UUID
    kind: WithdrawalKind
    requester_id: UUID
    requester_name: str
    currency: str
    amount_minor: int
    destination: Destination
    reason: str
    required: int | None
    create_time: datetime
    expire_time: datetime
    state: State = State.PENDING
    version: int = 0  # counts the events that were told, without gaps
    is_held: bool = False  # the hold was made; before, nobody sees the withdrawal
    is_free: bool = False  # the ledger has said that nothing is held any more
    failure_reason: str = ""

    @property
    def hold_id(self) -> UUID:
        """The ledger entry that reserves the money; not named as those that payments derives from the same id."""
        return derived_id(self.id, "group_hold")


def moved(withdrawal: Withdrawal, state: State, *, failure_reason: str = "") -> Withdrawal:
    """The withdrawal in its next state. A move that is not in `MOVES` is a fault of ours."""
    assert state in MOVES[withdrawal.state], f"{withdrawal.state} never becomes {state}"
    return replace(withdrawal, state=state, failure_reason=failure_reason)


def counting(approvals: Sequence[Approval], approver_ids: Collection[UUID]) -> Iterator[Approval]:
    """What was said by people who may approve now."""
    return (one for one in approvals if one.user_id in approver_ids)


def approvals_needed(withdrawal: Withdrawal, approver_ids: Collection[UUID]) -> int:
    """How many approvals a withdrawal needs, as owners and admins are now."""
    if withdrawal.kind is WithdrawalKind.EXIT:
        return 0
    return len(approver_ids) if withdrawal.required is None else withdrawal.required


def judged(
    withdrawal: Withdrawal, approvals: Sequence[Approval], approver_ids: Collection[UUID]
) -> Withdrawal:
    """A waiting withdrawal as its approvals make it: PENDING, APPROVED or REJECTED."""
    if withdrawal.state not in WAITING or withdrawal.kind is WithdrawalKind.EXIT:
        return withdrawal
    said = list(counting(approvals, approver_ids))
    if any(one.decision is Decision.REJECTED for one in said):
        return moved(withdrawal, State.REJECTED)
    is_approved = len(said) >= max(1, approvals_needed(withdrawal, approver_ids))
    state = State.APPROVED if is_approved else State.PENDING
    return withdrawal if state is withdrawal.state else moved(withdrawal, state)


def require_decision(
    withdrawal: Withdrawal,
    approvals: Sequence[Approval],
    user_id: UUID,
    decision: Decision,
    now: datetime,
) -> None:
    """Raises HoldExpired, WithdrawalStateInvalid or AlreadyDecided. A yes may become a no while nothing was executed."""
    _require_waiting(withdrawal, now)
    for one in approvals:
        if one.user_id == user_id and decision in (one.decision, Decision.APPROVED):
            raise AlreadyDecided


def require_cancel(withdrawal: Withdrawal, now: datetime) -> None:
    """Raises HoldExpired or WithdrawalStateInvalid."""
    _require_waiting(withdrawal, now)


def _require_waiting(withdrawal: Withdrawal, now: datetime) -> None:
    if is_over(withdrawal, now):
        raise HoldExpired
    if withdrawal.state not in WAITING:
        raise WithdrawalStateInvalid(state=withdrawal.state)


def require_execute(withdrawal: Withdrawal, now: datetime) -> None:
    """Raises HoldExpired or WithdrawalNotApproved."""
    if is_over(withdrawal, now):
        raise HoldExpired
    if withdrawal.state is not State.APPROVED:
        raise WithdrawalNotApproved(state=withdrawal.state)


def is_over(withdrawal: Withdrawal, now: datetime) -> bool:
    """Whether its time is over, or was when it ended."""
    if withdrawal.state in WAITING:
        return now >= withdrawal.expire_time
    return withdrawal.state is State.EXPIRED


_HOLD_WAS_OVER = frozenset({"HOLD_EXPIRED", "TRANSACTION_TOO_OLD"})
_PAYOUT_AFTER = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "REVERSED": State.REVERSED,
}


def withdrawal_after(before: Withdrawal, told: Told) -> Withdrawal:
    """The withdrawal after news of its payout. News that is old or says that it is on its way changes nothing."""
    state = _PAYOUT_AFTER.get(told.state)
    if state is State.FAILED and told.reason in _HOLD_WAS_OVER:
        state = State.EXPIRED
    if state is None or before.state in WAITING or state not in MOVES[before.state]:
        return before
    reason = told.reason if state in (State.FAILED, State.EXPIRED) else ""
    return moved(before, state, failure_reason=reason)


@dataclass(frozen=True, slots=True)
class WithdrawalView:
    """A withdrawal with what counts of what was said."""

    withdrawal: Withdrawal
    approvals: tuple[Approval, ...]
    needed: int


# --- totals -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """What a group got and paid."""

    group_id: UUID
    currency: str
    contributed_minor: int = 0
    cash_minor: int = 0
    paid_out_minor: int = 0
    own_minor: int = 0
    available_minor: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the tenant, as the directory knows them. Identifiers are verified; each may be empty."""

    user_id: UUID
    name: str
    email: str = ""
    phone: str = ""
    locale: str = "en"

    @property
    def identifiers(self) -> frozenset[str]:
        """Under which addresses an invitation reaches them."""
        return frozenset({self.email, self.phone} - {""})


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet of the tenant, as the ledger knows it."""

    id: UUID
    owner_id: UUID
    currency: str
    is_group: bool
    available_minor: int
