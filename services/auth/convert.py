"""Between the contracts and the domain. What the contract cannot say about a field is checked here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.auth.v1 import (
    auth_service_pb2,
    directory_service_pb2,
    platform_service_pb2,
    user_pb2,
    user_service_pb2,
)
from hazina.policy.v1 import policy_pb2
from services.auth import domain
from services.auth.domain import (
    PASSWORD,
    PIN,
    ApiKey,
    Identifier,
    Member,
    Person,
    Secret,
    Session,
    Tenant,
)
from services.auth.operations.accounts import PendingPerson
from services.auth.operations.desk import Origin
from services.auth.operations.readiness import PartState
from services.auth.operations.tokens import Tokens
from services.kit.errors import FieldViolation, ValidationFailed
from services.kit.identity import Call

LOCALES = ("en", "sw")
_NAME_LENGTH_MAX = 80


def origin(call: Call) -> Origin:
    """Where a call comes from."""
    return Origin(call.tenant_id, call.address, call.user_agent, call.actor)


# Requests


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """A new account, as asked for."""

    identifier: Identifier
    secret: Secret
    display_name: str
    locale: str


def sign_up_form(request: auth_service_pb2.SignUpRequest) -> SignUpForm:
    """Raises EmailInvalid, PhoneInvalid, ValidationFailed."""
    if request.WhichOneof("identifier") == "email":
        identifier = domain.parse_email(request.email)
    else:
        identifier = domain.parse_phone(request.phone)
    return SignUpForm(
        identifier, _secret(request), display_name(request.display_name), request.locale or "en"
    )


def login_secret(request: auth_service_pb2.LoginRequest) -> Secret:
    """What the person knows."""
    return _secret(request)


def _secret(request: Any) -> Secret:
    kind = request.WhichOneof("secret")
    return Secret(PIN, request.pin) if kind == "pin" else Secret(PASSWORD, request.password)


def new_secret(request: auth_service_pb2.RecoverRequest) -> Secret:
    """The new secret of a recovery with a code. Raises ValidationFailed when there is none."""
    kind = request.WhichOneof("new_secret")
    if kind is None:
        raise _violation(
            "newPassword", "newPassword or newPin is needed with a code", "new_secret.required"
        )
    return (
        Secret(PIN, request.new_pin)
        if kind == "new_pin"
        else Secret(PASSWORD, request.new_password)
    )


def display_name(text: str, field: str = "displayName") -> str:
    """A name that people can read: white space folded, no control characters. Raises ValidationFailed."""
    name = " ".join(text.split())
    if not name or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise _violation(field, "must be 1 to 80 readable characters", "display_name.readable")
    return name


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What to change; None leaves it."""

    display_name: str | None
    locale: str | None
    etag: str


def profile_change(request: user_service_pb2.UpdateMeRequest) -> ProfileChange:
    """Raises ValidationFailed for an unknown or missing path, and for values that are none."""
    paths = list(request.update_mask.paths)
    if not paths:
        raise _violation("updateMask", "must name at least one field", "update_mask.required")
    for path in paths:
        if path not in ("display_name", "locale"):
            raise _violation("updateMask", f"{path!r} cannot be changed", "update_mask.path")
    name = locale = None
    if "display_name" in paths:
        name = display_name(request.user.display_name, "user.displayName")
    if "locale" in paths:
        locale = request.user.locale
        if locale not in LOCALES:
            raise _violation("user.locale", "must be en or sw", "string.in")
    return ProfileChange(name, locale, request.user.etag)


@dataclass(frozen=True, slots=True)
class Search:
    """Whom to find."""

    name: str
    identifier: Identifier


def search(request: user_service_pb2.ListUsersRequest) -> Search:
    """Raises ValidationFailed when nothing is left of the query without its outer white space."""
    query = " ".join(request.query.split())
    if len(query) < 2:
        raise _violation("query", "must have 2 characters at least", "string.min_len")
    return Search(query, domain.parse_identifier(query))


def time_of(timestamp: Timestamp, field: str) -> datetime:
    """Raises ValidationFailed for a time that is none."""
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise _violation(field, "is not a time", "timestamp") from None


def _violation(field: str, description: str, reason: str) -> ValidationFailed:
    return ValidationFailed(field_violations=[FieldViolation(field, description, reason)])


# Positions in lists, as page tokens hold them


def time_and_id(position: Mapping[str, Any] | None) -> tuple[datetime, UUID] | None:
    """Where a list by time goes on."""
    if position is None:
        return None
    return datetime.fromisoformat(position["time"]), UUID(position["id"])


def by_time_and_id(time: datetime, item_id: UUID) -> dict[str, str]:
    """The reverse."""
    return {"time": time.isoformat(), "id": str(item_id)}


def name_and_id(position: Mapping[str, Any] | None) -> tuple[str, UUID] | None:
    """Where a list by name goes on."""
    return None if position is None else (position["name"], UUID(position["id"]))


