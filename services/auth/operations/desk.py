"""What operations work with, and what they need from outside."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.auth.derivation import Derivation
from services.auth.domain import Limit, Person
from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Session

__all__ = ["EVERYWHERE", "Desk", "Origin"]

EVERYWHERE = ALL_TENANTS
"""Units that serve somebody who has not proved yet who they are, or operators of all tenants."""


class Units(Protocol):
    """The database."""

    def unit(
        self, tenant_id: str | None, *, user_id: UUID | None = None, actor: str = ""
    ) -> AbstractAsyncContextManager[Session]: ...


class Verdict(Protocol):
    """How a secret compares."""

    @property
    def is_right(self) -> bool: ...
    @property
    def new_hash(self) -> str | None: ...


class Hasher(Protocol):
    """The password process."""

    async def hash(self, secret: str) -> str: ...
    async def verify(self, secret: str, known: str | None) -> Verdict: ...


class Signer(Protocol):
    """The keys that sign access tokens."""

    def sign(self, claims: Mapping[str, Any]) -> str: ...
    def public_keys(self) -> Sequence[Mapping[str, str]]: ...


class Later(Protocol):
    """Jobs: they run after the unit has committed."""

    async def defer(self, session: Session, name: str, **args: Any) -> None: ...


class News(Protocol):
    """Events about people, written into the unit."""

    async def verified(
        self, session: Session, person: Person, tenant_id: str, now: datetime
    ) -> None: ...
    async def updated(
        self, session: Session, person: Person, tenant_id: str, version: int, now: datetime
    ) -> None: ...
    async def member_added(
        self, session: Session, person: Person, tenant_id: str, actor: str, now: datetime
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one may try: per identity and address, and per identity."""

    near: Limit
    far: Limit


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything an operation needs."""

    database: Units
    clock: Clock
    hasher: Hasher
    signer: Signer
    later: Later
    news: News
    derivation: Derivation = field(repr=False)
    limits: Limits
    common_passwords: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from."""

    tenant_id: str
    address: str
    user_agent: str
    actor: str
