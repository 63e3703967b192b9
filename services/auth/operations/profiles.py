"""A person's own profile and authenticator app, and finding other people."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pyotp

from services.auth import domain
from services.auth.domain import Identifier, Person
from services.auth.errors import (
    EtagMismatch,
    TotpAlreadyEnabled,
    TotpInvalid,
    TotpNotEnabled,
)
from services.auth.operations import second_factor, tries
from services.auth.operations.desk import EVERYWHERE, Desk, Origin
from services.auth.store import people, sessions
from services.kit.errors import NotFound

_APP_NAME = "Hazina"


async def get_me(desk: Desk, *, tenant_id: str, user_id: UUID) -> Person:
    """The person's own profile."""
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        person = await people.find(session, user_id)
    if person is None:
        raise NotFound
    return person


async def update_me(
    desk: Desk, *, user_id: UUID, display_name: str | None, locale: str | None, etag: str
) -> Person:
    """Change name or locale; None leaves it. Every tenant of the person hears of it. Raises EtagMismatch."""
    async with desk.database.unit(EVERYWHERE, user_id=user_id) as session:
        person = await people.find(session, user_id, locked=True)
        if person is None:
            raise NotFound
        if etag and etag != domain.etag(person):
            raise EtagMismatch
        changed = replace(
            person,
            display_name=person.display_name if display_name is None else display_name,
            locale=person.locale if locale is None else locale,
        )
        if changed == person:
            return person
        # One event for each tenant, and each counts: versions of a person have no gaps.
        changed = replace(changed, version=person.version + len(person.places))
        await people.change_profile(session, changed)
        now = desk.clock.now()
        for number, place in enumerate(person.places, start=1):
            await desk.news.updated(session, changed, place.tenant_id, person.version + number, now)
    return changed


async def list_users(
    desk: Desk,
    *,
    tenant_id: str,
    user_id: UUID,
    query: str,
    identifier: Identifier,
    after: tuple[str, UUID] | None,
    count: int,
) -> Sequence[Person]:
    """People of the tenant by name, or the one with this identifier."""
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        return await people.search(
            session, tenant_id, name=query, identifier=identifier, after=after, count=count
        )


async def enroll_totp(desk: Desk, *, tenant_id: str, user_id: UUID) -> tuple[str, str]:
    """Start an authenticator app: its secret and otpauth address. Raises TotpAlreadyEnabled."""
    secret = pyotp.random_base32()
    sealed = desk.derivation.seal_totp(user_id, secret)
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        person = await people.find(session, user_id)
        if person is None:
            raise NotFound
        if not await sessions.start_totp(session, user_id, sealed, desk.clock.now()):
            raise TotpAlreadyEnabled
    name = person.email or person.phone
    return secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_APP_NAME)


async def confirm_totp(desk: Desk, origin: Origin, *, user_id: UUID, code: str) -> None:
    """Turn the app on by its first code. Raises TotpNotEnabled, TotpAlreadyEnabled, TotpInvalid, TooManyAttempts."""
    now = desk.clock.now()
    async with desk.database.unit(origin.tenant_id, user_id=user_id) as session:
        totp = await sessions.lock_totp(session, user_id)
        if totp is None:
            raise TotpNotEnabled
        if totp.is_confirmed:
            raise TotpAlreadyEnabled
        subject = Identifier("user", str(user_id))
        wait = await tries.count(desk, session, tries.GIVE_TOTP, subject, origin, now)
        step = None if wait else second_factor.matching_step(desk, totp, code, now)
        if step is not None:
            await sessions.confirm_totp(session, user_id, step, now)
            await tries.forget(desk, session, tries.GIVE_TOTP, subject, origin)
    tries.refuse(wait)
    if step is None:
        raise TotpInvalid


async def disable_totp(desk: Desk, origin: Origin, *, user_id: UUID, code: str) -> None:
    """Turn the app off by a good code. Raises TotpNotEnabled, TotpInvalid, TooManyAttempts."""
    now = desk.clock.now()
    async with desk.database.unit(origin.tenant_id, user_id=user_id) as session:
        totp = await sessions.lock_totp(session, user_id)
        if totp is None or not totp.is_confirmed:
            raise TotpNotEnabled
        subject = Identifier("user", str(user_id))
        wait = await tries.count(desk, session, tries.GIVE_TOTP, subject, origin, now)
        step = None if wait else second_factor.matching_step(desk, totp, code, now)
        if step is not None:
            await sessions.drop_totp(session, user_id)
            await tries.forget(desk, session, tries.GIVE_TOTP, subject, origin)
    tries.refuse(wait)
    if step is None:
        raise TotpInvalid
