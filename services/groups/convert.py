"""Between the contract and the domain: parsing of what validation cannot express, and rendering."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.groups.v1 import (
    contribution_service_pb2,
    group_pb2,
    group_service_pb2,
    withdrawal_service_pb2,
)
from hazina.type.v1 import money_pb2
from services.groups import domain
from services.groups.domain import (
    ApprovalPolicy,
    Contribution,
    Destination,
    ExitRule,
    Group,
    GroupView,
    InvitationView,
    Member,
    Method,
    Period,
    PolicyKind,
    PolicyStep,
    Role,
    Schedule,
    State,
    Totals,
    WithdrawalView,
)
from services.groups.errors import CurrencyMismatch
from services.groups.operations.contributions import ContributionOrder
from services.groups.operations.withdrawals import WithdrawalOrder
from services.kit.errors import FieldViolation, ValidationFailed

_NAME_LENGTH_MAX, _DESCRIPTION_LENGTH_MAX = 80, 500
_WEEK_DAYS = 7
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_WithdrawalState = withdrawal_service_pb2.Withdrawal.State


# --- in ---------------------------------------------------------------------------------------------------------------


def new_group(request: group_service_pb2.CreateGroupRequest, tenant_id: str) -> Group:
    """The group that is wanted, without id and time. Raises ValidationFailed or CurrencyMismatch."""
    plan = None
    if request.HasField("contribution_schedule"):
        plan = _schedule(request.contribution_schedule, request.currency, "contributionSchedule")
    return Group(
        tenant_id=tenant_id,
        id=UUID(int=0),
        name=_name(request.name, "name"),
        description=request.description,
        currency=request.currency,
        policy=_policy(request.approval_policy),
        schedule=plan,
        schedule_time=None,
        exit_rule=_exit_rule(request.exit_rule),
        create_time=_NEVER,
    )


def changes(request: group_service_pb2.UpdateGroupRequest, currency: str) -> dict[str, Any]:
    """Fields of a group that are to be changed, by their names in the domain. Raises ValidationFailed."""
    wanted: dict[str, Any] = {}
    group = request.group
    for path in request.update_mask.paths:
        match path:
            case "name":
                wanted["name"] = _name(group.name, "group.name")
            case "description":
                if len(group.description) > _DESCRIPTION_LENGTH_MAX:
                    raise _invalid(
                        "group.description",
                        f"must be at most {_DESCRIPTION_LENGTH_MAX} characters",
                        "string.max_len",
                    )
                wanted["description"] = group.description
            case "approval_policy":
                wanted["policy"] = _policy(group.approval_policy)
            case "exit_rule":
                wanted["exit_rule"] = _exit_rule(group.exit_rule)
            case "contribution_schedule":
                wanted["schedule"] = None
                if group.HasField("contribution_schedule"):
                    wanted["schedule"] = _schedule(
                        group.contribution_schedule, currency, "group.contributionSchedule"
                    )
            case _:
                raise _invalid("updateMask", f"{path} cannot be changed", "update_mask.known")
    if not wanted:
        raise _invalid("updateMask", "names nothing to change", "update_mask.required")
    return wanted


def _name(name: str, path: str) -> str:
    if not name.strip() or len(name) > _NAME_LENGTH_MAX:
        raise _invalid(path, f"must have 1 to {_NAME_LENGTH_MAX} characters", "string.len")
    return name.strip()


def _policy(message: group_pb2.ApprovalPolicy) -> ApprovalPolicy:
    kind = message.kind or group_pb2.ApprovalPolicy.ALL_ADMINS
    return ApprovalPolicy(
        PolicyKind(group_pb2.ApprovalPolicy.Kind.Name(kind)),
        message.approvals_needed,
        tuple(PolicyStep(one.amount_minor_max, one.approvals_needed) for one in message.steps),
    )


def _exit_rule(kind: group_pb2.ExitRule.Kind.ValueType) -> ExitRule:
    return ExitRule(group_pb2.ExitRule.Kind.Name(kind or group_pb2.ExitRule.PAY_OUT))


def _schedule(message: group_pb2.ContributionSchedule, currency: str, path: str) -> Schedule:
    if message.amount.currency != currency:
        raise CurrencyMismatch(groupCurrency=currency)
    if message.amount.minor_units <= 0:
        raise _invalid(f"{path}.amount", "must be more than zero", "amount.positive")
    period = Period(group_pb2.ContributionSchedule.Period.Name(message.period))
    if period is Period.WEEKLY and message.due_day > _WEEK_DAYS:
        raise _invalid(f"{path}.dueDay", "must be 1 (Monday) to 7", "due_day.of_week")
    return Schedule(message.amount.minor_units, period, message.due_day)


def role(kind: group_pb2.Role.Kind.ValueType) -> Role:
    """A role."""
    return Role(group_pb2.Role.Kind.Name(kind))


def identifier(text: str) -> str:
    """An address in the form that auth keeps. Raises ValidationFailed."""
    parsed = domain.parse_identifier(text)
    if parsed is None:
        raise _invalid(
            "identifier", "must be an email address or a phone number", "identifier.kind"
        )
    return parsed


def contribution_order(
    request: contribution_service_pb2.CreateContributionRequest,
) -> ContributionOrder:
    """A contribution that somebody wants."""
    cash_of = request.cash.user_id
    return ContributionOrder(
        group_id=UUID(request.group_id),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        method={
            "source_wallet_id": Method.WALLET,
            "mobile_money": Method.MOBILE_MONEY,
            "cash": Method.CASH,
        }[request.WhichOneof("source") or "cash"],
        source_wallet_id=UUID(request.source_wallet_id) if request.source_wallet_id else None,
        phone=request.mobile_money.phone,
        user_id=UUID(cash_of) if cash_of else None,
    )


def withdrawal_order(
    request: withdrawal_service_pb2.CreateWithdrawalRequest,
) -> WithdrawalOrder:
    """A payout that somebody wants."""
    target = request.destination
    named = target.WhichOneof("target") == "wallet_id"
    return WithdrawalOrder(
        group_id=UUID(request.group_id),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        destination=Destination(
            wallet_id=UUID(target.wallet_id) if named else None,
            identifier=target.identifier,
            phone=target.mobile_money.phone,
            named_wallet=named,
        ),
        reason=request.reason,
    )


def state_filter(state: _WithdrawalState.ValueType) -> State | None:
    """Only withdrawals in this state; None for all."""
    return State(_WithdrawalState.Name(state)) if state else None


def after_name(position: Mapping[str, Any] | None) -> tuple[str, UUID] | None:
    """Where a list by name goes on."""
    return None if position is None else (position["name"], UUID(position["id"]))


def before_id(position: Mapping[str, Any] | None) -> UUID | None:
    """Where a list by age goes on."""
    return None if position is None else UUID(position["before"])


def _invalid(path: str, description: str, rule: str) -> ValidationFailed:
    return ValidationFailed(field_violations=[FieldViolation(path, description, rule)])


# --- out --------------------------------------------------------------------------------------------------------------


def group(view: GroupView) -> group_pb2.Group:
    """A group as one of its members sees it."""
    found = view.group
    message = group_pb2.Group(
        id=str(found.id),
        name=found.name,
        description=found.description,
        currency=found.currency,
        wallet_id=str(found.wallet_id),
        role=group_pb2.Role.Kind.Value(view.role),
        member_count=view.member_count,
        approval_policy=group_pb2.ApprovalPolicy(
            kind=group_pb2.ApprovalPolicy.Kind.Value(found.policy.kind),
            approvals_needed=found.policy.approvals_needed,
            steps=[
                group_pb2.ApprovalStep(
                    amount_minor_max=one.amount_minor_max, approvals_needed=one.approvals_needed
                )
                for one in found.policy.steps
            ],
        ),
        exit_rule=group_pb2.ExitRule.Kind.Value(found.exit_rule),
        create_time=_time(found.create_time),
        etag=found.etag,
    )
    if found.schedule is not None:
        message.contribution_schedule.CopyFrom(
            group_pb2.ContributionSchedule(
                amount=money(found.currency, found.schedule.amount_minor),
                period=group_pb2.ContributionSchedule.Period.Value(found.schedule.period),
                due_day=found.schedule.due_day,
            )
        )
    return message


def member(owner: Group, found: Member, behind_minor: int) -> group_pb2.Member:
    """A member with their figures."""
    return group_pb2.Member(
        user_id=str(found.user_id),
        display_name=found.name,
        role=group_pb2.Role.Kind.Value(found.role),
        contributed=money(owner.currency, found.total_minor),
        behind=money(owner.currency, behind_minor),
        create_time=_time(found.join_time),
    )


def members(owner: Group, found: Sequence[Member], now: datetime) -> list[group_pb2.Member]:
    """Members with their figures."""
    yesterday = now.date() - timedelta(days=1)
    return [member(owner, one, domain.behind_minor(owner, one, yesterday)) for one in found]


def invitation(view: InvitationView) -> group_pb2.Invitation:
    """An invitation, without the address that it went to."""
    found = view.invitation
    return group_pb2.Invitation(
        id=str(found.id),
        group_id=str(found.group_id),
        group_name=view.group_name,
        role=group_pb2.Role.Kind.Value(found.role),
        state=group_pb2.Invitation.State.Value(found.state),
        inviter_name=found.inviter_name,
        member_count=view.member_count,
        create_time=_time(found.create_time),
        expire_time=_time(found.expire_time),
    )


def contribution(found: Contribution) -> contribution_service_pb2.Contribution:
    """A contribution."""
    message = contribution_service_pb2.Contribution
    return message(
        id=str(found.id),
        group_id=str(found.group_id),
        user_id=str(found.user_id),
        display_name=found.name,
        amount=money(found.currency, found.amount_minor),
        method=message.Method.Value(found.method),
        state=message.State.Value(found.state),
        create_time=_time(found.create_time),
        failure_reason=found.failure_reason,
    )


def totals(found: Totals) -> contribution_service_pb2.GroupTotals:
    """What a group got, paid and has."""
    return contribution_service_pb2.GroupTotals(
        group_id=str(found.group_id),
        contributed=money(found.currency, found.contributed_minor),
        paid_out=money(found.currency, found.paid_out_minor),
        available=money(found.currency, found.available_minor),
        own=money(found.currency, found.own_minor),
    )


def withdrawal(view: WithdrawalView) -> withdrawal_service_pb2.Withdrawal:
    """A withdrawal with what was said."""
    found = view.withdrawal
    message = withdrawal_service_pb2.Withdrawal
    return message(
        id=str(found.id),
        group_id=str(found.group_id),
        requester_id=str(found.requester_id),
        amount=money(found.currency, found.amount_minor),
        destination=_destination(found.destination),
        reason=found.reason,
        state=_WithdrawalState.Value(found.state),
        approvals=[
            withdrawal_service_pb2.Approval(
                user_id=str(one.user_id),
                display_name=one.name,
                decision=withdrawal_service_pb2.Approval.Decision.Value(one.decision),
                create_time=_time(one.create_time),
            )
            for one in view.approvals
        ],
        approvals_needed=view.needed,
        create_time=_time(found.create_time),
        expire_time=_time(found.expire_time),
        failure_reason=found.failure_reason,
    )


def _destination(found: Destination) -> withdrawal_service_pb2.WithdrawalDestination:
    message = withdrawal_service_pb2.WithdrawalDestination
    if found.phone:
        return message(mobile_money=withdrawal_service_pb2.WithdrawalMobileMoney(phone=found.phone))
    if found.identifier:
        return message(identifier=found.identifier)
    return message(wallet_id=str(found.wallet_id))


def money(currency: str, minor_units: int) -> money_pb2.Money:
    """An amount."""
    return money_pb2.Money(currency=currency, minor_units=minor_units)


def _time(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
