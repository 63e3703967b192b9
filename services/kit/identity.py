"""Who is calling: the peer's certificate first, then the user's token.

Envoy has two certificates. Peer `edge` brings people: PUBLIC and USER RPCs, never SERVICE ones. Peer `mesh` brings the
other services and names the caller in `x-hazina-caller`. Any other peer is itself the caller, and the header is ignored.
A certificate carries exactly one URI SAN.
"""

import hashlib
import json
import math
import os
import re
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from services.kit.errors import (
    AccessDenied,
    CallerNotAllowed,
    CredentialsMissing,
    TenantNotFound,
    TokenExpired,
    TokenInvalid,
)

__all__ = [
    "DEFAULT_TENANT",
    "TENANT_ID",
    "Call",
    "Exchange",
    "Peer",
    "Tokens",
    "User",
    "peer_of",
]

DEFAULT_TENANT = "default"
"""The tenant of a call that names none and has no user."""

TENANT_ID = re.compile(r"^[a-z][a-z0-9-]{0,30}$")

_ISSUER = _AUDIENCE = "hazina"
_TRUST_PREFIX = b"spiffe://hazina/"
_PEERS_MAX = 1000
_CACHED_SECONDS = 60.0
_CACHE_SIZE_MAX = 20_000
_SKEW_SECONDS = 30
_NEVER = datetime.max.replace(tzinfo=UTC)
_WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in person in one tenant, or an API key that stands for them."""

    id: UUID
    session_id: UUID
    tenant_id: str
    roles: frozenset[str]
    permissions: frozenset[str]
    kyc_tier: int
    second_factor_time: datetime | None
    api_key_id: UUID | None
    expire_time: datetime = _NEVER  # of the token: streams end with it


class Exchange:
    """What a handler tells the wrapper about its answer."""

    __slots__ = ("is_replayed",)

    def __init__(self) -> None:
        self.is_replayed = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who makes it, for which tenant, and until when. `deadline` is Unix time."""

    method: str
    request_id: str
    caller: str
    user: User | None
    tenant_id: str
    address: str
    user_agent: str
    idempotency_key: str
    fingerprint: bytes
    deadline: float | None
    traceparent: str = ""
    authorization: str = field(default="", repr=False)
    exchange: Exchange = field(default_factory=Exchange, repr=False, compare=False)

    @property
    def signed_in(self) -> User:
        """The user; only in handlers of USER RPCs, where there always is one."""
        assert self.user is not None, "only USER RPCs have a user"
        return self.user

    @property
    def actor(self) -> str:
        """`user:<id>` or `service:<caller>`, as events and records name it."""
        return f"service:{self.caller}" if self.user is None else f"user:{self.user.id}"

    def mark_replayed(self) -> None:
        """Tell the caller, by `idempotent-replayed: true`, that this answer was given before."""
        self.exchange.is_replayed = True

    def remaining_seconds(self) -> float | None:
        """Seconds until the deadline, never below zero; None when there is none (streams)."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of the connection, by its certificate."""

    name: str

    @property
    def is_envoy(self) -> bool:
        """Whether headers about the client may be believed."""
        return self.name in ("edge", "mesh")


class Connection(Protocol):
    """The part of a gRPC server context that tells about the other end of the connection."""

    def auth_context(self) -> Mapping[str, Any]: ...
    def peer_identities(self) -> Iterable[bytes] | None: ...
    def peer_identity_key(self) -> str | None: ...


_peers: dict[tuple[object, ...], Peer] = {}


def peer_of(connection: Connection) -> Peer:
    """The peer of a TLS connection. Raises AccessDenied unless its certificate has exactly one URI SAN, one of ours.

    The full look at a certificate copies all of it, so it is taken once for each set of names that certificates carry.
    """
    names = (connection.peer_identity_key(), *(connection.peer_identities() or ()))
    peer = _peers.get(names)
    if peer is None:
        peer = _certified(connection.auth_context())
        if len(_peers) < _PEERS_MAX:
            _peers[names] = peer
    return peer


def _certified(auth_context: Mapping[str, Any]) -> Peer:
    uris, identities = auth_context.get("peer_uri", ()), auth_context.get("peer_spiffe_id", ())
    if len(uris) != 1 or len(identities) != 1:
        raise AccessDenied("The client certificate must carry exactly one identity.")
    [identity] = identities
    if not identity.startswith(_TRUST_PREFIX):
        raise AccessDenied("The client certificate is of another trust domain.")
    return Peer(identity[len(_TRUST_PREFIX) :].decode("ascii", "replace"))


def caller_of(
    peer: Peer, headers: Mapping[str, str], callers: frozenset[str], *, from_edge: bool
) -> str:
    """The identity that calls. `from_edge` tells whether the RPC may be reached through the edge."""
    name = peer.name
    if name == "edge":
        if not from_edge:
            raise AccessDenied
        return name
    if name == "mesh":
        name = headers.get("x-hazina-caller", "").removeprefix("spiffe://hazina/")
    if name not in callers:
        raise CallerNotAllowed
    return name


