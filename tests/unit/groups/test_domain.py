"""The rules of groups."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from services.groups import domain
from services.groups.domain import (
    MOVES,
    RIGHTS,
    Approval,
    ApprovalPolicy,
    Contribution,
    ContributionState,
    Decision,
    Destination,
    ExitRule,
    Group,
    Invitation,
    InvitationState,
    Member,
    MemberState,
    Method,
    Period,
    PolicyKind,
    PolicyStep,
    Right,
    Role,
    Schedule,
    State,
    Told,
    Withdrawal,
    WithdrawalKind,
)
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

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def group(**fields: object) -> Group:
    made = Group(
        tenant_id="default",
        id=UUID(int=9),
        name="Umoja",
        description="",
        currency="KES",
        policy=ApprovalPolicy(),
        schedule=Schedule(100, Period.WEEKLY, 1),
        schedule_time=NOW,
        exit_rule=ExitRule.PAY_OUT,
        create_time=NOW,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def member(**fields: object) -> Member:
    made = Member("default", UUID(int=9), A, "Asha", Role.MEMBER, NOW)
    return replace(made, **fields)  # type: ignore[arg-type]


def withdrawal(**fields: object) -> Withdrawal:
    made = Withdrawal(
        tenant_id="default",
        id=UUID(int=7),
        group_id=UUID(int=9),
        kind=WithdrawalKind.REQUEST,
        requester_id=A,
        requester_name="Asha",
        currency="KES",
        amount_minor=100,
        destination=Destination(wallet_id=UUID(int=5)),
        reason="Roof",
        required=None,
        create_time=NOW,
        expire_time=NOW + domain.WITHDRAWAL_LIFE,
        is_held=True,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def contribution(**fields: object) -> Contribution:
    made = Contribution(
        "default", UUID(int=6), UUID(int=9), A, "Asha", Method.WALLET, "KES", 100, A, NOW
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def said(user_id: UUID, decision: Decision = Decision.APPROVED) -> Approval:
    return Approval(user_id, "", decision, NOW)


# --- roles ------------------------------------------------------------------------------------------------------------


def test_every_role_has_its_rights_and_the_owner_all_of_them() -> None:
    assert set(RIGHTS) == set(Role)
    assert RIGHTS[Role.OWNER] == frozenset(Right) and RIGHTS[Role.MEMBER] == frozenset()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("right", list(Right))
def test_a_right_is_required_or_refused_with_the_role_named(role: Role, right: Right) -> None:
    if right in RIGHTS[role]:
        domain.require(role, right)
        return
    with pytest.raises(RoleNotAllowed) as refusal:
        domain.require(role, right)
    assert refusal.value.metadata == {"role": role}


def test_owners_and_admins_approve_and_nobody_else() -> None:
    assert [role for role in Role if domain.may_approve(role)] == [Role.OWNER, Role.ADMIN]


def test_the_last_owner_is_kept() -> None:
    for new in (None, Role.ADMIN):
        with pytest.raises(LastOwner):
            domain.keep_an_owner(Role.OWNER, new, owner_count=1)
        domain.keep_an_owner(Role.OWNER, new, owner_count=2)
    domain.keep_an_owner(Role.OWNER, Role.OWNER, owner_count=1)
    domain.keep_an_owner(Role.ADMIN, None, owner_count=1)


# --- policies ---------------------------------------------------------------------------------------------------------

BY_AMOUNT = ApprovalPolicy(
    PolicyKind.BY_AMOUNT, steps=(PolicyStep(100, 1), PolicyStep(200, 2), PolicyStep(300, 2))
)


@pytest.mark.parametrize(
    ("policy", "amount", "required"),
    [
        (ApprovalPolicy(), 1, None),
        (ApprovalPolicy(PolicyKind.QUORUM, 2), 10**9, 2),
        (BY_AMOUNT, 1, 1),
        (BY_AMOUNT, 100, 1),
        (BY_AMOUNT, 101, 2),
        (BY_AMOUNT, 300, 2),
        (BY_AMOUNT, 301, None),
    ],
)
def test_how_many_approvals_an_amount_needs(
    policy: ApprovalPolicy, amount: int, required: int | None
) -> None:
    policy.check()
    assert policy.required(amount) == required


@pytest.mark.parametrize(
    "policy",
    [
        ApprovalPolicy(PolicyKind.QUORUM, 0),
        ApprovalPolicy(PolicyKind.BY_AMOUNT),
        ApprovalPolicy(PolicyKind.BY_AMOUNT, steps=(PolicyStep(1, 1), PolicyStep(1, 2))),
        ApprovalPolicy(PolicyKind.BY_AMOUNT, steps=(PolicyStep(1, 2), PolicyStep(2, 1))),
    ],
)
def test_rules_that_contradict_themselves_are_refused(policy: ApprovalPolicy) -> None:
    with pytest.raises(ApprovalPolicyInvalid):
        policy.check()


# --- schedules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("due_day", range(1, 8))
def test_weekly_due_days_are_those_of_the_calendar(due_day: int) -> None:
    schedule = Schedule(100, Period.WEEKLY, due_day)
    start = date(2026, 1, 1)
    for days in range(40):
        until = start + timedelta(days=days)
        expected = sum(
            (start + timedelta(days=one)).isoweekday() == due_day for one in range(1, days + 1)
        )
        assert domain.due_days(schedule, start, until) == expected


@pytest.mark.parametrize("due_day", [1, 15, 28])
def test_monthly_due_days_are_those_of_the_calendar(due_day: int) -> None:
    schedule = Schedule(100, Period.MONTHLY, due_day)
    start = date(2025, 11, 20)
    for days in range(200):
        until = start + timedelta(days=days)
        expected = sum((start + timedelta(days=one)).day == due_day for one in range(1, days + 1))
        assert domain.due_days(schedule, start, until) == expected


def test_nothing_is_due_before_the_beginning() -> None:
    assert domain.due_days(Schedule(1, Period.WEEKLY, 1), date(2026, 3, 4), date(2026, 3, 1)) == 0


def test_who_is_behind_owes_what_was_due_less_what_came() -> None:
    three_weeks = date(2026, 3, 25)
    assert domain.behind_minor(group(), member(), three_weeks) == 300
    assert domain.behind_minor(group(), member(contributed_minor=120), three_weeks) == 180
    assert domain.behind_minor(group(), member(cash_minor=300), three_weeks) == 0
    assert domain.behind_minor(group(), member(contributed_minor=999), three_weeks) == 0


def test_who_joined_later_owes_from_then_on() -> None:
    late = member(join_time=NOW + timedelta(days=14))
    assert domain.behind_minor(group(), late, date(2026, 3, 25)) == 100


def test_what_came_before_the_schedule_does_not_pay_it() -> None:
    earlier = member(contributed_minor=500, base_minor=500)
    assert domain.behind_minor(group(), earlier, date(2026, 3, 25)) == 300


def test_without_a_schedule_nobody_is_behind() -> None:
    free = group(schedule=None, schedule_time=None)
    assert domain.behind_minor(free, member(), date(2030, 1, 1)) == 0


def test_the_next_due_day_comes_after_a_day() -> None:
    assert domain.next_due(Schedule(1, Period.WEEKLY, 3), date(2026, 3, 4)) == date(2026, 3, 11)
    assert domain.next_due(Schedule(1, Period.MONTHLY, 28), date(2026, 3, 4)) == date(2026, 3, 28)
    assert domain.next_due(Schedule(1, Period.MONTHLY, 1), date(2026, 12, 4)) == date(2027, 1, 1)


def test_who_comes_back_owes_and_takes_along_nothing_of_before() -> None:
    left = member(contributed_minor=500, cash_minor=50, state=MemberState.LEFT, exit_id=B)
    back = domain.rejoined(left, name="Asha O.", role=Role.ADMIN, now=NOW)
    assert back.state is MemberState.ACTIVE and back.role is Role.ADMIN and back.exit_id is None
    assert back.exit_minor == 0 and back.total_minor == 550
    assert domain.behind_minor(group(), back, date(2026, 3, 25)) == 300


# --- invitations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("Brian@Example.ORG", "brian@example.org"),
        (" a.b+c@example.co.ke ", "a.b+c@example.co.ke"),
        ("0712 345 678", "+254712345678"),
        ("254112345678", "+254112345678"),
        ("+254 (712) 345-678", "+254712345678"),
        ("+15551234567", "+15551234567"),
        ("a@b", None),
        ("a b@example.org", None),
        ("12345", None),
        ("0812345678", None),
        ("words", None),
    ],
)
def test_addresses_are_kept_in_one_spelling(text: str, parsed: str | None) -> None:
    assert domain.parse_identifier(text) == parsed


def test_an_invitation_expires_by_itself_but_only_while_it_waits() -> None:
    made = Invitation(
        "default", A, UUID(int=9), "x@y.z", Role.MEMBER, B, "B", NOW, NOW + timedelta(days=7)
    )
    later = NOW + timedelta(days=7)
    assert made.state_at(NOW) is InvitationState.PENDING
    assert made.state_at(later) is InvitationState.EXPIRED
    done = replace(made, state=InvitationState.ACCEPTED)
    assert done.state_at(later) is InvitationState.ACCEPTED


# --- contributions ----------------------------------------------------------------------------------------------------

_STATES = ("PENDING", "PROCESSING", "UNKNOWN", "MANUAL_REVIEW", "COMPLETED", "FAILED", "REVERSED")


@pytest.mark.parametrize(
    ("before", "changing"),
    [
        ("PENDING", {"COMPLETED", "FAILED", "REVERSED"}),
        ("FAILED", {"COMPLETED", "REVERSED"}),
        ("COMPLETED", {"REVERSED"}),
        ("REVERSED", set()),
    ],
)
@pytest.mark.parametrize("told", _STATES)
def test_news_moves_a_contribution_only_forward(before: str, changing: set[str], told: str) -> None:
    was = contribution(state=ContributionState(before))
    after = domain.contribution_after(was, Told(told, 100, "WHY"), NOW)
    assert (after is not was) == (told in changing)
    assert after.state == (told if told in changing else before)
    assert domain.contribution_after(after, Told(told, 100, "WHY"), NOW) is after


def test_what_came_is_what_counts_even_if_another_amount_was_asked_for() -> None:
    after = domain.contribution_after(contribution(), Told("COMPLETED", 90), NOW)
    assert domain.counted_minor(after) == 90 and domain.counted_minor(contribution()) == 0
    undone = domain.contribution_after(after, Told("REVERSED", 90), NOW)
    assert domain.counted_minor(undone) == 0


@pytest.mark.parametrize(
    ("owner", "recorder", "confirmer", "role", "may"),
    [
        (A, B, A, Role.MEMBER, True),  # the treasurer recorded, the member confirms
        (A, B, B, Role.OWNER, False),  # who recorded cannot confirm
        (A, B, C, Role.OWNER, False),  # nor anybody in the member's place
        (A, A, B, Role.TREASURER, True),  # the member recorded, the treasurer confirms
        (A, A, B, Role.SECRETARY, False),
        (A, A, A, Role.OWNER, False),
    ],
)
def test_cash_is_confirmed_by_the_right_second_person(
    owner: UUID, recorder: UUID, confirmer: UUID, role: Role, may: bool
) -> None:
    cash = contribution(method=Method.CASH, user_id=owner, recorder_id=recorder)
    if may:
        domain.require_confirm(cash, confirmer, role)
        return
    with pytest.raises(ContributionStateInvalid):
        domain.require_confirm(cash, confirmer, role)


@pytest.mark.parametrize("state", [one for one in ContributionState if one != "PENDING"])
def test_only_cash_that_waits_is_confirmed(state: ContributionState) -> None:
    cash = contribution(method=Method.CASH, recorder_id=B)
    for other in (replace(cash, state=state), replace(cash, method=Method.WALLET)):
        with pytest.raises(ContributionStateInvalid):
            domain.require_confirm(other, A, Role.MEMBER)


# --- withdrawals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_only_allowed_moves_happen(before: State, after: State) -> None:
    if after in MOVES[before]:
        assert domain.moved(withdrawal(state=before), after).state is after
        return
    with pytest.raises(AssertionError, match="never becomes"):
        domain.moved(withdrawal(state=before), after)


@pytest.mark.parametrize(
    ("required", "approvers", "heard", "state"),
    [
        (None, {A}, [said(A)], State.APPROVED),
        (None, {A, B}, [said(A)], State.PENDING),
        (None, {A, B}, [said(A), said(B)], State.APPROVED),
        (None, {A}, [], State.PENDING),
        (2, {A, B, C}, [said(A)], State.PENDING),
        (2, {A, B, C}, [said(A), said(C)], State.APPROVED),
        (2, {A}, [said(A)], State.PENDING),  # fewer admins than the rule wants: nobody is enough
        (2, {A, B}, [said(A), said(C)], State.PENDING),  # C may not approve any more
        (1, {A, B}, [said(C)], State.PENDING),
        (1, {A, B}, [said(A), said(B, Decision.REJECTED)], State.REJECTED),
        (1, {A}, [said(A), said(B, Decision.REJECTED)], State.APPROVED),
    ],
)
def test_approvals_of_those_who_may_now_decide(
    required: int | None, approvers: set[UUID], heard: list[Approval], state: State
) -> None:
    waiting = withdrawal(required=required)
    assert domain.judged(waiting, heard, approvers).state is state


def test_an_approved_withdrawal_waits_again_when_approvals_stop_counting() -> None:
    approved = withdrawal(state=State.APPROVED, required=1)
    assert domain.judged(approved, [said(B)], {A}).state is State.PENDING


@pytest.mark.parametrize("state", [one for one in State if one not in domain.WAITING])
def test_what_does_not_wait_is_not_judged(state: State) -> None:
    ended = withdrawal(state=state)
    assert domain.judged(ended, [said(A)], {A}) is ended
    for decision in Decision:
        with pytest.raises(HoldExpired if state is State.EXPIRED else WithdrawalStateInvalid):
            domain.require_decision(ended, [], A, decision, NOW)
    with pytest.raises(HoldExpired if state is State.EXPIRED else WithdrawalStateInvalid):
        domain.require_cancel(ended, NOW)
    with pytest.raises(HoldExpired if state is State.EXPIRED else WithdrawalNotApproved):
        domain.require_execute(ended, NOW)


def test_one_person_says_one_thing_and_may_turn_a_yes_into_a_no() -> None:
    waiting = withdrawal()
    with pytest.raises(AlreadyDecided):
        domain.require_decision(waiting, [said(A)], A, Decision.APPROVED, NOW)
    domain.require_decision(waiting, [said(A)], A, Decision.REJECTED, NOW)
    domain.require_decision(waiting, [said(A)], B, Decision.APPROVED, NOW)


def test_time_ends_what_waits_to_the_moment() -> None:
    end = NOW + domain.WITHDRAWAL_LIFE
    approved = withdrawal(state=State.APPROVED)
    domain.require_execute(approved, end - timedelta(microseconds=1))
    for check in (domain.require_execute, domain.require_cancel):
        with pytest.raises(HoldExpired):
            check(approved, end)


@pytest.mark.parametrize(
    ("before", "told", "reason", "after"),
    [
        (State.PROCESSING, "PROCESSING", "", State.PROCESSING),
        (State.PROCESSING, "UNKNOWN", "PROVIDER_SILENT", State.PROCESSING),
        (State.PROCESSING, "COMPLETED", "", State.COMPLETED),
        (State.PROCESSING, "FAILED", "PROVIDER_DECLINED", State.FAILED),
        (State.PROCESSING, "FAILED", "HOLD_EXPIRED", State.EXPIRED),
        (State.PROCESSING, "FAILED", "TRANSACTION_TOO_OLD", State.EXPIRED),
        (State.FAILED, "COMPLETED", "", State.COMPLETED),  # a provider's late success
        (State.COMPLETED, "FAILED", "PROVIDER_DECLINED", State.COMPLETED),  # old news
        (State.COMPLETED, "REVERSED", "", State.REVERSED),
        (State.REVERSED, "COMPLETED", "", State.REVERSED),
        (State.EXPIRED, "COMPLETED", "", State.EXPIRED),
        (State.APPROVED, "COMPLETED", "", State.APPROVED),
        (State.REJECTED, "COMPLETED", "", State.REJECTED),
    ],
)
def test_news_of_a_payout_moves_only_forward(
    before: State, told: str, reason: str, after: State
) -> None:
    heard = domain.withdrawal_after(withdrawal(state=before), Told(told, 100, reason))
    assert heard.state is after
    assert domain.withdrawal_after(heard, Told(told, 100, reason)) == heard


def test_what_a_member_takes_along_needs_no_approval() -> None:
    leaving = withdrawal(kind=WithdrawalKind.EXIT, required=0)
    assert domain.approvals_needed(leaving, {A, B}) == 0
    assert domain.judged(leaving, [], {A}) is leaving


def test_ids_of_wallet_and_hold_follow_from_those_of_group_and_withdrawal() -> None:
    assert group().wallet_id == group().wallet_id != group(id=UUID(int=8)).wallet_id
    assert withdrawal().hold_id == withdrawal().hold_id != withdrawal(id=UUID(int=8)).hold_id
