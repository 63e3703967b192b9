"""What operations work with: handed in once by `app.py`, replaced by fakes in tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.groups.domain import (
    Contribution,
    Destination,
    Group,
    Invitation,
    Person,
    Told,
    Wallet,
    Withdrawal,
)
from services.kit.clock import Clock
from services.kit.database import Database, Session

__all__ = ["Desk", "Directory", "JobQueue", "Ledger", "Links", "Messages", "Payments"]


class Ledger(Protocol):
    """The books, kept by the wallet service. Groups makes its own holds and books cash; all else goes through payments."""

    async def open_wallet(self, group: Group) -> None:
        """Make the group's wallet; repeating it is harmless."""

    async def wallets(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Wallet]:
        """Wallets of people and groups by id; unknown ones are left out."""

    async def find_wallet(self, tenant_id: str, owner_id: UUID, currency: str) -> Wallet | None:
        """The wallet of a person in a currency."""

    async def hold(self, group: Group, withdrawal: Withdrawal) -> str:
        """Reserve the money of a withdrawal until it expires. Answers "" or the reason of the refusal."""

    async def free(self, withdrawal: Withdrawal) -> str:
        """Release it. Answers "" or the reason of the refusal."""

    async def book_cash(self, group: Group, contribution: Contribution) -> str:
        """Book confirmed cash to the group's cash account. Answers "" or the reason of the refusal."""


class Payments(Protocol):
    """Money that people see, moved by the payments service. A refusal is told as FAILED, with its reason."""

    async def contribute(self, group: Group, contribution: Contribution) -> Told:
        """Have a member's contribution moved."""

    async def check_payout(self, group: Group, amount_minor: int, destination: Destination) -> Told:
        """Whether a payout could be carried out at all: FAILED with the reason if not."""

    async def pay_out(self, group: Group, withdrawal: Withdrawal) -> Told:
        """Have what was held paid out."""


class Directory(Protocol):
    """The people, kept by the auth service."""

    async def resolve(self, tenant_id: str, identifier: str) -> Person | None:
        """The person of the tenant with this email address or phone number."""

    async def people(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Person]:
        """People of the tenant by id; unknown ones are left out."""


class Messages(Protocol):
    """Messages to addresses, sent by the comms service."""

    async def invite(self, invitation: Invitation, *, group_name: str, link: str) -> None:
        """Send the link of an invitation; a repeat sends nothing twice."""


class Links(Protocol):
    """The links of invitations, and the tokens in them."""

    def link(self, invitation: Invitation) -> str:
        """Where the invitation can be seen."""

    def opens(self, token: str, invitation: Invitation) -> bool:
        """Whether a token is that of the invitation's link."""


class JobQueue(Protocol):
    """Work for later, in the transaction that makes it necessary."""

    async def defer(
        self, session: Session, name: str, *, run_at: datetime | None = None, **args: Any
    ) -> None:
        """Have a job run after the commit, at `run_at` at the earliest."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that an operation may need."""

    database: Database
    clock: Clock
    jobs: JobQueue
    ledger: Ledger
    payments: Payments
    directory: Directory
    messages: Messages
    links: Links
