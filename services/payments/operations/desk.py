"""What operations work with: handed in once by `app.py`, replaced by fakes in tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.kit.clock import Clock
from services.kit.database import Database, Session
from services.payments.domain import (
    NOT_INSTALLED,
    Booked,
    Direction,
    Entry,
    HookAddress,
    Method,
    Notice,
    Observation,
    Offer,
    Person,
    Reply,
    Transaction,
    Wallet,
)
from services.payments.errors import RailNotAvailable

__all__ = ["Addresses", "Desk", "Directory", "JobQueue", "Ledger", "Rail", "Rails"]


class Ledger(Protocol):
    """The books, kept by the wallet service."""

    async def apply(self, transaction: Transaction, entries: Sequence[Entry], *, actor: str) -> str:
        """Make entries, all or none; repeating it is harmless. Answers "" or the reason of the refusal."""

    async def wallets(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Wallet]:
        """Wallets of people and groups by id; unknown ones are left out."""

    async def find_wallet(self, tenant_id: str, owner_id: UUID, currency: str) -> Wallet | None:
        """The wallet of a person in a currency."""

    async def booked(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Booked]:
        """Which of these entries exist."""


class Directory(Protocol):
    """The people, kept by the auth service."""

    async def resolve(self, tenant_id: str, identifier: str) -> Person | None:
        """The person of the tenant with this email address or phone number."""

    async def people(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Person]:
        """People of the tenant by id; unknown ones are left out."""


class JobQueue(Protocol):
    """Work for later, in the transaction that makes it necessary."""

    async def defer(
        self, session: Session, name: str, *, run_at: datetime | None = None, **args: Any
    ) -> None:
        """Have a job run after the commit, at `run_at` at the earliest."""


class Rail(Protocol):
    """A way in and out, by one provider. It says what it can, and refuses nothing that it offers."""

    @property
    def id(self) -> str:
        """Short name, such as `mpesa`; the money outside is `EXTERNAL:<id>`."""

    @property
    def provider(self) -> str:
        """Who calls our hooks, such as `daraja`."""

    @property
    def offers(self) -> Sequence[Offer]:
        """What it can."""

    async def prepare(self) -> None:
        """Make sure that the provider can be reached, before anything is promised. Raises ProviderSilent."""

    async def send(self, transaction: Transaction) -> Reply:
        """Ask for the money, once: `reply.acceptance`. Raises ProviderSilent when nobody knows whether it was taken."""

    async def ask(self, transaction: Transaction) -> Reply:
        """Ask how it ended: `reply.observation`, or none if the answer comes to our address. Raises ProviderSilent."""

    def read_notice(self, body: bytes) -> Notice:
        """What an unsigned callback calls our request; empty for what cannot be read."""

    def read_answer(self, transaction: Transaction, body: bytes) -> Observation:
        """The answer to a question, that came to our address."""


class Addresses(Protocol):
    """The addresses of our hooks."""

    def read(self, secret: str) -> HookAddress | None:
        """What the last part of a hook's address says; None if it is not one of ours."""


@dataclass(frozen=True, slots=True)
class Rails:
    """All installed rails."""

    installed: Sequence[Rail] = ()

    def offers(self) -> list[Offer]:
        """Every way in and out, installed or not, by currency and method."""
        offers = [offer for rail in self.installed for offer in rail.offers]
        served = {(offer.method, offer.direction, offer.currency) for offer in offers}
        offers += [
            offer
            for offer in NOT_INSTALLED
            if (offer.method, offer.direction, offer.currency) not in served
        ]
        return sorted(offers, key=lambda one: (one.currency, one.method, one.direction, one.rail))

    def offer(self, method: Method, direction: Direction, currency: str) -> Offer:
        """The installed offer. Raises RailNotAvailable."""
        for offer in self.offers():
            way = (offer.method, offer.direction, offer.currency)
            if offer.installed and way == (method, direction, currency):
                return offer
        raise RailNotAvailable(method=method, direction=direction, currency=currency)

    def check_method(self, method: Method, direction: Direction) -> None:
        """Raises RailNotAvailable if nothing is installed for the method in any currency."""
        if not any(
            offer.installed and (offer.method, offer.direction) == (method, direction)
            for offer in self.offers()
        ):
            raise RailNotAvailable(method=method, direction=direction)

    def rail(self, rail_id: str) -> Rail:
        """The rail of a transaction. Raises RailNotAvailable if it was removed."""
        for rail in self.installed:
            if rail.id == rail_id:
                return rail
        raise RailNotAvailable(rail=rail_id)

    def of_provider(self, provider: str) -> Rail | None:
        """Whose callbacks these are."""
        return next((rail for rail in self.installed if rail.provider == provider), None)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that an operation may need."""

    database: Database
    clock: Clock
    jobs: JobQueue
    ledger: Ledger
    directory: Directory
    rails: Rails
    addresses: Addresses
    home_tenant: str
    question_scale: float = 1.0
