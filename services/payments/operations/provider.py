"""Asks providers how requests ended, and listens to what they send.

An answer to a question is believed. A callback that anyone could have sent is only a reason to ask.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.kit import telemetry
from services.kit.database import ALL_TENANTS, Session
from services.kit.errors import NotFound
from services.payments import domain, store
from services.payments.domain import (
    HookAddress,
    Observation,
    Reply,
    Source,
    State,
    Transaction,
    Word,
)
from services.payments.errors import ProviderSilent
from services.payments.operations import steps
from services.payments.operations.desk import Desk, Rail

__all__ = ["ask", "process_callback", "purge_callbacks", "receive_callback"]

_PROMPT_PAUSES = (timedelta(seconds=1), timedelta(seconds=3), timedelta(seconds=10))
"""After a callback the provider is asked at once, and again after these, because its books may lag behind its calls."""

_CALLBACKS_KEPT = timedelta(days=30)


# --- asking -----------------------------------------------------------------------------------------------------------


async def ask(
    desk: Desk, tenant_id: str, transaction_id: UUID, *, question: int | None, tries: int
) -> None:
    """The job: ask the provider. `question` is the place in the schedule; None for a question out of turn."""
    transaction = await steps.load(desk, tenant_id, transaction_id)
    if not _is_worth_asking(transaction):
        return
    if question is not None and question != transaction.ask_count:
        return  # a twin of this job has asked
    try:
        reply = await desk.rails.rail(transaction.rail).ask(transaction)
    except ProviderSilent as silence:
        reply = Reply(raw=f"no answer: {silence.message}")
    async with desk.database.unit(tenant_id) as session:
        before = await store.find_transaction(session, transaction_id, lock=True)
        assert before is not None, "transactions are never deleted"
        now = desk.clock.now()
        await store.insert_evidence(
            session,
            tenant_id,
            new_id=desk.clock.new_id(),
            source=Source.QUERY,
            body=reply.raw,
            now=now,
            transaction_id=transaction_id,
        )
        after = await _heard(session, before, reply.observation, now)
        if question is not None and before.ask_count == question:
            after = await _next_question(desk, session, after, reply.observation, now)
        elif tries < len(_PROMPT_PAUSES) and after.outcome is before.outcome:
            await _ask_again(desk, session, after, tries=tries, now=now)
        await _save_heard(desk, session, before, after)
    steps.reach(transaction, "after_t3")


def _is_worth_asking(transaction: Transaction) -> bool:
    return (
        transaction.send_attempt_time is not None
        and transaction.outcome is not domain.Outcome.SUCCEEDED
        and transaction.state in {*domain.WAITING, State.FAILED}
        and not transaction.suspended
    )


async def _heard(
    session: Session, before: Transaction, said: Observation | None, now: datetime
) -> Transaction:
    """T3: what is believed changes the row; one receipt never completes two transactions."""
    if said is None:
        return before
    after = domain.heard(before, said)
    if after is before or not said.receipt or said.word is not Word.SUCCEEDED:
        return after
    if await store.claim_receipt(session, before.rail, said.receipt, before):
        return after
    telemetry.log.error("receipt_taken", transaction_id=str(before.id))
    if before.state in (State.PROCESSING, State.UNKNOWN):
        return domain.moved(
            before,
            State.MANUAL_REVIEW,
            now=now,
            failure_reason="PROVIDER_CALLBACK_UNKNOWN",
            failure_message="The provider's receipt belongs to another transaction.",
        )
    return before


async def _save_heard(
    desk: Desk, session: Session, before: Transaction, after: Transaction
) -> None:
    """Write what was heard; once it is known how it ended, a job written with it takes the next step."""
    await steps.save(desk, session, before, after)
    if after.outcome is not before.outcome:
        await steps.defer_drive(desk, session, after)


async def _next_question(
    desk: Desk,
    session: Session,
    transaction: Transaction,
    said: Observation | None,
    now: datetime,
) -> Transaction:
    """A question of the schedule was asked: plan the next one, and say so when nobody knows how it ended."""
    after = replace(transaction, ask_count=transaction.ask_count + 1)
    if after.outcome is not None:
        return after
    goes_on = await steps.defer_question(desk, session, after)
    if not goes_on and after.state in (State.PROCESSING, State.UNKNOWN):
        return domain.silent(after, State.MANUAL_REVIEW, now=now)
    is_under_way = said is not None and said.word is Word.UNDER_WAY
    if after.state is State.PROCESSING and not is_under_way:
        return domain.silent(after, State.UNKNOWN, now=now)
    return after


async def _ask_again(
    desk: Desk, session: Session, transaction: Transaction, *, tries: int, now: datetime
) -> None:
    await desk.jobs.defer(
        session,
        steps.ASK_JOB,
        run_at=now + _PROMPT_PAUSES[tries],
        tenant_id=transaction.tenant_id,
        transaction_id=str(transaction.id),
        question=None,
        tries=tries + 1,
    )


# --- listening --------------------------------------------------------------------------------------------------------


async def receive_callback(desk: Desk, *, provider: str, secret: str, body: bytes) -> None:
    """Keep a callback and have it looked at. Raises NotFound for a wrong provider or secret."""
    address = desk.addresses.read(secret)
    rail = desk.rails.of_provider(provider)
    if address is None or rail is None:
        raise NotFound
    callback_id = desk.clock.new_id()
    async with desk.database.unit(None) as session:
        await store.insert_callback(
            session,
            new_id=callback_id,
            rail=rail.id,
            transaction_id=address.transaction_id,
            answers_question=address.answers_question,
            body=body,
            now=desk.clock.now(),
        )
        await desk.jobs.defer(session, steps.CALLBACK_JOB, callback_id=str(callback_id))


async def process_callback(desk: Desk, callback_id: UUID) -> None:
    """The job: look at a callback once."""
    async with desk.database.unit(ALL_TENANTS) as session:
        stored = await store.find_callback(session, callback_id)
        if stored is None:
            return
        rail_id, transaction_id, answers_question, body = stored
        tenant_id = (
            None if transaction_id is None else await store.find_tenant(session, transaction_id)
        )
    if tenant_id is None or transaction_id is None:
        await _keep_stray(desk, callback_id, body)
        return
    address = HookAddress(transaction_id, answers_question)
    await _hear_callback(desk, tenant_id, callback_id, desk.rails.rail(rail_id), address, body)


async def _keep_stray(desk: Desk, callback_id: UUID, body: bytes) -> None:
    """A callback for nothing known: staff of the home tenant looks at it."""
    async with desk.database.unit(desk.home_tenant) as session:
        if await store.find_callback(session, callback_id) is None:
            return
        now = desk.clock.now()
        await store.open_case(
            session,
            desk.home_tenant,
            new_id=callback_id,
            transaction_id=None,
            reason="PROVIDER_CALLBACK_UNKNOWN",
            now=now,
        )
        await store.insert_evidence(
            session,
            desk.home_tenant,
            new_id=callback_id,
            source=Source.CALLBACK,
            body=_readable(body),
            now=now,
            review_case_id=callback_id,
        )
        await store.finish_callback(session, callback_id, now)


async def _hear_callback(
    desk: Desk, tenant_id: str, callback_id: UUID, rail: Rail, address: HookAddress, body: bytes
) -> None:
    assert address.transaction_id is not None, "strays go elsewhere"
    async with desk.database.unit(tenant_id) as session:
        if await store.find_callback(session, callback_id) is None:
            return
        before = await store.find_transaction(session, address.transaction_id, lock=True)
        assert before is not None, "transactions are never deleted"
        now = desk.clock.now()
        await store.insert_evidence(
            session,
            tenant_id,
            new_id=callback_id,
            source=Source.QUERY if address.answers_question else Source.CALLBACK,
            body=_readable(body),
            now=now,
            transaction_id=before.id,
        )
        after = before
        if address.answers_question:
            after = await _heard(session, before, rail.read_answer(before, body), now)
        else:
            notice = rail.read_notice(body)
            after = replace(
                before,
                provider_request_id=before.provider_request_id or notice.request_id,
                provider_conversation_id=before.provider_conversation_id or notice.conversation_id,
            )
            await desk.jobs.defer(
                session,
                steps.ASK_JOB,
                tenant_id=tenant_id,
                transaction_id=str(before.id),
                question=None,
                tries=0,
            )
        await _save_heard(desk, session, before, after)
        await store.finish_callback(session, callback_id, now)
    if address.answers_question:
        steps.reach(before, "after_t3")


async def purge_callbacks(desk: Desk) -> None:
    """Forget what was dealt with long ago; it stands in the evidence."""
    async with desk.database.unit(None) as session:
        await store.purge_callbacks(session, desk.clock.now() - _CALLBACKS_KEPT)


def _readable(body: bytes) -> str:
    """The body as text that the database takes."""
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")
