"""Withdrawals: asked for, approved, executed. The lock of its row orders all that people and time do to one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.groups import domain, events
from services.groups.domain import (
    Approval,
    Decision,
    Destination,
    Group,
    Member,
    MemberState,
    Right,
    State,
    Told,
    Withdrawal,
    WithdrawalKind,
    WithdrawalView,
)
from services.groups.errors import (
    RecipientIsSource,
    RecipientNotFound,
    RequesterRequired,
    refusal_of,
)
from services.groups.operations import keys
from services.groups.operations.desk import Desk
from services.groups.operations.groups import check_currency, require_view
from services.groups.store import groups, withdrawals
from services.kit import crash, idempotency, telemetry
from services.kit.database import Session
from services.kit.errors import NotFound, ServiceError, ServiceUnavailable
from services.kit.identity import Call

__all__ = [
    "EXPIRE_JOB",
    "WITHDRAWAL_JOB",
    "WithdrawalOrder",
    "approve_withdrawal",
    "begin",
    "cancel_withdrawal",
    "create_withdrawal",
    "drive",
    "execute_withdrawal",
    "expire",
    "get_withdrawal",
    "hear",
    "judge_anew",
    "list_withdrawals",
    "reject_withdrawal",
]

WITHDRAWAL_JOB, EXPIRE_JOB = "groups.withdrawal", "groups.expire"

_LEDGER_REASONS = {
    "INSUFFICIENT_FUNDS": "INSUFFICIENT_FUNDS",
    "ACCOUNT_FROZEN": "WALLET_FROZEN",
    "CREDIT_ACCOUNT_NOT_FOUND": "RECIPIENT_NOT_FOUND",
    "ACCOUNTS_SAME": "RECIPIENT_IS_SOURCE",
    "CURRENCY_MISMATCH": "CURRENCY_MISMATCH",
    "AMOUNT_OVERFLOW": "AMOUNT_OVERFLOW",
    "EXPIRE_TIME_PAST": "TRANSACTION_TOO_OLD",
    "ID_TIME_OUT_OF_RANGE": "TRANSACTION_TOO_OLD",
}
_NOTHING_HELD = frozenset(
    {"", "HOLD_NOT_FOUND", "HOLD_ALREADY_VOIDED", "HOLD_EXPIRED", "ID_TIME_OUT_OF_RANGE"}
)


@dataclass(frozen=True, slots=True)
class WithdrawalOrder:
    """A payout that somebody wants."""

    group_id: UUID
    currency: str
    amount_minor: int
    destination: Destination
    reason: str


# --- asked for --------------------------------------------------------------------------------------------------------


async def create_withdrawal(desk: Desk, call: Call, order: WithdrawalOrder) -> WithdrawalView:
    """Ask for a payout. The money is held when this answers."""
    withdrawal_id = await keys.earlier(desk, call)
    if withdrawal_id is None:
        withdrawal_id = await _write(desk, call, order)
        crash.reach("groups.withdrawal.after_t1")
    await drive(desk, call.tenant_id, withdrawal_id)
    return await _answer(desk, call, withdrawal_id)


async def _write(desk: Desk, call: Call, order: WithdrawalOrder) -> UUID:
    user_id = call.signed_in.id
    async with desk.database.unit(call.tenant_id) as session:
        view = await require_view(session, order.group_id, user_id)
    group = view.group
    check_currency(group, order.currency)
    destination = await _found(desk, group, order.destination)
    told = await desk.payments.check_payout(group, order.amount_minor, destination)
    _raise_refusal(told)
    async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
        requester = await groups.find_member(session, group.id, user_id, lock=True)
        if requester is None or requester.state is not MemberState.ACTIVE:
            raise NotFound
        now = desk.clock.now()
        made = Withdrawal(
            tenant_id=call.tenant_id,
            id=desk.clock.new_id(),
            group_id=group.id,
            kind=WithdrawalKind.REQUEST,
            requester_id=user_id,
            requester_name=requester.name,
            currency=group.currency,
            amount_minor=order.amount_minor,
            destination=destination,
            reason=order.reason,
            required=group.policy.required(order.amount_minor),
            create_time=now,
            expire_time=now + domain.WITHDRAWAL_LIFE,
        )
        claim = await idempotency.claim(session, call, resource_id=made.id)
        if claim.is_new:
            await begin(desk, session, made)
    return claim.resource_id


async def begin(desk: Desk, session: Session, made: Withdrawal) -> None:
    """T1: the row and the jobs that go on after a crash and end it in time."""
    await withdrawals.insert_withdrawal(session, made)
    await defer_drive(desk, session, made, run_at=made.create_time + keys.RECOVERY)
    await _defer_expiry(desk, session, made, run_at=made.expire_time)


async def defer_drive(
    desk: Desk, session: Session, one: Withdrawal, *, run_at: datetime | None = None
) -> None:
    """Have a job carry a withdrawal on."""
    await desk.jobs.defer(
        session,
        WITHDRAWAL_JOB,
        run_at=run_at,
        tenant_id=one.tenant_id,
        withdrawal_id=str(one.id),
    )


async def _defer_expiry(desk: Desk, session: Session, one: Withdrawal, *, run_at: datetime) -> None:
    await desk.jobs.defer(
        session, EXPIRE_JOB, run_at=run_at, tenant_id=one.tenant_id, withdrawal_id=str(one.id)
    )


async def _found(desk: Desk, group: Group, wanted: Destination) -> Destination:
    """The destination with its wallet. Raises RecipientNotFound, whatever the reason, or RecipientIsSource."""
    if wanted.phone:
        return wanted
    if wanted.identifier:
        person = await desk.directory.resolve(group.tenant_id, wanted.identifier)
        if person is None:
            raise RecipientNotFound
        wallet = await desk.ledger.find_wallet(group.tenant_id, person.user_id, group.currency)
        if wallet is None:
            raise RecipientNotFound
        return replace(wanted, wallet_id=wallet.id)
    assert wanted.wallet_id is not None, "the contract requires a destination"
    if wanted.wallet_id == group.wallet_id:
        raise RecipientIsSource
    found = await desk.ledger.wallets(group.tenant_id, [wanted.wallet_id])
    wallet = found.get(wanted.wallet_id)
    if wallet is None or wallet.currency != group.currency:
        raise RecipientNotFound
    return wanted


# --- carried on -------------------------------------------------------------------------------------------------------


async def drive(desk: Desk, tenant_id: str, withdrawal_id: UUID) -> None:
    """Carry a withdrawal as far as it goes now; may be repeated by anyone at any time. Also the job after a crash."""
    group, found = await _load(desk, tenant_id, withdrawal_id)
    if found.state is State.PENDING and not found.is_held:
        await _hold(desk, group, found)
        group, found = await _load(desk, tenant_id, withdrawal_id)
    if found.state is State.PROCESSING:
        told = await desk.payments.pay_out(group, found)
        crash.reach("groups.withdrawal.after_payout")
        async with desk.database.unit(tenant_id) as session:
            await hear(desk, session, withdrawal_id, told)
        crash.reach("groups.withdrawal.after_t2")
        group, found = await _load(desk, tenant_id, withdrawal_id)
    if found.state in domain.FREE and not found.is_free:
        await _free(desk, found)


async def _load(desk: Desk, tenant_id: str, withdrawal_id: UUID) -> tuple[Group, Withdrawal]:
    async with desk.database.unit(tenant_id) as session:
        found = await withdrawals.find_withdrawal(session, withdrawal_id)
        assert found is not None, "withdrawals are never deleted"
        group = await groups.find_group(session, found.group_id)
        assert group is not None, "a withdrawal has a group"
    return group, found


async def _hold(desk: Desk, group: Group, found: Withdrawal) -> None:
    """Reserve the money, then T2: it waits for approvals, the requester's own counted, or it has failed."""
    refused = await desk.ledger.hold(group, found)
    crash.reach("groups.withdrawal.after_hold")
    if refused and refused not in _LEDGER_REASONS:
        telemetry.log.error(
            "ledger_refused", withdrawal_id=str(found.id), reason=refused, step="hold"
        )
        raise ServiceUnavailable
    async with desk.database.unit(found.tenant_id) as session:
        before = await withdrawals.find_withdrawal(session, found.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if before.state is not State.PENDING or before.is_held:
            return
        if refused:
            failed = domain.moved(before, State.FAILED, failure_reason=_LEDGER_REASONS[refused])
            await withdrawals.update_withdrawal(session, failed)
            await _member_stays(session, failed)
            return
        held = replace(before, is_held=True)
        if held.kind is WithdrawalKind.EXIT:
            approved = domain.moved(held, State.APPROVED)
            await withdrawals.update_withdrawal(session, domain.moved(approved, State.PROCESSING))
            return
        await _open_to_approval(desk, session, group, held)
    crash.reach("groups.withdrawal.after_hold_t2")


async def _open_to_approval(desk: Desk, session: Session, group: Group, held: Withdrawal) -> None:
    now = desk.clock.now()
    actor = f"user:{held.requester_id}"
    approvers = await groups.list_officers(session, group.id, Right.APPROVE)
    said: list[Approval] = []
    if held.requester_id in approvers:
        own = Approval(held.requester_id, held.requester_name, Decision.APPROVED, now)
        await withdrawals.put_approval(session, held, own)
        said = [own]
    after = domain.judged(held, said, approvers)
    if after.state is State.PENDING:
        waited_for = [one for one in approvers if one != held.requester_id]
        after = replace(after, version=after.version + 1)
        await events.append_asked(session, group, after, waited_for, actor=actor, now=now)
        await withdrawals.update_withdrawal(session, after)
    else:
        await _save(desk, session, group, held, after, actor=actor, decider=held.requester_name)


async def _free(desk: Desk, found: Withdrawal) -> None:
    """Release what was held for a withdrawal that has ended. It may have ended by itself, or never begun."""
    refused = await desk.ledger.free(found)
    crash.reach("groups.withdrawal.after_free")
    if refused not in _NOTHING_HELD:
        telemetry.log.error(
            "ledger_refused", withdrawal_id=str(found.id), reason=refused, step="free"
        )
        if refused != "HOLD_ALREADY_POSTED":
            raise ServiceUnavailable
    async with desk.database.unit(found.tenant_id) as session:
        before = await withdrawals.find_withdrawal(session, found.id, lock=True)
        assert before is not None, "it was there a moment ago"
        await withdrawals.update_withdrawal(session, replace(before, is_free=True))


async def _save(
    desk: Desk,
    session: Session,
    group: Group,
    before: Withdrawal,
    after: Withdrawal,
    *,
    actor: str,
    decider: str = "",
) -> Withdrawal:
    """Write a changed withdrawal; decisions are told, and what ended is released by a job."""
    if after == before:
        return after
    is_decision = after.state in (State.APPROVED, State.REJECTED, State.EXPIRED)
    if is_decision and after.state is not before.state:
        after = replace(after, version=after.version + 1)
        await events.append_decided(
            session, group, after, decider=decider, actor=actor, now=desk.clock.now()
        )
    await withdrawals.update_withdrawal(session, after)
    if after.state in domain.FREE and after.state is not before.state:
        await defer_drive(desk, session, after)
    return after


# --- decided ----------------------------------------------------------------------------------------------------------


async def approve_withdrawal(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID
) -> WithdrawalView:
    """An owner or admin says yes."""
    return await _decide(desk, call, group_id, withdrawal_id, Decision.APPROVED)


async def reject_withdrawal(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID
) -> WithdrawalView:
    """An owner or admin says no, which ends it."""
    return await _decide(desk, call, group_id, withdrawal_id, Decision.REJECTED)


async def _decide(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID, decision: Decision
) -> WithdrawalView:
    user_id = call.signed_in.id
    if await keys.earlier(desk, call) is None:
        await _touch(desk, call, withdrawal_id)
        async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
            group, before, role_holder = await _locked(session, call, group_id, withdrawal_id)
            claim = await idempotency.claim(session, call, resource_id=withdrawal_id)
            if claim.is_new:
                now = desk.clock.now()
                domain.require(role_holder.role, Right.APPROVE)
                said = (await withdrawals.list_approvals(session, [withdrawal_id]))[withdrawal_id]
                domain.require_decision(before, said, user_id, decision, now)
                own = Approval(user_id, role_holder.name, decision, now)
                await withdrawals.put_approval(session, before, own)
                said = [one for one in said if one.user_id != user_id] + [own]
                approvers = await groups.list_officers(session, group_id, Right.APPROVE)
                after = domain.judged(before, said, approvers)
                await _save(
                    desk,
                    session,
                    group,
                    before,
                    after,
                    actor=call.actor,
                    decider=role_holder.name,
                )
        crash.reach(f"groups.withdrawal.after_{decision.lower()}")
    if decision is Decision.REJECTED:
        await _try_to_free(desk, call.tenant_id, withdrawal_id)
    return await _answer(desk, call, withdrawal_id)


async def cancel_withdrawal(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID
) -> WithdrawalView:
    """The requester takes it back."""
    if await keys.earlier(desk, call) is None:
        await _touch(desk, call, withdrawal_id)
        async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
            group, before, _ = await _locked(session, call, group_id, withdrawal_id)
            claim = await idempotency.claim(session, call, resource_id=withdrawal_id)
            if claim.is_new:
                _require_requester(call, before)
                domain.require_cancel(before, desk.clock.now())
                after = domain.moved(before, State.CANCELLED)
                await _save(desk, session, group, before, after, actor=call.actor)
        crash.reach("groups.withdrawal.after_cancelled")
    await _try_to_free(desk, call.tenant_id, withdrawal_id)
    return await _answer(desk, call, withdrawal_id)


async def _try_to_free(desk: Desk, tenant_id: str, withdrawal_id: UUID) -> None:
    """Release the money now rather than by the job, if the ledger is there."""
    try:
        await drive(desk, tenant_id, withdrawal_id)
    except ServiceError:  # whoever cannot be reached now is asked by the job
        telemetry.log.warning("release_postponed", withdrawal_id=str(withdrawal_id))


async def execute_withdrawal(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID
) -> WithdrawalView:
    """The requester has an approved withdrawal paid."""
    if await keys.earlier(desk, call) is None:
        await _touch(desk, call, withdrawal_id)
        async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
            _, before, _ = await _locked(session, call, group_id, withdrawal_id)
            claim = await idempotency.claim(session, call, resource_id=withdrawal_id)
            if claim.is_new:
                _require_requester(call, before)
                now = desk.clock.now()
                said = (await withdrawals.list_approvals(session, [withdrawal_id]))[withdrawal_id]
                approvers = await groups.list_officers(session, group_id, Right.APPROVE)
                before = domain.judged(before, said, approvers)
                domain.require_execute(before, now)
                after = domain.moved(before, State.PROCESSING)
                await withdrawals.update_withdrawal(session, after)
                await defer_drive(desk, session, after, run_at=now + keys.RECOVERY)
        crash.reach("groups.withdrawal.after_execute")
    await drive(desk, call.tenant_id, withdrawal_id)
    return await _answer(desk, call, withdrawal_id)


def _require_requester(call: Call, withdrawal: Withdrawal) -> None:
    if call.signed_in.id != withdrawal.requester_id:
        raise RequesterRequired


async def _locked(
    session: Session, call: Call, group_id: UUID, withdrawal_id: UUID
) -> tuple[Group, Withdrawal, Member]:
    """A withdrawal that the caller may see, locked, and the caller as a member at that moment. Raises NotFound."""
    found = await withdrawals.find_withdrawal(session, withdrawal_id, lock=True)
    view = await require_view(session, group_id, call.signed_in.id)
    member = await groups.find_member(session, group_id, call.signed_in.id)
    if found is None or found.group_id != group_id or not found.is_held or member is None:
        raise NotFound
    return view.group, found, member


async def judge_anew(desk: Desk, session: Session, group: Group, *, actor: str) -> None:
    """Who may approve has changed: judge every withdrawal that waits by who may now."""
    waiting = await withdrawals.lock_waiting(session, group.id)
    if not waiting:
        return
    approvers = await groups.list_officers(session, group.id, Right.APPROVE)
    said = await withdrawals.list_approvals(session, [one.id for one in waiting])
    now = desk.clock.now()
    for one in waiting:
        if not domain.is_over(one, now):
            after = domain.judged(one, said[one.id], approvers)
            await _save(desk, session, group, one, after, actor=actor)


# --- time -------------------------------------------------------------------------------------------------------------


async def expire(desk: Desk, tenant_id: str, withdrawal_id: UUID) -> None:
    """The job: end a withdrawal whose time is over, unless people have ended it before."""
    async with desk.database.unit(tenant_id) as session:
        before = await withdrawals.find_withdrawal(session, withdrawal_id, lock=True)
        assert before is not None, "withdrawals are never deleted"
        if before.state not in domain.WAITING or not before.is_held:
            return
        now = desk.clock.now()
        if not domain.is_over(before, now):
            await _defer_expiry(desk, session, before, run_at=before.expire_time)
            return
        group = await groups.find_group(session, before.group_id)
        assert group is not None, "a withdrawal has a group"
        after = domain.moved(before, State.EXPIRED, failure_reason="HOLD_EXPIRED")
        await _save(desk, session, group, before, after, actor=keys.SYSTEM)
    crash.reach("groups.withdrawal.after_expire")


async def _touch(desk: Desk, call: Call, withdrawal_id: UUID) -> None:
    """End a withdrawal whose time is over before anybody decides about it."""
    async with desk.database.unit(call.tenant_id) as session:
        found = await withdrawals.find_withdrawal(session, withdrawal_id)
    if found is None or found.state not in domain.WAITING:
        return
    if domain.is_over(found, desk.clock.now()):
        await expire(desk, call.tenant_id, withdrawal_id)


# --- what payments says -----------------------------------------------------------------------------------------------


async def hear(desk: Desk, session: Session, withdrawal_id: UUID, told: Told) -> bool:
    """What payments says changes the row, once, and lets a leaving member go. False: there is no such withdrawal."""
    before = await withdrawals.find_withdrawal(session, withdrawal_id, lock=True)
    if before is None:
        return False
    after = domain.withdrawal_after(before, told)
    if after is not before:
        group = await groups.find_group(session, before.group_id)
        assert group is not None, "a withdrawal has a group"
        await _save(desk, session, group, before, after, actor=keys.SYSTEM)
        if after.state is State.COMPLETED:
            await _member_goes(session, after)
        elif after.state in domain.FREE:
            await _member_stays(session, after)
    return True


async def _member_goes(session: Session, paid: Withdrawal) -> None:
    """Who left has what was theirs."""
    if paid.kind is not WithdrawalKind.EXIT:
        return
    member = await groups.find_member(session, paid.group_id, paid.requester_id, lock=True)
    if member is not None and member.exit_id == paid.id:
        gone = replace(
            member,
            state=MemberState.LEFT,
            settled_minor=member.settled_minor + paid.amount_minor,
        )
        await groups.put_member(session, gone)


async def _member_stays(session: Session, failed: Withdrawal) -> None:
    """Who wanted to leave could not be paid out, and is still a member."""
    if failed.kind is not WithdrawalKind.EXIT:
        return
    member = await groups.find_member(session, failed.group_id, failed.requester_id, lock=True)
    if member is not None and member.exit_id == failed.id and member.state is MemberState.LEAVING:
        await groups.put_member(session, replace(member, state=MemberState.ACTIVE))


# --- shown ------------------------------------------------------------------------------------------------------------


async def list_withdrawals(
    desk: Desk,
    call: Call,
    group_id: UUID,
    *,
    state: State | None,
    before_id: UUID | None,
    size: int,
) -> Sequence[WithdrawalView]:
    """Withdrawals of a group, newest first."""
    async with desk.database.unit(call.tenant_id) as session:
        await require_view(session, group_id, call.signed_in.id)
        found = await withdrawals.list_withdrawals(
            session, group_id, state=state, before_id=before_id, size=size
        )
        approvers = await groups.list_officers(session, group_id, Right.APPROVE)
        said = await withdrawals.list_approvals(session, [one.id for one in found])
    return [_view(one, said[one.id], approvers) for one in found]


async def get_withdrawal(
    desk: Desk, call: Call, group_id: UUID, withdrawal_id: UUID
) -> WithdrawalView:
    """One withdrawal. Raises NotFound."""
    await _touch(desk, call, withdrawal_id)
    async with desk.database.unit(call.tenant_id) as session:
        await require_view(session, group_id, call.signed_in.id)
        found = await withdrawals.find_withdrawal(session, withdrawal_id)
        if found is None or found.group_id != group_id or not found.is_held:
            raise NotFound
        approvers = await groups.list_officers(session, group_id, Right.APPROVE)
        said = await withdrawals.list_approvals(session, [withdrawal_id])
    return _view(found, said[withdrawal_id], approvers)


def _view(
    found: Withdrawal, said: Sequence[Approval], approvers: Collection[UUID]
) -> WithdrawalView:
    """Of an ended withdrawal all that was said is shown; of a waiting one what counts now."""
    is_waiting = found.state in domain.WAITING
    counted = tuple(domain.counting(said, approvers)) if is_waiting else tuple(said)
    return WithdrawalView(found, counted, domain.approvals_needed(found, approvers))


async def _answer(desk: Desk, call: Call, withdrawal_id: UUID) -> WithdrawalView:
    """The withdrawal as it stood when the key was first answered. Raises what refused the money."""
    async with desk.database.unit(call.tenant_id) as session:
        found = await withdrawals.find_withdrawal(session, withdrawal_id, lock=True)
        known = await groups.find_key(session, call)
        assert found is not None and known is not None, "T1 wrote both"
        remembered: dict[str, Any] | None = known[2]
        if remembered is None:
            if found.state is State.PENDING and not found.is_held:
                raise ServiceUnavailable  # the hold had no end; the job goes on
            approvers = await groups.list_officers(session, found.group_id, Right.APPROVE)
            said = await withdrawals.list_approvals(session, [withdrawal_id])
            remembered = _snapshot(_view(found, said[withdrawal_id], approvers))
            await idempotency.remember_answer(session, call, remembered)
    answered = _as_answered(found, remembered)
    if answered.withdrawal.state in (State.FAILED, State.EXPIRED):
        _raise_refusal(Told("FAILED", 0, answered.withdrawal.failure_reason))
    return answered


def _snapshot(view: WithdrawalView) -> dict[str, Any]:
    """What of an answer may change later."""
    found = view.withdrawal
    return {
        "state": found.state,
        "failure_reason": found.failure_reason,
        "needed": view.needed,
        "approvals": [
            [str(one.user_id), one.name, one.decision, one.create_time.isoformat()]
            for one in view.approvals
        ],
    }


def _as_answered(found: Withdrawal, answer: dict[str, Any]) -> WithdrawalView:
    return WithdrawalView(
        replace(found, state=State(answer["state"]), failure_reason=answer["failure_reason"]),
        tuple(
            Approval(UUID(user_id), name, Decision(decision), datetime.fromisoformat(time))
            for user_id, name, decision, time in answer["approvals"]
        ),
        answer["needed"],
    )


def _raise_refusal(told: Told) -> None:
    """Raises what refused the money; a failure that came later, such as a provider's, is no refusal."""
    if told.state != "FAILED":
        return
    refusal = refusal_of(told.reason, told.message or None)
    if refusal is not None:
        raise refusal
