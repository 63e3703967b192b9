"""Contributions: paid through payments, or cash that two people confirm."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.groups import domain, events
from services.groups.domain import (
    Contribution,
    ContributionState,
    Group,
    Member,
    MemberState,
    Method,
    Right,
    Told,
    Totals,
)
from services.groups.errors import ContributionStateInvalid, refusal_of
from services.groups.operations import keys
from services.groups.operations.desk import Desk
from services.groups.operations.groups import check_currency, require_view
from services.groups.store import contributions, groups
from services.kit import crash, idempotency, telemetry
from services.kit.database import Session
from services.kit.errors import NotFound, ServiceUnavailable
from services.kit.identity import Call

__all__ = [
    "CONTRIBUTION_JOB",
    "ContributionOrder",
    "confirm_contribution",
    "create_contribution",
    "drive",
    "hear",
    "list_contributions",
]

CONTRIBUTION_JOB = "groups.contribution"
_BOOK_TRIES = 3


@dataclass(frozen=True, slots=True)
class ContributionOrder:
    """A contribution that somebody wants. `user_id` is whose cash it is; None means the caller's."""

    group_id: UUID
    currency: str
    amount_minor: int
    method: Method
    source_wallet_id: UUID | None = None
    phone: str = ""
    user_id: UUID | None = None


# --- made -------------------------------------------------------------------------------------------------------------


async def create_contribution(desk: Desk, call: Call, order: ContributionOrder) -> Contribution:
    """Pay into the group. From a wallet it is COMPLETED when answered; a phone and cash leave it PENDING."""
    contribution_id = await keys.earlier(desk, call)
    if contribution_id is None:
        contribution_id = await _write(desk, call, order)
        crash.reach("groups.contribution.after_t1")
    await drive(desk, call.tenant_id, contribution_id)
    return await _answer(desk, call, contribution_id)


async def _write(desk: Desk, call: Call, order: ContributionOrder) -> UUID:
    """T1: key, row and the job that goes on after a crash."""
    caller_id = call.signed_in.id
    payer_id = order.user_id or caller_id
    async with desk.database.unit(call.tenant_id, user_id=caller_id) as session:
        view = await require_view(session, order.group_id, caller_id)
        if payer_id != caller_id:
            domain.require(view.role, Right.KEEP_CASH)
        check_currency(view.group, order.currency)
        # The lock keeps the member here until the contribution can be seen.
        member = await groups.find_member(session, order.group_id, payer_id, lock=True)
        if member is None or member.state is not MemberState.ACTIVE:
            raise NotFound
        made = _new(desk, call, order, member)
        claim = await idempotency.claim(session, call, resource_id=made.id)
        if claim.is_new:
            await contributions.insert_contribution(session, made)
            if made.method is not Method.CASH:
                await _defer(desk, session, made, run_at=made.create_time + keys.RECOVERY)
    return claim.resource_id


def _new(desk: Desk, call: Call, order: ContributionOrder, member: Member) -> Contribution:
    return Contribution(
        tenant_id=call.tenant_id,
        id=desk.clock.new_id(),
        group_id=order.group_id,
        user_id=member.user_id,
        name=member.name,
        method=order.method,
        currency=order.currency,
        amount_minor=order.amount_minor,
        recorder_id=call.signed_in.id,
        create_time=desk.clock.now(),
        source_wallet_id=order.source_wallet_id,
        phone=order.phone,
    )


async def _defer(desk: Desk, session: Session, one: Contribution, *, run_at: datetime) -> None:
    await desk.jobs.defer(
        session,
        CONTRIBUTION_JOB,
        run_at=run_at,
        tenant_id=one.tenant_id,
        contribution_id=str(one.id),
    )


# --- carried on -------------------------------------------------------------------------------------------------------


async def drive(desk: Desk, tenant_id: str, contribution_id: UUID) -> None:
    """Carry a contribution as far as it goes now; may be repeated by anyone at any time. Also the job after a crash."""
    async with desk.database.unit(tenant_id) as session:
        found = await contributions.find_contribution(session, contribution_id)
        assert found is not None, "contributions are never deleted"
        group = await groups.find_group(session, found.group_id)
        assert group is not None, "a contribution has a group"
    if found.state is not ContributionState.PENDING:
        return
    if found.method is Method.CASH:
        if found.booking_id is not None:
            await _book(desk, group, found)
        return
    told = await desk.payments.contribute(group, found)
    crash.reach("groups.contribution.after_payment")
    async with desk.database.unit(tenant_id) as session:
        await hear(desk, session, contribution_id, told)
    crash.reach("groups.contribution.after_t2")


async def hear(desk: Desk, session: Session, contribution_id: UUID, told: Told) -> bool:
    """What payments says changes the row and the member's total, once. False: there is no such contribution."""
    before = await contributions.find_contribution(session, contribution_id, lock=True)
    if before is None:
        return False
    after = domain.contribution_after(before, told, desk.clock.now())
    if after is not before:
        await _save(desk, session, before, after)
    return True


