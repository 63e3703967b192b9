"""Sign-up, codes and recovery: how an identifier gets an owner, and how the owner gets back in."""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from services.auth import domain
from services.auth.domain import (
    RECOVER,
    SIGN_UP,
    Identifier,
    Person,
    Secret,
    SignedIn,
    SignUp,
    Verification,
)
from services.auth.errors import (
    AccountSuspended,
    CodeInvalid,
    TotpInvalid,
    TotpRequired,
)
from services.auth.operations import second_factor, tokens, tries
from services.auth.operations.desk import EVERYWHERE, Desk, Origin
from services.auth.operations.tokens import Tokens
from services.auth.store import codes, people, sessions, tenants
from services.kit.database import Session
from services.kit.errors import TenantNotFound
from services.kit.identity import DEFAULT_TENANT

SEND_CODE_JOB = "send_code"
SEND_NOTICE_JOB = "send_identifier_taken"


@dataclass(frozen=True, slots=True)
class PendingPerson:
    """What sign-up answers, whether the identifier is free or taken."""

    id: UUID
    create_time: datetime


async def sign_up(
    desk: Desk,
    origin: Origin,
    *,
    identifier: Identifier,
    secret: Secret,
    display_name: str,
    locale: str,
) -> PendingPerson:
    """Start an account. A taken identifier costs the same and answers the same; its owner gets a message."""
    domain.check_secret(secret, identifier, desk.common_passwords)
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as session:
        if not await tenants.exists(session, origin.tenant_id):
            raise TenantNotFound
        wait = await tries.count(desk, session, tries.SEND_CODE, identifier, origin, now)
    tries.refuse(wait)
    secret_hash = await desk.hasher.hash(desk.derivation.peppered(secret))
    pending = SignUp(
        id=desk.clock.new_id(),
        tenant_id=origin.tenant_id,
        identifier=identifier,
        display_name=display_name,
        locale=locale,
        secret_kind=secret.kind,
        secret_hash=secret_hash,
        create_time=now,
    )
    async with desk.database.unit(EVERYWHERE) as session:
        owner = await people.find_by_identifier(session, identifier)
        if owner is None:
            await codes.add_sign_up(session, pending)
            await _send_code(desk, session, _for_sign_up(desk, pending, SIGN_UP, now))
        else:
            await desk.later.defer(
                session, SEND_NOTICE_JOB, message_id=str(pending.id), user_id=str(owner.id)
            )
    return PendingPerson(pending.id, now)


async def verify_identity(
    desk: Desk, origin: Origin, *, identifier: Identifier, code: str
) -> Tokens:
    """Give the code of a sign-up back: the identifier is the person's, and they are signed in."""
    now = desk.clock.now()
    signed_in = None
    async with desk.database.unit(EVERYWHERE) as session:
        if not await tenants.exists(session, origin.tenant_id):
            raise TenantNotFound
        wait = await tries.count(desk, session, tries.GIVE_CODE, identifier, origin, now)
        if not wait:
            found = await _find_code(desk, session, identifier, SIGN_UP, code, now)
            if found is not None and found.sign_up_id is not None:
                pending = await codes.find_sign_up(session, found.sign_up_id)
                assert pending is not None, "codes go with their sign-up"
                person = await _open_account(desk, session, pending, origin, now)
                signed_in = await tokens.begin_session(
                    desk, session, person, origin, methods=("pwd",), now=now
                )
                await tries.forget(desk, session, tries.GIVE_CODE, identifier, origin)
    tries.refuse(wait)
    if signed_in is None:
        raise CodeInvalid
    return tokens.sign(desk, signed_in, now)


async def resend_code(desk: Desk, origin: Origin, *, identifier: Identifier) -> None:
    """Send a new code to the newest sign-up of an identifier, if there is one that waits."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as session:
        wait = await tries.count(desk, session, tries.SEND_CODE, identifier, origin, now)
        if not wait and not await send_sign_up_code(desk, session, identifier, now):
            await _send_nothing(desk, session)
    tries.refuse(wait)


async def send_sign_up_code(
    desk: Desk, session: Session, identifier: Identifier, now: datetime
) -> bool:
    """Have a new code sent to the newest sign-up of an identifier, if one waits; answers whether."""
    owner = await people.find_by_identifier(session, identifier)
    pending = await codes.find_newest_sign_up(session, identifier)
    if owner is not None or pending is None:
        return False
    await _send_code(desk, session, _for_sign_up(desk, pending, SIGN_UP, now))
    return True


async def send_recovery_code(desk: Desk, origin: Origin, *, identifier: Identifier) -> None:
    """First step of recovery: a code goes to the person, or to the newest sign-up that waits. Answers the same for nobody."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as session:
        wait = await tries.count(desk, session, tries.SEND_CODE, identifier, origin, now)
        if not wait:
            person = await people.find_by_identifier(session, identifier)
            pending = await codes.find_newest_sign_up(session, identifier)
            if person is not None:
                verification = _for_person(desk, person, identifier, now)
                await _send_code(desk, session, verification)
            elif pending is not None:
                await _send_code(desk, session, _for_sign_up(desk, pending, RECOVER, now))
            else:
                await _send_nothing(desk, session)
    tries.refuse(wait)


class _Refusal(Enum):
    CODE = CodeInvalid
    SUSPENDED = AccountSuspended
    TOTP_REQUIRED = TotpRequired
    TOTP_WRONG = TotpInvalid


