"""What is sent to people, by jobs: the code is derived when it is sent, and stands nowhere in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from services.auth.domain import EMAIL, PHONE, RECOVER, Identifier
from services.auth.operations.desk import EVERYWHERE, Desk
from services.auth.store import codes, people
from services.kit import telemetry
from services.kit.errors import RemoteRefusal

__all__ = ["Messenger", "send_code", "send_identifier_taken"]


class Messenger(Protocol):
    """The comms service. The message id makes repeating a call harmless."""

    async def send_sign_up_code(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str, code: str
    ) -> None: ...
    async def send_recovery_code(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str, code: str
    ) -> None: ...
    async def send_identifier_taken(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str
    ) -> None: ...


async def send_code(desk: Desk, messenger: Messenger, verification_id: UUID) -> None:
    """Hand a code to comms. Does nothing once the code was used or has expired."""
    async with desk.database.unit(EVERYWHERE, actor="system") as session:
        verification = await codes.find_live(session, verification_id, desk.clock.now())
        if verification is None:
            return
        if verification.sign_up_id is not None:
            pending = await codes.find_sign_up(session, verification.sign_up_id)
            assert pending is not None, "codes go with their sign-up"
            locale = pending.locale
        else:
            assert verification.user_id is not None, "a code has one owner"
            person = await people.find(session, verification.user_id)
            assert person is not None, "codes go with their person"
            locale = person.locale
    is_recovery = verification.purpose == RECOVER
    send = messenger.send_recovery_code if is_recovery else messenger.send_sign_up_code
    with _final_refusals():
        await send(
            tenant_id=verification.tenant_id,
            message_id=verification.id,
            to=verification.identifier,
            locale=locale,
            code=desk.derivation.code(verification.id),
        )


async def send_identifier_taken(
    desk: Desk, messenger: Messenger, message_id: UUID, user_id: UUID
) -> None:
    """Tell the owner of an identifier that somebody tried to sign up with it."""
    async with desk.database.unit(EVERYWHERE, actor="system") as session:
        person = await people.find(session, user_id)
    if person is None:
        return
    to = Identifier(EMAIL, person.email) if person.email else Identifier(PHONE, person.phone)
    with _final_refusals():
        await messenger.send_identifier_taken(
            tenant_id=person.default_tenant_id,
            message_id=message_id,
            to=to,
            locale=person.locale,
        )


@contextmanager
def _final_refusals() -> Iterator[None]:
    """A recipient whom the provider refuses is refused again however often we ask: the job is done."""
    try:
        yield
    except RemoteRefusal as refusal:
        if refusal.reason != "RECIPIENT_REFUSED":
            raise
        telemetry.log.warning("recipient_refused")


async def purge(desk: Desk) -> None:
    """Forget what nobody can use any more."""
    async with desk.database.unit(EVERYWHERE, actor="system") as session:
        await codes.purge(session, desk.clock.now())
