"""Login, refresh, logout, step-up, and what a person may see and end of their own sessions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from services.auth import derivation, domain
from services.auth.domain import (
    Credential,
    Identifier,
    Person,
    RefreshVerdict,
    Secret,
    Session,
    SignedIn,
)
from services.auth.errors import (
    AccountSuspended,
    CredentialsInvalid,
    IdentityNotVerified,
    RefreshTokenInvalid,
    RefreshTokenReused,
    TotpInvalid,
    TotpNotEnabled,
    TotpRequired,
)
from services.auth.operations import accounts, second_factor, tokens, tries
from services.auth.operations.desk import EVERYWHERE, Desk, Origin
from services.auth.operations.tokens import Tokens
from services.auth.store import people, sessions
from services.kit import telemetry
from services.kit.database import Session as Unit
from services.kit.errors import NotFound


class _Refusal(Enum):
    CREDENTIALS = CredentialsInvalid
    SUSPENDED = AccountSuspended
    TOTP_REQUIRED = TotpRequired
    TOTP_WRONG = TotpInvalid
    TOTP_OFF = TotpNotEnabled
    TOKEN = RefreshTokenInvalid
    REUSED = RefreshTokenReused


async def login(
    desk: Desk, origin: Origin, *, identifier: Identifier, secret: Secret, totp_code: str
) -> Tokens:
    """Sign in. Unknown identifiers, wrong secrets and secrets of the other kind are one refusal, and take one hash."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as unit:
        wait = await tries.count(desk, unit, tries.GIVE_SECRET, identifier, origin, now)
        credential = None if wait else await people.find_credential(unit, identifier)
    tries.refuse(wait)
    known = credential.hash if credential and credential.kind == secret.kind else None
    verdict = await desk.hasher.verify(desk.derivation.peppered(secret), known)
    if credential is None or not verdict.is_right:
        raise CredentialsInvalid
    if not credential.is_verified:
        await _send_code_again(desk, origin, identifier, now)
        raise IdentityNotVerified
    async with desk.database.unit(EVERYWHERE) as unit:
        outcome = await _login(desk, unit, origin, credential, totp_code, now)
        if isinstance(outcome, SignedIn):
            await tries.forget(desk, unit, tries.GIVE_SECRET, identifier, origin)
            if verdict.new_hash is not None:
                await people.replace_hash(unit, credential, verdict.new_hash)
    if isinstance(outcome, _Refusal):
        raise outcome.value
    return tokens.sign(desk, outcome, now)


async def _send_code_again(
    desk: Desk, origin: Origin, identifier: Identifier, now: datetime
) -> None:
    async with desk.database.unit(EVERYWHERE) as unit:
        wait = await tries.count(desk, unit, tries.SEND_CODE, identifier, origin, now)
        if not wait:
            await accounts.send_sign_up_code(desk, unit, identifier, now)


async def _login(
    desk: Desk,
    unit: Unit,
    origin: Origin,
    credential: Credential,
    totp_code: str,
    now: datetime,
) -> SignedIn | _Refusal:
    person = await people.find(unit, credential.user_id, shared=True)
    if person is None or not await people.still_has_credential(unit, credential):
        return _Refusal.CREDENTIALS
    if person.suspend_time is not None:
        return _Refusal.SUSPENDED
    methods = ["pwd"]
    totp = await sessions.lock_totp(unit, person.id) if person.totp_enabled else None
    if totp is not None:
        if not totp_code:
            return _Refusal.TOTP_REQUIRED
        if not await second_factor.use(desk, unit, totp, totp_code, now):
            return _Refusal.TOTP_WRONG
        methods.append("otp")
    return await tokens.begin_session(desk, unit, person, origin, methods=methods, now=now)


async def refresh_token(desk: Desk, *, refresh_token: str) -> Tokens:
    """Trade a refresh token for the next pair; see `domain.judge_refresh`."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as unit:
        outcome = await _refresh(desk, unit, refresh_token, now)
    if isinstance(outcome, _Refusal):
        raise outcome.value
    return tokens.sign(desk, outcome, now)


async def step_up(
    desk: Desk,
    origin: Origin,
    *,
    user_id: UUID,
    session_id: UUID,
    totp_code: str,
    refresh_token: str,
) -> Tokens:
    """Give a second factor in a session that stands; its next pair says so."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as unit:
        outcome: SignedIn | _Refusal
        subject = Identifier("user", str(user_id))
        wait = await tries.count(desk, unit, tries.GIVE_TOTP, subject, origin, now)
        outcome = _Refusal.TOTP_WRONG
        if not wait:
            outcome = await _step_up(desk, unit, user_id, session_id, totp_code, refresh_token, now)
            if isinstance(outcome, SignedIn):
                await tries.forget(desk, unit, tries.GIVE_TOTP, subject, origin)
    tries.refuse(wait)
    if isinstance(outcome, _Refusal):
        raise outcome.value
    return tokens.sign(desk, outcome, now)


