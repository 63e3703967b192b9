"""Two people and what they do, for tests in which something breaks in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.books import held, trial_balance
from tests.e2e.client import kes, minor, new_key
from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.patience import insist, insist_on_post, try_post
from tests.e2e.people import People, Person, any_phone

ENDS = ("COMPLETED", "FAILED", "REVERSED")


@dataclass(slots=True)
class Scene:
    """A payer with money and a payee; knows what each must have in the end."""

    mesh: Mesh
    people: People
    payer: Person
    payee: Person
    expected: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expected = {"payer": self.payer.balance(), "payee": self.payee.balance()}

    def again(self) -> Scene:
        """The same people, with what they have now."""
        insist(lambda: self.payer.client.get("/api/v1/wallets"))
        return Scene(self.mesh, self.people, self.payer, self.payee)

    # Requests, ready to be sent as often as it takes

    def transfer(self, amount: str) -> tuple[str, dict[str, Any]]:
        """The payer pays the payee."""
        self.expected["payer"] -= _minor(amount)
        self.expected["payee"] += _minor(amount)
        return "/api/v1/transfers", {
            "sourceWalletId": self.payer.wallet()["id"],
            "destination": {"identifier": self.payee.identifier},
            "amount": kes(amount),
        }

    def deposit(self, amount: str) -> tuple[str, dict[str, Any]]:
        """The payer brings money in."""
        self.expected["payer"] += _minor(amount)
        return "/api/v1/deposits", {
            "walletId": self.payer.wallet()["id"],
            "amount": kes(amount),
            "mobileMoney": {"phone": any_phone()},
        }

    def withdrawal(self, amount: str) -> tuple[str, dict[str, Any]]:
        """The payer takes money out."""
        self.expected["payer"] -= _minor(amount)
        return "/api/v1/withdrawals", {
            "walletId": self.payer.wallet()["id"],
            "amount": kes(amount),
            "mobileMoney": {"phone": any_phone()},
        }

    def of_kind(self, kind: str, amount: str) -> tuple[str, dict[str, Any]]:
        """A request by name: transfer, deposit or withdrawal."""
        makers: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
            "transfer": self.transfer,
            "deposit": self.deposit,
            "withdrawal": self.withdrawal,
        }
        return makers[kind](amount)

    def carry_out(self, request: tuple[str, dict[str, Any]], *, key: str | None = None) -> str:
        """Send until answered; answers the id of the transaction."""
        return str(insist_on_post(self.payer.client, *request, key=key)["transaction"]["id"])

    def attempt(self, request: tuple[str, dict[str, Any]], *, key: str) -> None:
        """Send once, whatever comes back."""
        try_post(self.payer.client, *request, key=key)

    # The end

    def await_end(self, transaction_id: str, *, seconds: float = 60) -> dict[str, Any]:
        """Wait until a transaction has come to its end."""

        return self.await_state(transaction_id, *ENDS, seconds=seconds)

    def await_state(self, transaction_id: str, *states: str, seconds: float) -> dict[str, Any]:
        """Wait until a transaction is in one of the states, through any number of calls without an answer."""

        def arrived() -> dict[str, Any] | None:
            seen = insist(lambda: self.payer.client.get(f"/api/v1/transactions/{transaction_id}"))
            return seen if seen["state"] in states else None

        return wait_until(
            f"transaction {transaction_id} is {' or '.join(states)}", arrived, seconds=seconds
        )

    def decide(self, transaction_id: str, outcome: str) -> None:
        """Wait until a transaction waits for people, and let two of them say how it ended."""
        seen = self.await_state(transaction_id, "MANUAL_REVIEW", *ENDS, seconds=90)
        if seen["state"] == outcome:
            return
        wallet = self.payer.wallet()
        is_paying = seen["sourceWalletId"] == wallet["id"]
        assert minor(wallet["pending"]) == (minor(seen["total"]) if is_paying else 0)
        first, second = (self.people.staff(name, "staff") for name in ("First", "Second"))
        proposal = insist_on_post(
            first.client,
            f"/api/v1/transactions/{transaction_id}:resolve",
            {"outcome": outcome, "note": "read in the provider's statement"},
        )["review"]
        insist_on_post(second.client, f"/api/v1/reviews/{proposal['id']}:confirm", {})
        if outcome == "FAILED":
            amount = minor(seen["amount"])
            self.expected["payer"] += amount if is_paying else -amount

    def check_books(self) -> None:
        """Everybody has what they should have, nothing is held any more, and the books sum to zero."""
        insist(lambda: self.payer.client.get("/api/v1/wallets"))
        wait_until("nothing is held", lambda: held(self.mesh) == 0, seconds=30)
        trial_balance(self.mesh)
        have = {"payer": self.payer.balance(), "payee": self.payee.balance()}
        assert have == self.expected
        for person in (self.payer, self.payee):
            wallet = person.wallet()
            assert wallet["balance"] == wallet["available"]
            amounts = [minor(entry["amount"]) for entry in person.entries()]
            assert sum(amounts) == minor(wallet["balance"])


def set_scene(mesh: Mesh, people: People, *, money: str = "2000") -> Scene:
    """A payer with money and a payee, both new."""
    payer = people.sign_up("Payer Mwangi", money=money)
    payee = people.sign_up("Payee Otieno", any_phone())
    return Scene(mesh, people, payer, payee)


def a_key() -> str:
    """A key to be used for every try of one request."""
    return new_key()


def _minor(amount: str) -> int:
    return minor(kes(amount))