async def recover(
    desk: Desk,
    origin: Origin,
    *,
    identifier: Identifier,
    code: str,
    secret: Secret,
    totp_code: str,
) -> Tokens:
    """Second step of recovery: the code gives a new secret, ends all other sessions and signs in.

    The new secret is hashed before the code is looked at, so that a right code takes as long as a wrong one.
    """
    domain.check_secret(secret, identifier, desk.common_passwords)
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as session:
        wait = await tries.count(desk, session, tries.GIVE_CODE, identifier, origin, now)
    tries.refuse(wait)
    secret_hash = await desk.hasher.hash(desk.derivation.peppered(secret))
    async with desk.database.unit(EVERYWHERE) as session:
        outcome = await _recover(
            desk, session, origin, identifier, code, secret.kind, secret_hash, totp_code, now
        )
    if isinstance(outcome, _Refusal):
        raise outcome.value
    return tokens.sign(desk, outcome, now)


async def _recover(
    desk: Desk,
    session: Session,
    origin: Origin,
    identifier: Identifier,
    code: str,
    secret_kind: str,
    secret_hash: str,
    totp_code: str,
    now: datetime,
) -> SignedIn | _Refusal:
    found = await _find_code(desk, session, identifier, RECOVER, code, now)
    if found is None:
        return _Refusal.CODE
    methods = ["pwd"]
    if found.sign_up_id is not None:
        pending = await codes.find_sign_up(session, found.sign_up_id)
        assert pending is not None, "codes go with their sign-up"
        renewed = replace(pending, secret_kind=secret_kind, secret_hash=secret_hash)
        home = replace(origin, tenant_id=pending.tenant_id)
        person = await _open_account(desk, session, renewed, home, now)
    else:
        assert found.user_id is not None, "a code has one owner"
        owner = await people.find(session, found.user_id, locked=True)
        assert owner is not None, "codes go with their person"
        person = owner
        if person.suspend_time is not None:
            return _Refusal.SUSPENDED
        totp = await sessions.lock_totp(session, person.id)
        if totp is not None and totp.is_confirmed:
            if not totp_code:
                return _Refusal.TOTP_REQUIRED
            if not await second_factor.use(desk, session, totp, totp_code, now):
                await codes.count_attempt(session, [found.id])
                return _Refusal.TOTP_WRONG
            methods.append("otp")
        await codes.use(session, found.id, now)
        await people.set_credential(
            session, person.id, kind=secret_kind, secret_hash=secret_hash, now=now
        )
        await sessions.end_all(session, person.id, reason="recovery", now=now)
    await tries.forget(desk, session, tries.GIVE_CODE, identifier, origin)
    await tries.forget(desk, session, tries.GIVE_SECRET, identifier, origin)
    return await tokens.begin_session(desk, session, person, origin, methods=methods, now=now)


async def _find_code(
    desk: Desk, session: Session, identifier: Identifier, purpose: str, code: str, now: datetime
) -> Verification | None:
    """The live code that this is; a wrong one counts against every live one."""
    live = await codes.lock_live(
        session,
        identifier,
        purpose,
        now=now,
        attempts_max=domain.CODE_ATTEMPTS_MAX,
        count=domain.LIVE_CODES_MAX,
    )
    for verification in live:
        given = desk.derivation.code_hash(verification.id, code)
        if hmac.compare_digest(given, verification.code_hash):
            return verification
    await codes.count_attempt(session, [verification.id for verification in live])
    return None


async def _open_account(
    desk: Desk, session: Session, pending: SignUp, origin: Origin, now: datetime
) -> Person:
    """Make the person of a sign-up, with a place as member. Whoever came second for the identifier has no good code."""
    tenant_id = _home(pending, origin)
    is_first = await people.add(
        session, pending, tenant_id=tenant_id, roles=[domain.MEMBER], now=now
    )
    if not is_first:
        raise CodeInvalid
    await codes.drop_sign_ups(session, pending.identifier)
    person = await people.find(session, pending.id)
    assert person is not None, "it was added above"
    await desk.news.verified(session, person, tenant_id, now)
    return person


def _home(pending: SignUp, origin: Origin) -> str:
    """The tenant that the request names, or the one that the sign-up named."""
    return pending.tenant_id if origin.tenant_id == DEFAULT_TENANT else origin.tenant_id


def _for_sign_up(desk: Desk, pending: SignUp, purpose: str, now: datetime) -> Verification:
    return _verification(
        desk, purpose, pending.tenant_id, pending.identifier, pending.id, None, now
    )


def _for_person(desk: Desk, person: Person, identifier: Identifier, now: datetime) -> Verification:
    return _verification(desk, RECOVER, person.default_tenant_id, identifier, None, person.id, now)


def _verification(
    desk: Desk,
    purpose: str,
    tenant_id: str,
    identifier: Identifier,
    sign_up_id: UUID | None,
    user_id: UUID | None,
    now: datetime,
) -> Verification:
    code_id = desk.clock.new_id()
    return Verification(
        id=code_id,
        purpose=purpose,
        tenant_id=tenant_id,
        identifier=identifier,
        sign_up_id=sign_up_id,
        user_id=user_id,
        code_hash=desk.derivation.code_hash(code_id, desk.derivation.code(code_id)),
        create_time=now,
        expire_time=now + domain.CODE_LIFE,
    )


async def _send_code(desk: Desk, session: Session, verification: Verification) -> None:
    await codes.add(session, verification)
    await desk.later.defer(session, SEND_CODE_JOB, verification_id=str(verification.id))


async def _send_nothing(desk: Desk, session: Session) -> None:
    """What a code costs, for an identifier that gets none: a job that finds no code. So the time tells nothing, too."""
    await desk.later.defer(session, SEND_CODE_JOB, verification_id=str(desk.clock.new_id()))