async def _save(desk: Desk, session: Session, before: Contribution, after: Contribution) -> None:
    await contributions.update_contribution(session, after)
    more = domain.counted_minor(after) - domain.counted_minor(before)
    if more:
        is_cash = after.method is Method.CASH
        await groups.add_totals(
            session,
            after.group_id,
            after.user_id,
            contributed_minor=0 if is_cash else more,
            cash_minor=more if is_cash else 0,
        )
    if after.state is ContributionState.COMPLETED:
        group = await groups.find_group(session, after.group_id)
        assert group is not None, "a contribution has a group"
        officers = await groups.list_officers(session, after.group_id, Right.KEEP_CASH)
        await events.append_contribution(session, group, after, officers, now=desk.clock.now())


# --- cash -------------------------------------------------------------------------------------------------------------


async def confirm_contribution(
    desk: Desk, call: Call, group_id: UUID, contribution_id: UUID
) -> Contribution:
    """A second person says that the cash is there; it is booked when this answers."""
    user_id = call.signed_in.id
    if await keys.earlier(desk, call) is None:
        async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
            view = await require_view(session, group_id, user_id)
            found = await contributions.find_contribution(session, contribution_id, lock=True)
            if found is None or found.group_id != group_id:
                raise NotFound
            claim = await idempotency.claim(session, call, resource_id=contribution_id)
            if claim.is_new:
                domain.require_confirm(found, user_id, view.role)
                if found.booking_id is not None:
                    raise ContributionStateInvalid  # confirmed with another key a moment ago
                now = desk.clock.now()
                confirmed = replace(found, booking_id=desk.clock.new_id(), confirmer_id=user_id)
                await contributions.update_contribution(session, confirmed)
                await _defer(desk, session, confirmed, run_at=now + keys.RECOVERY)
        crash.reach("groups.cash.after_t1")
    await drive(desk, call.tenant_id, contribution_id)
    return await _answer(desk, call, contribution_id)


async def _book(desk: Desk, group: Group, found: Contribution) -> None:
    """The ledger entry of confirmed cash, then T2. An id that became too old before anything was booked is replaced."""
    for _ in range(_BOOK_TRIES):
        refused = await desk.ledger.book_cash(group, found)
        crash.reach("groups.cash.after_post")
        if not refused:
            break
        if refused != "ID_TIME_OUT_OF_RANGE":
            telemetry.log.error(
                "ledger_refused", contribution_id=str(found.id), reason=refused, step="cash"
            )
            raise ServiceUnavailable
        async with desk.database.unit(found.tenant_id) as session:
            before = await contributions.find_contribution(session, found.id, lock=True)
            assert before is not None, "it was there a moment ago"
            if before.booking_id == found.booking_id:
                before = replace(before, booking_id=desk.clock.new_id())
                await contributions.update_contribution(session, before)
        found = before
    else:
        raise ServiceUnavailable
    async with desk.database.unit(found.tenant_id) as session:
        await hear(desk, session, found.id, Told("COMPLETED", found.amount_minor))
    crash.reach("groups.cash.after_t2")


# --- answers ----------------------------------------------------------------------------------------------------------


async def _answer(desk: Desk, call: Call, contribution_id: UUID) -> Contribution:
    """The contribution as it stood when the key was first answered. Raises what payments or the ledger refused."""
    async with desk.database.unit(call.tenant_id) as session:
        found = await contributions.find_contribution(session, contribution_id, lock=True)
        known = await groups.find_key(session, call)
        assert found is not None and known is not None, "T1 wrote both"
        remembered: dict[str, Any] | None = known[2]
        if remembered is None:
            remembered = {
                "state": found.state,
                "amount_minor": found.amount_minor,
                "failure_reason": found.failure_reason,
            }
            await idempotency.remember_answer(session, call, remembered)
    answered = replace(
        found,
        state=ContributionState(remembered["state"]),
        amount_minor=remembered["amount_minor"],
        failure_reason=remembered["failure_reason"],
    )
    if answered.state is ContributionState.FAILED:
        refusal = refusal_of(answered.failure_reason)
        if refusal is not None:
            raise refusal
    return answered


async def list_contributions(
    desk: Desk, call: Call, group_id: UUID, *, before_id: UUID | None, size: int
) -> tuple[Group, Sequence[Contribution], Totals, Sequence[Member]]:
    """Contributions newest first, the group's totals, and on the first page those of each member."""
    user_id = call.signed_in.id
    async with desk.database.unit(call.tenant_id) as session:
        view = await require_view(session, group_id, user_id)
        found = await contributions.list_contributions(
            session, group_id, before_id=before_id, size=size
        )
        totals = (await groups.group_totals(session, [group_id], user_id))[group_id]
        members = [] if before_id else await groups.list_members(session, group_id)
    return view.group, found, totals, members
