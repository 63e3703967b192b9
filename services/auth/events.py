"""What the auth service tells the others, written into the unit that makes it true."""

from datetime import datetime

from hazina.auth.v1 import auth_events_pb2
from services.auth.domain import Person
from services.kit import outbox
from services.kit.database import Session

__all__ = ["News"]


class News:
    """Events about people. The aggregate is the person; versions count their events without gaps."""

    async def verified(
        self, session: Session, person: Person, tenant_id: str, now: datetime
    ) -> None:
        """`auth.user.verified`: a person proved an identifier for the first time."""
        await outbox.append(
            session,
            type="auth.user.verified",
            tenant_id=tenant_id,
            aggregate_id=str(person.id),
            aggregate_version=person.version,
            payload=auth_events_pb2.UserVerified(**_facts(person)),
            actor=f"user:{person.id}",
            occur_time=now,
        )

    async def updated(
        self, session: Session, person: Person, tenant_id: str, version: int, now: datetime
    ) -> None:
        """`auth.user.updated`, once for each tenant of the person."""
        await outbox.append(
            session,
            type="auth.user.updated",
            tenant_id=tenant_id,
            aggregate_id=str(person.id),
            aggregate_version=version,
            payload=auth_events_pb2.UserUpdated(**_facts(person)),
            actor=f"user:{person.id}",
            occur_time=now,
        )

    async def member_added(
        self, session: Session, person: Person, tenant_id: str, actor: str, now: datetime
    ) -> None:
        """`auth.member.added`: a verified person got a place in a further tenant."""
        await outbox.append(
            session,
            type="auth.member.added",
            tenant_id=tenant_id,
            aggregate_id=str(person.id),
            aggregate_version=person.version,
            payload=auth_events_pb2.MemberAdded(**_facts(person)),
            actor=actor,
            occur_time=now,
        )


def _facts(person: Person) -> dict[str, str]:
    return {
        "user_id": str(person.id),
        "display_name": person.display_name,
        "email": person.email,
        "phone": person.phone,
        "locale": person.locale,
    }