def by_name_and_id(person: Person) -> dict[str, str]:
    """The reverse."""
    return {"name": person.display_name, "id": str(person.id)}


def id_of(text: str) -> UUID:
    """An id that the contract has checked."""
    return UUID(text)


# Answers


def pending_user(form: SignUpForm, pending: PendingPerson) -> user_pb2.User:
    """The person before the code is given back; the same for a taken identifier."""
    is_email = form.identifier.kind == domain.EMAIL
    return user_pb2.User(
        id=str(pending.id),
        display_name=form.display_name,
        email=form.identifier.value if is_email else "",
        phone="" if is_email else form.identifier.value,
        locale=form.locale,
        create_time=timestamp(pending.create_time),
    )


def user(person: Person) -> user_pb2.User:
    """A person, as they see themselves."""
    return user_pb2.User(
        id=str(person.id),
        display_name=person.display_name,
        email=person.email,
        phone=person.phone,
        verified=True,
        locale=person.locale,
        kyc_tier=person.kyc_tier,
        totp_enabled=person.totp_enabled,
        create_time=timestamp(person.create_time),
        memberships=[
            user_pb2.Membership(tenant_id=place.tenant_id, roles=place.roles)
            for place in person.places
        ],
        etag=domain.etag(person),
    )


def user_summary(person: Person) -> user_pb2.UserSummary:
    """What others of the tenant may see."""
    return user_pb2.UserSummary(
        id=str(person.id),
        display_name=person.display_name,
        masked_identifier=domain.masked_identifier(person.email, person.phone),
    )


def directory_entry(person: Person) -> directory_service_pb2.DirectoryEntry:
    """A person, for another service."""
    return directory_service_pb2.DirectoryEntry(
        user_id=str(person.id),
        display_name=person.display_name,
        masked_name=domain.masked_name(person.display_name),
        email=person.email,
        phone=person.phone,
        locale=person.locale,
    )


def token_response(tokens: Tokens) -> auth_service_pb2.TokenResponse:
    """A signed-in session."""
    return auth_service_pb2.TokenResponse(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        user=user(tokens.person),
    )


def recover_response(tokens: Tokens) -> auth_service_pb2.RecoverResponse:
    """A session after recovery."""
    return auth_service_pb2.RecoverResponse(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        user=user(tokens.person),
    )


def session(one: Session, current_id: UUID) -> auth_service_pb2.Session:
    """A session, as its person sees it."""
    return auth_service_pb2.Session(
        id=str(one.id),
        user_agent=one.user_agent,
        address=one.address,
        create_time=timestamp(one.create_time),
        refresh_time=timestamp(one.refresh_time),
        current=one.id == current_id,
    )


def api_key(key: ApiKey) -> user_service_pb2.ApiKey:
    """What is kept of a key."""
    return user_service_pb2.ApiKey(
        id=str(key.id),
        name=key.name,
        prefix=key.prefix,
        permissions=key.permissions,
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time),
        last_use_time=None if key.last_use_time is None else timestamp(key.last_use_time),
    )


def json_web_key_set(keys: Sequence[Mapping[str, str]]) -> auth_service_pb2.JsonWebKeySet:
    """The public keys."""
    return auth_service_pb2.JsonWebKeySet(keys=[auth_service_pb2.JsonWebKey(**key) for key in keys])


def tenant(one: Tenant) -> directory_service_pb2.Tenant:
    """A tenant, for operators."""
    return directory_service_pb2.Tenant(
        id=one.id, display_name=one.display_name, create_time=timestamp(one.create_time)
    )


def member(one: Member) -> directory_service_pb2.Member:
    """A person in a tenant, for operators."""
    return directory_service_pb2.Member(
        user_id=str(one.user_id),
        display_name=one.display_name,
        masked_identifier=domain.masked_identifier(one.email, one.phone),
        roles=one.roles,
        create_time=timestamp(one.create_time),
    )


def readiness(parts: Mapping[str, PartState]) -> platform_service_pb2.Readiness:
    """Every part with its state."""
    return platform_service_pb2.Readiness(
        ready=True,
        parts=[
            platform_service_pb2.PartReadiness(
                name=name, state=platform_service_pb2.PartReadiness.State.Value(state.value)
            )
            for name, state in parts.items()
        ],
    )


def timestamp(time: datetime) -> Timestamp:
    """A time on the wire."""
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


# Roles, as the policy contract gives them to every tenant


def role_bundles() -> dict[str, list[str]]:
    """Permissions of each role that a tenant begins with."""
    bundles: dict[str, list[str]] = {}
    for value in policy_pb2.Permission.Name.DESCRIPTOR.values:
        grant = value.GetOptions().Extensions[policy_pb2.grant]
        for role in grant.roles:
            bundles.setdefault(role, []).append(grant.name)
    return {role: sorted(names) for role, names in bundles.items()}
