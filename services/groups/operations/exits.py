"""Leaving a group: by its exit rule the member's contributions are paid out first, or stay."""

from dataclasses import replace
from uuid import UUID

from services.groups import domain
from services.groups.domain import (
    Destination,
    ExitRule,
    Group,
    Member,
    MemberState,
    State,
    Withdrawal,
    WithdrawalKind,
)
from services.groups.errors import MemberNotSettled, refusal_of
from services.groups.operations import keys, members, withdrawals
from services.groups.operations.desk import Desk
from services.groups.operations.groups import require_view
from services.groups.store import contributions, groups
from services.groups.store import withdrawals as withdrawal_store
from services.kit import crash, idempotency
from services.kit.database import Session
from services.kit.errors import NotFound
from services.kit.identity import Call

__all__ = ["leave_group", "remove_member"]


async def leave_group(desk: Desk, call: Call, group_id: UUID) -> None:
    """The caller leaves."""
    await _leave(desk, call, group_id, call.signed_in.id, reason="The member leaves.")


async def remove_member(desk: Desk, call: Call, group_id: UUID, user_id: UUID) -> None:
    """A member is taken out."""
    await _leave(desk, call, group_id, user_id, reason="The member was taken out.")


async def _leave(desk: Desk, call: Call, group_id: UUID, user_id: UUID, *, reason: str) -> None:
    exit_id = await keys.earlier(desk, call)
    if exit_id is None:
        destination = await _destination(desk, call, group_id, user_id)
        async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
            group, member = await members.lock_for_change(
                session, call, group_id, user_id, new=None
            )
            made = _exit(desk, call, group, member, destination, reason)
            claim = await idempotency.claim(session, call, resource_id=made.id)
            if claim.is_new:
                await _begin(desk, session, call, group, member, made)
        exit_id = claim.resource_id
        crash.reach("groups.exit.after_t1")
    await _finish(desk, call, exit_id)


async def _destination(desk: Desk, call: Call, group_id: UUID, user_id: UUID) -> Destination | None:
    """The wallet that the member would be paid to; None where nothing is paid or there is none."""
    async with desk.database.unit(call.tenant_id) as session:
        view = await require_view(session, group_id, call.signed_in.id)
        member = await groups.find_member(session, group_id, user_id)
    if member is None:
        raise NotFound
    if view.group.exit_rule is ExitRule.FORFEIT or not member.exit_minor:
        return None
    wallet = await desk.ledger.find_wallet(call.tenant_id, user_id, view.group.currency)
    return None if wallet is None else Destination(wallet_id=wallet.id)


def _exit(
    desk: Desk,
    call: Call,
    group: Group,
    member: Member,
    destination: Destination | None,
    reason: str,
) -> Withdrawal:
    now = desk.clock.now()
    return Withdrawal(
        tenant_id=call.tenant_id,
        id=desk.clock.new_id(),
        group_id=group.id,
        kind=WithdrawalKind.EXIT,
        requester_id=member.user_id,
        requester_name=member.name,
        currency=group.currency,
        amount_minor=member.exit_minor,
        destination=destination or Destination(),
        reason=reason,
        required=0,
        create_time=now,
        expire_time=now + domain.WITHDRAWAL_LIFE,
    )


async def _begin(
    desk: Desk, session: Session, call: Call, group: Group, member: Member, made: Withdrawal
) -> None:
    """T1: the member is out, or on the way out with a payout."""
    is_moving = await contributions.count_moving(session, group.id, member.user_id)
    if is_moving or await withdrawal_store.count_open(session, group.id, member.user_id):
        raise MemberNotSettled
    await contributions.drop_unconfirmed_cash(session, group.id, member.user_id)
    is_paid = group.exit_rule is ExitRule.PAY_OUT and member.exit_minor > 0
    if is_paid:
        if made.destination.wallet_id is None:
            raise MemberNotSettled
        await withdrawals.begin(desk, session, made)
        after = replace(member, state=MemberState.LEAVING, exit_id=made.id)
    else:
        after = replace(
            member, state=MemberState.LEFT, settled_minor=member.contributed_minor, exit_id=None
        )
    await groups.put_member(session, after)
    await withdrawals.judge_anew(desk, session, group, actor=call.actor)


async def _finish(desk: Desk, call: Call, exit_id: UUID) -> None:
    """Pay the member out if there is something to pay. Raises what refused it, each time the same."""
    async with desk.database.unit(call.tenant_id) as session:
        if await withdrawal_store.find_withdrawal(session, exit_id) is None:
            return
    await withdrawals.drive(desk, call.tenant_id, exit_id)
    async with desk.database.unit(call.tenant_id) as session:
        found = await withdrawal_store.find_withdrawal(session, exit_id)
    assert found is not None, "it was there a moment ago"
    if found.state in (State.FAILED, State.EXPIRED):
        refusal = refusal_of(found.failure_reason)
        raise refusal if refusal is not None else MemberNotSettled
