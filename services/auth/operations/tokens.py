"""Beginning sessions, and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.auth import derivation, domain
from services.auth.domain import Person, Session, SignedIn
from services.auth.operations.desk import Desk, Origin
from services.auth.store import sessions
from services.kit.database import Session as Unit

_USER_AGENT_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a signed-in program gets."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    person: Person


async def begin_session(
    desk: Desk,
    unit: Unit,
    person: Person,
    origin: Origin,
    *,
    methods: Sequence[str],
    now: datetime,
) -> SignedIn:
    """A new session of a person. `methods` says how they proved who they are: `pwd`, `otp`."""
    session = Session(
        id=desk.clock.new_id(),
        user_id=person.id,
        generation=1,
        methods=tuple(methods),
        user_agent=origin.user_agent[:_USER_AGENT_LENGTH_MAX],
        address=origin.address,
        create_time=now,
        refresh_time=now,
        expire_time=domain.session_expire_time(now, now),
        end_time=None,
        second_factor_time=now if "otp" in methods else None,
    )
    refresh_token = derivation.new_refresh_token()
    await sessions.add(unit, session, token_hash=derivation.token_hash(refresh_token))
    return SignedIn(person, session, refresh_token)


def sign(desk: Desk, signed_in: SignedIn, now: datetime) -> Tokens:
    """The tokens of a session's newest generation."""
    claims = domain.access_claims(signed_in.person, signed_in.session)
    return Tokens(
        access_token=desk.signer.sign(claims),
        refresh_token=signed_in.refresh_token,
        expires_in=max(1, min(claims["exp"] - int(now.timestamp()), claims["exp"] - claims["iat"])),
        person=signed_in.person,
    )