async def _step_up(
    desk: Desk,
    unit: Unit,
    user_id: UUID,
    session_id: UUID,
    totp_code: str,
    refresh_token: str,
    now: datetime,
) -> SignedIn | _Refusal:
    found = await sessions.lock_by_token(unit, derivation.token_hash(refresh_token))
    if found is None or found[0].id != session_id or found[0].user_id != user_id:
        return _Refusal.TOKEN
    totp = await sessions.lock_totp(unit, user_id)
    if totp is None or not totp.is_confirmed:
        return _Refusal.TOTP_OFF
    if not await second_factor.use(desk, unit, totp, totp_code, now):
        return _Refusal.TOTP_WRONG
    return await _refresh(desk, unit, refresh_token, now, has_second_factor=True)


async def _refresh(
    desk: Desk,
    unit: Unit,
    refresh_token: str,
    now: datetime,
    *,
    has_second_factor: bool = False,
) -> SignedIn | _Refusal:
    found = await sessions.lock_by_token(unit, derivation.token_hash(refresh_token))
    if found is None:
        return _Refusal.TOKEN
    session, generation = found
    person = await people.find(unit, session.user_id)
    assert person is not None, "sessions go with their person"
    if person.suspend_time is not None:
        return _Refusal.SUSPENDED
    match domain.judge_refresh(session, generation, now):
        case RefreshVerdict.INVALID:
            return _Refusal.TOKEN
        case RefreshVerdict.REUSED:
            await sessions.end(unit, session.id, reason="refresh token reused", now=now)
            telemetry.log.warning(
                "refresh_token_reused", user=str(session.user_id), session=str(session.id)
            )
            return _Refusal.REUSED
        case RefreshVerdict.REPEATED:
            return SignedIn(person, session, desk.derivation.successor(refresh_token))
        case RefreshVerdict.TRADED:
            return await _trade(
                desk, unit, person, session, refresh_token, now, has_second_factor=has_second_factor
            )


async def _trade(
    desk: Desk,
    unit: Unit,
    person: Person,
    session: Session,
    refresh_token: str,
    now: datetime,
    *,
    has_second_factor: bool,
) -> SignedIn:
    successor = desk.derivation.successor(refresh_token)
    methods = session.methods
    if has_second_factor and "otp" not in methods:
        methods = (*methods, "otp")
    traded = replace(
        session,
        generation=session.generation + 1,
        refresh_time=now,
        expire_time=domain.session_expire_time(session.create_time, now),
        methods=methods,
        second_factor_time=now if has_second_factor else session.second_factor_time,
    )
    await sessions.trade(unit, traded, token_hash=derivation.token_hash(successor))
    return SignedIn(person, traded, successor)


async def logout(desk: Desk, *, refresh_token: str) -> None:
    """End the session of a refresh token of any generation."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as unit:
        found = await sessions.lock_by_token(unit, derivation.token_hash(refresh_token))
        if found is not None:
            await sessions.end(unit, found[0].id, reason="logout", now=now)


async def check_session(desk: Desk, *, user_id: UUID, session_id: UUID) -> bool:
    """Whether a session, or the API key of this id, stands."""
    async with desk.database.unit(None, user_id=user_id) as unit:
        return await sessions.stands(unit, user_id, session_id, desk.clock.now())


async def list_sessions(
    desk: Desk,
    *,
    tenant_id: str,
    user_id: UUID,
    after: tuple[datetime, UUID] | None,
    count: int,
) -> Sequence[Session]:
    """The person's live sessions, newest first."""
    async with desk.database.unit(tenant_id, user_id=user_id) as unit:
        return await sessions.list_live(
            unit, user_id, now=desk.clock.now(), after=after, count=count
        )


async def revoke_session(desk: Desk, *, tenant_id: str, user_id: UUID, session_id: UUID) -> None:
    """End one of the person's own sessions. Raises NotFound."""
    async with desk.database.unit(tenant_id, user_id=user_id) as unit:
        ended = await sessions.end_own(
            unit, user_id, session_id, reason="revoked", now=desk.clock.now()
        )
    if not ended:
        raise NotFound
