"""The rules of identity: what counts as an email address, a phone number, a good secret; what a session may do next.

Pure: no clock, no randomness, no I/O. Time comes in as an argument.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import phonenumbers

from services.auth.errors import EmailInvalid, PasswordTooWeak, PhoneInvalid, PinTooWeak

EMAIL, PHONE, UNKNOWN = "email", "phone", "unknown"
PASSWORD, PIN = "password", "pin"
SIGN_UP, RECOVER = "sign_up", "recover"
MEMBER = "member"

HOME_REGION = "KE"
"""Numbers without a country code are dialled here."""

CODE_LIFE = timedelta(minutes=10)
CODE_ATTEMPTS_MAX = 5
LIVE_CODES_MAX = 3
"""So many codes of one identifier work at once; each older one is forgotten, which bounds guessing."""

ACCESS_TOKEN_LIFE = timedelta(minutes=15)
KEY_TOKEN_LIFE = timedelta(seconds=120)
REFRESH_TOKEN_LIFE = timedelta(days=7)
SESSION_LIFE_MAX = timedelta(days=90)
REFRESH_GRACE = timedelta(seconds=30)
API_KEYS_MAX = 5
API_KEY_LIFE = timedelta(days=90)
API_KEY_LIFE_MAX = timedelta(days=366)
TOTP_STEP_SECONDS = 30

ISSUER = AUDIENCE = "hazina"


@dataclass(frozen=True, slots=True)
class Identifier:
    """An email address in lower case, a phone number in E.164 form, or something that is neither (kind UNKNOWN)."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Secret:
    """What only the person knows: a password or a PIN, in clear. Never printed."""

    kind: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A person's place in a tenant."""

    tenant_id: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A verified person. `version` counts changes from 1."""

    id: UUID
    display_name: str
    email: str
    phone: str
    locale: str
    kyc_tier: int
    totp_enabled: bool
    default_tenant_id: str
    version: int
    create_time: datetime
    suspend_time: datetime | None
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SignUp:
    """An account that waits for its code. Its id becomes the person's."""

    id: UUID
    tenant_id: str
    identifier: Identifier
    display_name: str
    locale: str
    secret_kind: str
    secret_hash: str = field(repr=False)
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Verification:
    """A code on its way. It belongs to a sign-up or to a person."""

    id: UUID
    purpose: str
    tenant_id: str
    identifier: Identifier
    sign_up_id: UUID | None
    user_id: UUID | None
    code_hash: bytes = field(repr=False)
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """What a secret is compared with: a person's, or that of a sign-up that waits for its code."""

    user_id: UUID
    kind: str
    hash: str = field(repr=False)
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in program. `generation` counts its refresh tokens; only the newest one may be traded."""

    id: UUID
    user_id: UUID
    generation: int
    methods: tuple[str, ...]
    user_agent: str
    address: str
    create_time: datetime
    refresh_time: datetime
    expire_time: datetime
    end_time: datetime | None
    second_factor_time: datetime | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that acts for a person in one tenant."""

    id: UUID
    user_id: UUID
    tenant_id: str
    name: str
    prefix: str
    permissions: tuple[str, ...]
    create_time: datetime
    expire_time: datetime
    last_use_time: datetime | None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A live API key and what its maker may do in its tenant today."""

    key: ApiKey
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    kyc_tier: int


@dataclass(frozen=True, slots=True)
class Totp:
    """A person's authenticator app."""

    user_id: UUID
    sealed_secret: bytes = field(repr=False)
    is_confirmed: bool
    last_step: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation whose people and books are its own."""

    id: str
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a tenant, as operators see them."""

    user_id: UUID
    display_name: str
    email: str
    phone: str
    roles: tuple[str, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries in a window that begins with the first."""

    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Tries:
    """Tries counted since `start_time`."""

    count: int
    start_time: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with the tokens of its newest generation."""

    person: Person
    session: Session
    refresh_token: str = field(repr=False)


# Identifiers


_EMAIL = re.compile(
    r"^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$"
)


def parse_email(text: str) -> Identifier:
    """An email address in lower case. Raises EmailInvalid. Only ASCII: look-alike letters make look-alike people."""
    value = text.strip().lower()
    if len(value) > 254 or len(value.partition("@")[0]) > 64 or not _EMAIL.match(value):
        raise EmailInvalid
    return Identifier(EMAIL, value)


def parse_phone(text: str) -> Identifier:
    """A phone number in E.164 form, as dialled in Kenya or with a country code. Raises PhoneInvalid."""
    value = text.strip()
    if not re.fullmatch(r"[+0-9 ().-]{7,20}", value):
        raise PhoneInvalid
    try:
        number = phonenumbers.parse(_with_plus(value), HOME_REGION)
    except phonenumbers.NumberParseException:
        raise PhoneInvalid from None
    if not phonenumbers.is_valid_number(number):
        raise PhoneInvalid
    return Identifier(
        PHONE, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    )


def parse_identifier(text: str) -> Identifier:
    """Whichever it is. Never raises: what cannot be one has kind UNKNOWN, and belongs to nobody."""
    try:
        return parse_email(text) if "@" in text else parse_phone(text)
    except (EmailInvalid, PhoneInvalid):
        return Identifier(UNKNOWN, text.strip().lower())


def _with_plus(value: str) -> str:
    """Kenyans also write the country code without its plus."""
    digits = re.sub(r"\D", "", value)
    return f"+{digits}" if digits.startswith("254") and len(digits) == 12 else value


def masked_identifier(email: str, phone: str) -> str:
    """`b***n@example.com` or `+254***678`: enough to recognise, too little to use."""
    if email:
        name, _, domain = email.partition("@")
        return f"{name[0]}***{name[-1] if len(name) > 2 else ''}@{domain}"
    return f"{phone[:4]}***{phone[-3:]}" if phone else ""


def masked_name(display_name: str) -> str:
    """`B**** O.`: the first letter of the first word, and that of the last one."""
    words = display_name.split()
    if not words:
        return "****"
    first = f"{words[0][0].upper()}****"
    return first if len(words) == 1 else f"{first} {words[-1][0].upper()}."


# Secrets


def check_secret(secret: Secret, identifier: Identifier, common_passwords: frozenset[str]) -> None:
    """Refuse what is guessed first. Raises PasswordTooWeak or PinTooWeak."""
    if secret.kind == PIN:
        _check_pin(secret.value)
    else:
        _check_password(secret.value, identifier, common_passwords)


def _check_password(
    password: str, identifier: Identifier, common_passwords: frozenset[str]
) -> None:
    folded = password.casefold()
    if folded.strip() in common_passwords or len(set(folded)) < 4:
        raise PasswordTooWeak("The password is among the most common ones.")
    if _gives_away(folded, identifier):
        raise PasswordTooWeak("The password contains the email address or phone number.")


def _gives_away(folded: str, identifier: Identifier) -> bool:
    """Whether the whole identifier is inside, or the name of the mailbox is half of the password or more."""
    if identifier.kind == EMAIL:
        name = identifier.value.partition("@")[0]
        return identifier.value in folded or (name in folded and 2 * len(name) >= len(folded))
    return identifier.value.removeprefix("+")[-9:] in folded


# The PINs that leaked lists begin with, beside rows, repetitions and years.
_COMMON_PINS = frozenset(
    {"1212", "1004", "2580", "0852", "1313", "6969", "121212", "131313", "123123", "112233"}
)


def _check_pin(pin: str) -> None:
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    is_row = steps in ({0}, {1}, {9})
    is_repetition = any(
        size < len(pin) and pin == pin[:size] * (len(pin) // size) for size in (1, 2, 3)
    )
    is_year = len(pin) == 4 and "1940" <= pin <= "2030"
    if is_row or is_repetition or is_year or pin in _COMMON_PINS:
        raise PinTooWeak


# Tries


def wait_seconds(tries: Tries, limit: Limit, now: datetime) -> float:
    """How long to wait before the next try; 0 means that this one is allowed."""
    if tries.count <= limit.count:
        return 0.0
    return max(1.0, (tries.start_time + limit.window - now).total_seconds())


# Sessions


class RefreshVerdict(Enum):
    """What happens to a refresh token that is shown."""

    TRADED = "traded"
    REPEATED = "repeated"
    REUSED = "reused"
    INVALID = "invalid"


def judge_refresh(session: Session, generation: int, now: datetime) -> RefreshVerdict:
    """Judge a refresh token of this generation.

    The newest one is traded. The one before it, within 30 s of the trade, is a lost answer and gets the same pair. Any
    older use means that two hold the token, and nobody can tell which of them is the thief.
    """
    if session.end_time is not None or session.expire_time <= now:
        return RefreshVerdict.INVALID
    if generation == session.generation:
        return RefreshVerdict.TRADED
    is_previous = generation == session.generation - 1
    if is_previous and now - session.refresh_time <= REFRESH_GRACE:
        return RefreshVerdict.REPEATED
    return RefreshVerdict.REUSED


def session_expire_time(create_time: datetime, now: datetime) -> datetime:
    """A session lives 7 days from its last refresh, and 90 days in all."""
    return min(now + REFRESH_TOKEN_LIFE, create_time + SESSION_LIFE_MAX)


def access_claims(person: Person, session: Session) -> dict[str, Any]:
    """The claims of the session's access token. The same for the same generation, so a lost answer can be repeated."""
    tenants = {
        place.tenant_id: {"roles": list(place.roles), "permissions": list(place.permissions)}
        for place in person.places
    }
    claims = _claims(
        person.id,
        session.id,
        person.default_tenant_id,
        tenants,
        person.kyc_tier,
        session.refresh_time,
    )
    claims["amr"] = list(session.methods)
    claims["jti"] = f"{session.id}.{session.generation}"
    claims["exp"] = claims["iat"] + int(ACCESS_TOKEN_LIFE.total_seconds())
    if session.second_factor_time is not None:
        claims["sft"] = int(session.second_factor_time.timestamp())
    return claims


def key_claims(holder: KeyHolder, now: datetime) -> dict[str, Any]:
    """The claims of the token that an API key is exchanged for: one tenant, and what both key and maker may."""
    key = holder.key
    permissions = [name for name in key.permissions if name in holder.permissions]
    tenants = {key.tenant_id: {"roles": list(holder.roles), "permissions": permissions}}
    claims = _claims(key.user_id, key.id, key.tenant_id, tenants, holder.kyc_tier, now)
    claims["amr"] = ["key"]
    claims["key"] = str(key.id)
    claims["jti"] = f"{key.id}.{claims['iat']}"
    claims["exp"] = claims["iat"] + int(KEY_TOKEN_LIFE.total_seconds())
    return claims


def _claims(
    user_id: UUID,
    session_id: UUID,
    tenant_id: str,
    tenants: Mapping[str, Any],
    kyc_tier: int,
    issue_time: datetime,
) -> dict[str, Any]:
    issued = int(issue_time.timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "tid": tenant_id,
        "tenants": dict(tenants),
        "kyc": kyc_tier,
        "iat": issued,
        "nbf": issued,
    }


# Second factors


def totp_step(now: datetime) -> int:
    """The number of the 30-second step."""
    return int(now.timestamp()) // TOTP_STEP_SECONDS


def totp_steps(now: datetime, last_step: int) -> Sequence[int]:
    """Steps whose codes are good: this one and its neighbours, but none up to the one that was used last."""
    present = totp_step(now)
    return [step for step in (present - 1, present, present + 1) if step > last_step]


def etag(person: Person) -> str:
    """Changes with every change of the profile."""
    return f'"{person.version}"'


def added_roles(held: Sequence[str], roles: Sequence[str]) -> tuple[str, ...]:
    """Both, each once, in order."""
    return tuple(sorted({*held, *roles}))
