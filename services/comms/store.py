"""Every query of the comms service. Sessions are units of one tenant; nothing here commits."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from services.comms.domain import Channel, Contact, Message, Recipient, State
from services.comms.tables import contact, message
from services.kit.database import Session

__all__ = [
    "add_message",
    "begin_attempt",
    "delete_messages",
    "end_attempt",
    "find_contact",
    "find_message",
    "save_contact",
]


async def save_contact(session: Session, tenant_id: str, person: Contact, *, now: datetime) -> None:
    """Remember how to reach a person, unless something newer is known."""
    values = {
        "display_name": person.display_name,
        "email": person.email,
        "phone": person.phone,
        "locale": person.locale,
        "version": person.version,
        "update_time": now,
    }
    statement = insert(contact).values(tenant_id=tenant_id, user_id=person.user_id, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "user_id"],
            set_=values,
            where=contact.c.version < person.version,
        )
    )


async def find_contact(session: Session, tenant_id: str, user_id: UUID) -> Contact | None:
    """How to reach a person of the tenant."""
    row = (
        await session.execute(
            select(contact).where(contact.c.tenant_id == tenant_id, contact.c.user_id == user_id)
        )
    ).one_or_none()
    if row is None:
        return None
    return Contact(row.user_id, row.display_name, row.email, row.phone, row.locale, row.version)


async def add_message(session: Session, new: Message, *, now: datetime) -> bool:
    """Store a message that waits to be sent; False when its id is taken. Waits for a twin's transaction."""
    statement = insert(message).values(
        tenant_id=new.tenant_id,
        id=new.id,
        template=new.template,
        locale=new.locale,
        channel=new.recipient.channel.value,
        recipient=new.recipient.address,
        subject=new.subject,
        body=new.body,
        user_id=new.user_id,
        fingerprint=new.fingerprint,
        state=State.QUEUED.value,
        create_time=now,
        update_time=now,
    )
    added = await session.scalar(statement.on_conflict_do_nothing().returning(message.c.id))
    return added is not None


async def find_message(session: Session, tenant_id: str, message_id: UUID) -> Message | None:
    """A message as it stands."""
    row = (
        await session.execute(
            select(message).where(message.c.tenant_id == tenant_id, message.c.id == message_id)
        )
    ).one_or_none()
    return None if row is None else _message(row._mapping)


async def begin_attempt(
    session: Session, tenant_id: str, message_id: UUID, *, now: datetime, lease_time: datetime
) -> Message | None:
    """Own the message until `lease_time`. None unless it waits, or its last owner's time is over."""
    statement = (
        update(message)
        .where(
            message.c.tenant_id == tenant_id,
            message.c.id == message_id,
            or_(
                message.c.state == State.QUEUED.value,
                and_(message.c.state == State.SENDING.value, message.c.lease_time <= now),
            ),
        )
        .values(
            state=State.SENDING.value,
            attempts=message.c.attempts + 1,
            lease_time=lease_time,
            update_time=now,
        )
        .returning(message)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else _message(row._mapping)


async def end_attempt(
    session: Session,
    owned: Message,
    *,
    state: State,
    fault: str,
    provider_message_id: str,
    now: datetime,
) -> bool:
    """Note how an attempt ended. A message that was sent is sent, even if another attempt owns it by now."""
    statement = update(message).where(
        message.c.tenant_id == owned.tenant_id,
        message.c.id == owned.id,
        message.c.state != State.SENT.value,
    )
    if state is not State.SENT:
        statement = statement.where(message.c.attempts == owned.attempts)
    statement = statement.values(
        state=state.value,
        lease_time=None,
        fault=fault,
        provider_message_id=provider_message_id,
        update_time=now,
    )
    return bool((await session.execute(statement)).rowcount)


async def delete_messages(session: Session, *, before: datetime) -> int:
    """Forget messages made before that, of all tenants; the session must be a unit of ALL_TENANTS."""
    result = await session.execute(delete(message).where(message.c.create_time < before))
    return int(result.rowcount)


def _message(row: Mapping[Any, Any]) -> Message:
    return Message(
        id=row["id"],
        tenant_id=row["tenant_id"],
        template=row["template"],
        locale=row["locale"],
        recipient=Recipient(Channel(row["channel"]), row["recipient"]),
        subject=row["subject"],
        body=row["body"],
        user_id=row["user_id"],
        fingerprint=bytes(row["fingerprint"]),
        state=State(row["state"]),
        attempts=row["attempts"],
        fault=row["fault"],
    )
