"""Carries transactions from state to state: each step is one ledger or provider call between two local transactions.

Any step may be repeated by anyone, at any time, after any crash: ledger ids are derived from the transaction, the
provider is called once and only asked afterwards, and a row is changed only while it still wants this very step.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.kit import crash, telemetry
from services.kit.database import ALL_TENANTS, Session
from services.kit.errors import ServiceUnavailable
from services.kit.money import Money
from services.payments import domain, events, store
from services.payments.domain import Flow, Kind, Outcome, State, Step, Transaction
from services.payments.errors import ProviderSilent
from services.payments.operations.desk import Desk

__all__ = [
    "ASK_JOB",
    "CALLBACK_JOB",
    "DRIVE_JOB",
    "LEASE",
    "SYSTEM",
    "begin",
    "drive",
    "resume",
    "save",
    "sweep",
]

DRIVE_JOB, ASK_JOB, CALLBACK_JOB = "payments.drive", "payments.ask", "payments.callback"
SYSTEM = "service:payments"

Remember = Callable[[Session, Transaction], Awaitable[None]]
"""Keeps what a caller will be answered, in the transaction that makes it true."""

LEASE = timedelta(seconds=4)
"""How long one driver has a PENDING transaction for itself: longer than a ledger call may take."""

_RECOVERY = timedelta(seconds=5)
"""When a job looks whether the call that made a transaction has also finished it."""

_GIVE_UP = {Flow.IN: timedelta(minutes=5), Flow.OUT: timedelta(hours=1)}
"""How long a provider that cannot be reached is waited for, while nothing was sent."""

_SWEEP_AFTER = timedelta(minutes=10)
_SWEEP_SIZE = 100
_STEPS_MAX = 12
_LATE_TRIES = 5

_LEDGER_REASONS = {
    "INSUFFICIENT_FUNDS": "INSUFFICIENT_FUNDS",
    "ACCOUNT_FROZEN": "WALLET_FROZEN",
    "DEBIT_ACCOUNT_NOT_FOUND": "WALLET_NOT_FOUND",
    "CREDIT_ACCOUNT_NOT_FOUND": "RECIPIENT_NOT_FOUND",
    "ACCOUNTS_SAME": "RECIPIENT_IS_SOURCE",
    "CURRENCY_MISMATCH": "CURRENCY_MISMATCH",
    "AMOUNT_OVERFLOW": "AMOUNT_OVERFLOW",
    "HOLD_EXPIRED": "HOLD_EXPIRED",
    "HOLD_ALREADY_VOIDED": "HOLD_EXPIRED",
    "HOLD_NOT_FOUND": "HOLD_EXPIRED",
    "ID_TIME_OUT_OF_RANGE": "TRANSACTION_TOO_OLD",
}
_FAILURE_MESSAGES = {
    "INSUFFICIENT_FUNDS": "The wallet held too little for amount and fee.",
    "WALLET_FROZEN": "The wallet is frozen.",
    "WALLET_NOT_FOUND": "There is no such wallet.",
    "RECIPIENT_NOT_FOUND": "Nobody here can be paid under this name.",
    "RECIPIENT_IS_SOURCE": "A wallet cannot pay itself.",
    "CURRENCY_MISMATCH": "The amount is not in the currency of the wallet.",
    "AMOUNT_OVERFLOW": "Amount and fee together are too large.",
    "HOLD_EXPIRED": "The held money was released before it was paid out.",
    "TRANSACTION_TOO_OLD": "It could not be carried out in time and was given up; nothing moved.",
}


# --- beginning and saving ---------------------------------------------------------------------------------------------


async def begin(desk: Desk, session: Session, made: Transaction, *, lease_id: UUID | None) -> None:
    """T1: the row, its event, and the job that carries it on after a crash. With a lease, the caller goes on itself."""
    now = made.create_time
    await store.insert_transaction(
        session, made, lease_id=lease_id, lease_end_time=now + LEASE if lease_id else None
    )
    if made.rail:
        await store.insert_provider_request(session, made, due_time=now + _SWEEP_AFTER)
    await events.append_changed(session, made, actor=made.actor)
    await defer_drive(desk, session, made, run_at=now + _RECOVERY if lease_id else None)


async def defer_drive(
    desk: Desk, session: Session, transaction: Transaction, *, run_at: datetime | None = None
) -> None:
    """Have a job carry a transaction on."""
    await desk.jobs.defer(
        session,
        DRIVE_JOB,
        run_at=run_at,
        tenant_id=transaction.tenant_id,
        transaction_id=str(transaction.id),
    )


async def save(
    desk: Desk,
    session: Session,
    before: Transaction,
    after: Transaction,
    *,
    actor: str = SYSTEM,
    case_reason: str = "",
) -> None:
    """Write a changed transaction; a change of state is also told, and opens or closes the case for people.

    `case_reason` keeps a case open that its end would close.
    """
    if after == before:
        return
    await store.update_transaction(session, after)
    if after.version == before.version:
        return
    assert after.version == before.version + 1, "states change one at a time"
    now = after.update_time
    await events.append_changed(session, after, actor=actor)
    if after.state in (State.UNKNOWN, State.MANUAL_REVIEW):
        case_reason = after.failure_reason
    else:
        await store.overtake_reviews(session, after.id, now)
    if case_reason:
        await store.open_case(
            session,
            after.tenant_id,
            new_id=desk.clock.new_id(),
            transaction_id=after.id,
            reason=case_reason,
            now=now,
        )
    else:
        await store.close_case(session, after.id, now)
    if after.rail and (not after.is_open or after.state is State.MANUAL_REVIEW):
        await store.close_provider_request(session, after.id)


def reach(transaction: Transaction, point: str) -> None:
    """A crash point between two steps; see the README."""
    crash.reach(f"payments.{transaction.kind.lower()}.{point}")


async def load(desk: Desk, tenant_id: str, transaction_id: UUID) -> Transaction:
    """A transaction as it stands."""
    async with desk.database.unit(tenant_id) as session:
        found = await store.find_transaction(session, transaction_id)
    assert found is not None, "transactions are never deleted"
    return found


# --- driving ----------------------------------------------------------------------------------------------------------


async def drive(desk: Desk, tenant_id: str, transaction_id: UUID, *, lease_id: UUID) -> Transaction:
    """Carry a transaction as far as it goes now. Raises ServiceUnavailable or ProviderSilent if it cannot go on."""
    transaction = await load(desk, tenant_id, transaction_id)
    for _ in range(_STEPS_MAX):
        step = domain.next_step(transaction)
        if step is Step.NOTHING:
            break
        if transaction.state is State.PENDING:
            done = await first_step(desk, transaction, step, lease_id=lease_id, sends=True)
        else:
            done = await _LATER[step](desk, transaction, step)
        transaction = await load(desk, tenant_id, transaction_id)
        if not done:
            break
    return transaction


async def resume(desk: Desk, tenant_id: str, transaction_id: UUID) -> None:
    """The job: carry a transaction on, wherever a call or a crash left it."""
    lease_id = desk.clock.new_id()
    transaction = await load(desk, tenant_id, transaction_id)
    if transaction.state is State.PENDING:
        now = desk.clock.now()
        async with desk.database.unit(tenant_id) as session:
            leased = await store.take_lease(
                session, transaction_id, lease_id=lease_id, now=now, lease=LEASE
            )
            if leased is None:
                # Somebody else is at it; look again when their lease is over.
                await defer_drive(desk, session, transaction, run_at=now + LEASE)
                return
    transaction = await drive(desk, tenant_id, transaction_id, lease_id=lease_id)
    if transaction.state is State.FAILED and transaction.send_attempt_time is None:
        await _verify_refusal(desk, transaction)


async def sweep(desk: Desk) -> None:
    """Have jobs look after open transactions that nothing seems to move: a net below all other nets."""
    now = desk.clock.now()
    async with desk.database.unit(ALL_TENANTS) as session:
        for tenant_id, transaction_id in await store.list_due_requests(
            session, now, size=_SWEEP_SIZE
        ):
            await store.postpone_provider_request(session, transaction_id, now + _SWEEP_AFTER)
            args: dict[str, Any] = {"tenant_id": tenant_id, "transaction_id": str(transaction_id)}
            await desk.jobs.defer(session, DRIVE_JOB, **args)
            await desk.jobs.defer(session, ASK_JOB, **args, question=None, tries=0)


# --- the first step ---------------------------------------------------------------------------------------------------


async def first_step(
    desk: Desk,
    transaction: Transaction,
    step: Step,
    *,
    lease_id: UUID,
    sends: bool,
    remember: Remember | None = None,
) -> bool:
    """Do the step of a PENDING transaction, whose lease is ours. `sends`: go on to the provider if there is one.

    `remember` is called in T2 with the ended transaction. False: the step could not be done and has to wait.
    """
    if step is Step.SEND:
        return await _send(desk, transaction) if sends else False
    if step is Step.HOLD and sends and await _gave_up(desk, transaction):
        return True
    actor = transaction.actor
    if step is Step.UNDO:
        assert transaction.reversal_transaction_id is not None, "a reversal undoes something"
        original = await load(desk, transaction.tenant_id, transaction.reversal_transaction_id)
        made = domain.undo_entries(transaction, original)
    else:
        made = domain.entries(transaction, step)
    refused = await desk.ledger.apply(transaction, made, actor=actor)
    reach(transaction, "after_hold" if step is Step.HOLD else "after_post")
    if refused:
        await _fail_first(desk, transaction, refused, lease_id=lease_id, remember=remember)
        reach(transaction, "after_t2")
        return True
    if step is Step.HOLD:
        return await _send(desk, transaction) if sends else False
    await _complete_first(desk, transaction, step, remember=remember)
    reach(transaction, "after_t2")
    return True


async def _complete_first(
    desk: Desk, transaction: Transaction, step: Step, *, remember: Remember | None = None
) -> None:
    """T2 of a movement inside or of a reversal."""
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if before.state not in (State.PENDING, State.FAILED):
            return
        now = desk.clock.now()
        after = domain.moved(before, State.COMPLETED, now=now)
        await save(desk, session, before, after, actor=transaction.actor)
        if remember is not None:
            await remember(session, after)
        if step is Step.UNDO:
            await _mark_reversed(desk, session, before, now)


async def _mark_reversed(
    desk: Desk, session: Session, reversal: Transaction, now: datetime
) -> None:
    assert reversal.reversal_transaction_id is not None, "a reversal undoes something"
    original = await store.find_transaction(session, reversal.reversal_transaction_id, lock=True)
    assert original is not None, "what is undone exists"
    if original.state is not State.COMPLETED:
        return
    undone = domain.moved(original, State.REVERSED, now=now)
    await save(
        desk,
        session,
        original,
        replace(undone, reversal_transaction_id=reversal.id),
        actor=reversal.actor,
    )


async def _fail_first(
    desk: Desk,
    transaction: Transaction,
    refused: str,
    *,
    lease_id: UUID,
    remember: Remember | None,
) -> None:
    """T2 after a refusal by the ledger; only who has the lease may say that it failed."""
    reason = _LEDGER_REASONS.get(refused)
    if reason is None:
        telemetry.log.error(
            "ledger_refused", transaction_id=str(transaction.id), reason=refused, step="first"
        )
        raise ServiceUnavailable
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if before.state is not State.PENDING:
            return
        now = desk.clock.now()
        if not await store.has_lease(session, transaction.id, lease_id=lease_id, now=now):
            raise ServiceUnavailable
        after = domain.moved(
            before,
            State.FAILED,
            now=now,
            failure_reason=reason,
            failure_message=_FAILURE_MESSAGES[reason],
        )
        await save(desk, session, before, after, actor=transaction.actor)
        if remember is not None:
            await remember(session, after)
        if transaction.kind is Kind.REVERSAL:
            await _reject_reversal(desk, session, transaction, now)


async def _reject_reversal(
    desk: Desk, session: Session, reversal: Transaction, now: datetime
) -> None:
    """A reversal that the ledger refused had no effect, and neither had its proposal."""
    proposal = await store.find_review_for_reversal(session, reversal.id)
    if proposal is not None:
        await store.update_review(
            session,
            replace(
                proposal,
                state=domain.ReviewState.REJECTED,
                decide_time=now,
                decision_note="The ledger refused the reversal.",
            ),
        )
    assert reversal.reversal_transaction_id is not None, "a reversal undoes something"
    original = await store.find_transaction(session, reversal.reversal_transaction_id, lock=True)
    if original is not None and original.reversal_transaction_id == reversal.id:
        await save(desk, session, original, replace(original, reversal_transaction_id=None))


async def _verify_refusal(desk: Desk, transaction: Transaction) -> None:
    """After a refusal, make sure that no slower twin of the ledger call went through: then it did happen, or is freed."""
    if transaction.flow is Flow.OUT:
        held = transaction.first_step_id("hold")
        booked = await desk.ledger.booked(transaction.tenant_id, [held])
        if held in booked and booked[held].is_held:
            await desk.ledger.apply(
                transaction, domain.entries(transaction, Step.VOID), actor=SYSTEM
            )
        return
    name = "undo" if transaction.flow is Flow.UNDO else "post"
    posted = transaction.first_step_id(name)
    if transaction.flow is not Flow.IN and posted in await desk.ledger.booked(
        transaction.tenant_id, [posted]
    ):
        step = Step.UNDO if transaction.flow is Flow.UNDO else Step.POST
        await _complete_first(desk, transaction, step)


# --- the provider is called, once ------------------------------------------------------------------------------------


async def _gave_up(desk: Desk, transaction: Transaction) -> bool:
    """End a transaction for which the provider could not be reached in time. Nothing was ever sent for it."""
    now = desk.clock.now()
    if now - transaction.create_time < _GIVE_UP[transaction.flow]:
        return False
    if transaction.flow is Flow.OUT:
        refused = await desk.ledger.apply(
            transaction, domain.entries(transaction, Step.VOID), actor=SYSTEM
        )
        if refused not in ("", "HOLD_NOT_FOUND", "HOLD_ALREADY_VOIDED"):
            raise ServiceUnavailable
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if before.state is State.PENDING:
            after = domain.moved(
                before,
                State.FAILED,
                now=now,
                failure_reason="TRANSACTION_TOO_OLD",
                failure_message=_FAILURE_MESSAGES["TRANSACTION_TOO_OLD"],
            )
            await save(desk, session, before, after)
    return True


async def _send(desk: Desk, transaction: Transaction) -> bool:
    """T2, then the provider is called. Whoever commits T2 calls; after that it is only asked."""
    if transaction.flow is Flow.IN and await _gave_up(desk, transaction):
        return True
    rail = desk.rails.rail(transaction.rail)
    await rail.prepare()
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if before.state is not State.PENDING:
            return True
        now = desk.clock.now()
        sent = replace(domain.moved(before, State.PROCESSING, now=now), send_attempt_time=now)
        await save(desk, session, before, sent, actor=transaction.actor)
        await defer_question(desk, session, sent)
    reach(sent, "after_t2")
    try:
        reply = await rail.send(sent)
    except ProviderSilent as silence:
        reply = domain.Reply(raw=f"no answer: {silence.message}")
    reach(sent, "after_send")
    await _note_reply(desk, sent, reply)
    return True


async def _note_reply(desk: Desk, sent: Transaction, reply: domain.Reply) -> None:
    """What the provider answered to the request: its names for it, a refusal, or nothing that says anything."""
    async with desk.database.unit(sent.tenant_id) as session:
        before = await store.find_transaction(session, sent.id, lock=True)
        assert before is not None, "it was there a moment ago"
        now = desk.clock.now()
        await store.insert_evidence(
            session,
            sent.tenant_id,
            new_id=desk.clock.new_id(),
            source=domain.Source.RESPONSE,
            body=reply.raw,
            now=now,
            transaction_id=sent.id,
        )
        said = reply.acceptance
        after = before
        if said is None:
            if before.state is State.PROCESSING and before.outcome is None:
                after = domain.silent(before, State.UNKNOWN, now=now)
        elif not said.is_refused:
            after = replace(
                before,
                provider_request_id=said.request_id,
                provider_conversation_id=said.conversation_id,
            )
        else:
            after = domain.heard(
                before,
                domain.Observation(domain.Word.FAILED, reason=said.reason, message=said.message),
            )
        await save(desk, session, before, after)
        if after.outcome is not before.outcome:
            await defer_drive(desk, session, after)


async def defer_question(desk: Desk, session: Session, transaction: Transaction) -> bool:
    """Have the provider asked at the next time of the schedule. False: the schedule is over."""
    due = domain.question_time(transaction, scale=desk.question_scale)
    if due is None:
        return False
    await desk.jobs.defer(
        session,
        ASK_JOB,
        run_at=due,
        tenant_id=transaction.tenant_id,
        transaction_id=str(transaction.id),
        question=transaction.ask_count,
        tries=0,
    )
    await store.postpone_provider_request(session, transaction.id, due + _SWEEP_AFTER)
    return True


# --- after the provider has said how it ended ------------------------------------------------------------------------


async def _book(desk: Desk, transaction: Transaction, step: Step) -> bool:
    """A ledger step with a known end, then T4."""
    is_set_apart = step is Step.SUSPEND and transaction.flow is Flow.OUT  # it stays held
    if step is not Step.FAIL and not is_set_apart:
        made = domain.entries(transaction, step)
        refused = await desk.ledger.apply(transaction, made, actor=SYSTEM)
        reach(transaction, "after_settle" if transaction.flow is Flow.OUT else "after_post")
        if refused == "HOLD_ALREADY_VOIDED" and step is Step.SETTLE:
            # It failed first and succeeded while the hold was being freed.
            return await _book_late(desk, transaction, step)
        if refused == "HOLD_ALREADY_VOIDED" and step is Step.VOID:
            refused = ""
        if refused:
            return await _refused_later(desk, transaction, step, refused)
    await _finish(desk, transaction, step)
    reach(transaction, "after_t4")
    return True


async def _finish(
    desk: Desk, transaction: Transaction, step: Step, *, receivable_minor: int = 0
) -> None:
    """T4, unless the transaction has meanwhile come to want something else."""
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if domain.next_step(before) is not domain.next_step(transaction):
            return
        now = desk.clock.now()
        if step is Step.SUSPEND:
            after = _suspended(before, now)
        elif before.outcome is Outcome.SUCCEEDED:
            after = replace(
                domain.moved(before, State.COMPLETED, now=now),
                receivable_minor=max(receivable_minor, before.receivable_minor),
            )
        else:
            after = domain.moved(
                before,
                State.FAILED,
                now=now,
                failure_reason=before.failure_reason,
                failure_message=before.failure_message,
            )
        await save(
            desk,
            session,
            before,
            after,
            case_reason="PROVIDER_LATE_SUCCESS" if after.receivable_minor else "",
        )


def _suspended(before: Transaction, now: datetime) -> Transaction:
    """Another amount moved than was asked for: it lies in SUSPENSE, or is still held, until two people decide."""
    came = Money(before.currency, before.outcome_minor or 0).format()
    asked = Money(before.currency, domain.sent_minor(before)).format()
    waiting = before  # it may have waited for a person already, for another reason
    if before.state is not State.MANUAL_REVIEW:
        waiting = domain.moved(before, State.MANUAL_REVIEW, now=now)
    return replace(
        waiting,
        version=before.version + 1,
        suspended=True,
        update_time=now,
        failure_reason="PROVIDER_AMOUNT_MISMATCH",
        failure_message=f"{came} moved instead of {asked}.",
    )


async def _book_late(desk: Desk, transaction: Transaction, step: Step) -> bool:
    """Paid after all, though the hold was freed: take what is there, and note what is owed."""
    t = transaction
    owed_ids = [t.step_id("late_owed"), t.step_id("late_fee_owed")]
    late_ids = [t.step_id("late"), t.step_id("late_fee"), *owed_ids]
    for attempt in range(_LATE_TRIES):
        booked = await desk.ledger.booked(t.tenant_id, late_ids)
        if booked:
            break
        assert t.payer.wallet_id is not None, "a withdrawal is paid by a wallet"
        wallets = await desk.ledger.wallets(t.tenant_id, [t.payer.wallet_id])
        wallet = wallets.get(t.payer.wallet_id)
        is_usable = wallet is not None and not wallet.frozen and attempt < _LATE_TRIES - 1
        available = wallet.available_minor if wallet is not None and is_usable else 0
        refused = await desk.ledger.apply(t, domain.late_entries(t, available), actor=SYSTEM)
        reach(t, "after_settle")
        if refused == "ID_TIME_OUT_OF_RANGE":
            return await _refused_later(desk, t, step, refused)
        if refused not in (
            "",
            "INSUFFICIENT_FUNDS",
            "ACCOUNT_FROZEN",
            "EXISTS_WITH_DIFFERENT_CONTENT",
        ):
            return await _refused_later(desk, t, step, refused)
    else:
        booked = await desk.ledger.booked(t.tenant_id, late_ids)
        if not booked:
            raise ServiceUnavailable
    owed = sum(booked[one].amount_minor for one in owed_ids if one in booked)
    await _finish(desk, t, step, receivable_minor=owed)
    reach(t, "after_t4")
    return True


async def _refused_later(desk: Desk, transaction: Transaction, step: Step, refused: str) -> bool:
    """A refusal that no rule foresees: ids that are too old get a new anchor, anything else goes to a person."""
    async with desk.database.unit(transaction.tenant_id) as session:
        before = await store.find_transaction(session, transaction.id, lock=True)
        assert before is not None, "it was there a moment ago"
        if refused == "ID_TIME_OUT_OF_RANGE":
            if before.anchor_id == transaction.anchor_id:
                after = replace(before, anchor_id=desk.clock.new_id())
                await save(desk, session, before, after)
            return True
        telemetry.log.error(
            "ledger_refused", transaction_id=str(transaction.id), reason=refused, step=step.value
        )
        now = desk.clock.now()
        if before.state in (State.PROCESSING, State.UNKNOWN):
            message = f"The ledger refused: {refused}."
            after = domain.moved(
                before,
                State.MANUAL_REVIEW,
                now=now,
                failure_reason=before.failure_reason or "PROVIDER_SILENT",
                failure_message=message,
            )
            await save(desk, session, before, after)
    return False


_LATER: dict[Step, Callable[[Desk, Transaction, Step], Awaitable[bool]]] = {
    Step.SETTLE: _book,
    Step.VOID: _book,
    Step.CREDIT: _book,
    Step.ACCEPT: _book,
    Step.SUSPEND: _book,
    Step.FAIL: _book,
    Step.LATE: _book_late,
}