class _Verified:
    """A token that was found good, and the users that it was turned into, by tenant."""

    __slots__ = ("cached_until", "claims", "expire_time", "subject", "users")

    def __init__(self, claims: dict[str, Any], now: float) -> None:
        self.claims = claims
        self.expire_time = float(claims["exp"])
        self.cached_until = min(now + _CACHED_SECONDS, self.expire_time)
        self.subject = str(UUID(claims["sub"]))
        self.users: dict[str, User] = {}


class Tokens:
    """Verifies access tokens against a JWKS file that is read again when it changes."""

    def __init__(self, jwks_file: Path) -> None:
        self._file = jwks_file
        self._cache: dict[bytes, _Verified] = {}
        self._keys: KeySet | None = None
        self._file_mark: tuple[int, int, int] | None = None
        self._look_again_at = 0.0
        self._registry = JWSRegistry(algorithms=["EdDSA"])

    def verify(self, token: str) -> Mapping[str, Any]:
        """The claims of a good token. Raises TokenInvalid or TokenExpired. Good ones are cached for 60 s at most."""
        return self._verified(token).claims

    def user(self, token: str, tenant_id: str) -> User:
        """The token's user in this tenant (empty: the default one). Raises TenantNotFound where they are no member."""
        return self.identify(token, tenant_id)[0]

    def identify(self, token: str, tenant_id: str) -> tuple[User, str]:
        """The same, with the user's id as text."""
        verified = self._verified(token)
        user = verified.users.get(tenant_id)
        if user is None:
            user = verified.users[tenant_id] = _user(verified.claims, tenant_id)
        return user, verified.subject

    def _verified(self, token: str) -> _Verified:
        now = time.time()
        if now >= self._look_again_at:
            self._reload(now)
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
        verified = self._cache.get(digest)
        if verified is not None:
            if now < verified.cached_until:
                return verified
            del self._cache[digest]
        verified = _Verified(self._decode(token, now), now)
        if len(self._cache) >= _CACHE_SIZE_MAX:
            self._cache.clear()
        self._cache[digest] = verified
        return verified

    def _reload(self, now: float) -> None:
        self._look_again_at = now + _WATCH_SECONDS
        try:
            stat = os.stat(self._file)
            mark = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if mark == self._file_mark:
                return
            self._keys = KeySet.import_key_set(json.loads(self._file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, JoseError):
            return  # the keys we have stay good; without any, every token is refused
        self._file_mark = mark
        self._cache.clear()

    def _decode(self, token: str, now: float) -> dict[str, Any]:
        if self._keys is None:
            raise TokenInvalid
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # the name EdDSA is being replaced; Envoy knows only it
                claims = jwt.decode(
                    token, self._keys, algorithms=["EdDSA"], registry=self._registry
                ).claims
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise TokenInvalid from error
        _check(claims, now)
        return claims


def _check(claims: dict[str, Any], now: float) -> None:
    audience = claims.get("aud")
    if claims.get("iss") != _ISSUER:
        raise TokenInvalid
    if audience != _AUDIENCE and not (isinstance(audience, list) and _AUDIENCE in audience):
        raise AccessDenied("The access token is meant for another audience.")
    expire_time, not_before, issue_time = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if now >= expire_time:
        raise TokenExpired
    if now + _SKEW_SECONDS < not_before or now + _SKEW_SECONDS < issue_time:
        raise TokenInvalid
    try:
        UUID(claims["sub"]), UUID(claims["sid"])
        if not isinstance(claims["tenants"], dict) or not isinstance(claims["tid"], str):
            raise TypeError
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise TokenInvalid from error


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TokenInvalid
    return value


def _user(claims: Mapping[str, Any], tenant_id: str) -> User:
    tenant = tenant_id or claims["tid"]
    membership = claims["tenants"].get(tenant)
    if not isinstance(membership, dict):
        raise TenantNotFound
    second_factor = claims.get("sft")
    api_key = claims.get("key")
    try:
        return User(
            id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]),
            tenant_id=tenant,
            roles=frozenset(membership.get("roles", ())),
            permissions=frozenset(membership.get("permissions", ())),
            kyc_tier=int(claims.get("kyc", 0)),
            second_factor_time=datetime.fromtimestamp(second_factor, UTC)
            if second_factor
            else None,
            api_key_id=UUID(api_key) if api_key else None,
            expire_time=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise TokenInvalid from error


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the authorization header. Raises CredentialsMissing or TokenInvalid."""
    value = headers.get("authorization", "")
    if not value:
        raise CredentialsMissing
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return token
