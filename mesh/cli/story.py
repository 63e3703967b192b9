"""`hazina demo`: the story of Asha and Brian, played through the edge as any client would, and checked to the cent.

The same steps run over HTTP/JSON or over gRPC; every step that may be repeated is repeated while a process of the
mesh is coming back, with the same idempotency key, so the story also ends well when something is killed meanwhile.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.markup import escape

from mesh.cli.clients import Client, GrpcClient, HttpEdge
from mesh.cli.contracts import Refused
from mesh.cli.screen import console, table
from mesh.stack.environment import Stack
from mesh.stack.home import StackError

Answer = TypeVar("Answer")

DEPOSIT_MINOR = 500_000
TRANSFER_MINOR = 120_050
WITHDRAWAL_MINOR = 20_000
PATIENCE_SECONDS = 90.0
# A provider that was cut off before it named the payment cannot be asked about it; a person would try again.
UNKNOWN_SECONDS = 20.0
# What a caller may repeat: the mesh is coming back, or did not answer in time.
_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED")
_OPEN_STATES = ("PENDING", "PROCESSING", "UNKNOWN")


@dataclass(slots=True)
class Person:
    """Somebody in the story."""

    name: str
    identifier: str
    secret: Mapping[str, str]
    phone: str
    token: str = ""
    wallet_id: str = ""
    entries: list[dict[str, Any]] = field(default_factory=list)
    balance: int = 0


def play(*, grpc: bool, url: str) -> None:
    """Play it against the mesh of HAZINA_PORT_BASE, or another edge."""
    stack = Stack.from_environment()
    edge_url = url or f"http://127.0.0.1:{stack.ports.edge}"
    if grpc:
        client: Client = GrpcClient.edge(stack, edge_url)
    else:
        authorities = stack.home.certificates / "edge" / "authorities.pem"
        client = HttpEdge(edge_url, authorities=authorities)
    console.print(
        f"[bold]Asha and Brian[/], over {'gRPC' if grpc else 'HTTP/JSON'} at {edge_url}\n"
    )
    began = time.monotonic()
    Story(client).play()
    if not url:
        check_books(GrpcClient.mesh(stack))
    console.print(f"\n[green]The story ended well[/] after {time.monotonic() - began:.1f} s.")


class Story:
    """The story, step by step."""

    def __init__(self, client: Client) -> None:
        self._client = client
        mark = f"{int(time.time()):x}{random.randrange(16**3):03x}"
        self.asha = Person(
            "Asha Wanjiru",
            f"asha.{mark}@example.com",
            {"password": f"kahawa-na-chai-{mark}"},
            _phone(),
        )
        phone = _phone()
        self.brian = Person(
            "Brian Otieno", phone, {"pin": f"{random.randrange(10**5, 10**6)}"}, phone
        )

    def play(self) -> None:
        """All of it. Raises when anything is not as it should be."""
        asha, brian = self.asha, self.brian
        self._sign_up(asha, {"email": asha.identifier})
        self._sign_up(brian, {"phone": brian.identifier})
        for person in (asha, brian):
            self._find_wallet(person)
        self._deposit(asha)
        self._pay()
        self._withdraw(brian)
        for person in (asha, brian):
            self._read_statement(person)
        self._show()

    def _sign_up(self, person: Person, identifier: Mapping[str, str]) -> None:
        way = "by email" if "email" in identifier else "by phone"
        with _step(f"{person.name} signs up {way}") as step:
            self._insist(
                "AuthService.SignUp", {**identifier, **person.secret, "displayName": person.name}
            )
            step.text = f"{person.name} signed up {way} ({person.identifier})"
        with _step(f"{person.name} waits for the code") as step:
            code = self._await(lambda: self._code(person), "the code")
            self._verify(person, code)
            step.text = f"{person.name} verified with the code that was sent: {code}"

    def _code(self, person: Person) -> str:
        answer = self._insist(
            "DevelopmentService.ListSentMessages", {"recipient": person.identifier}
        )
        for message in answer["messages"]:
            found = re.search(r"\b\d{6}\b", message["body"])
            if found:
                return found.group()
        return ""

    def _verify(self, person: Person, code: str) -> None:
        try:
            answer = self._insist(
                "AuthService.VerifyIdentity", {"identifier": person.identifier, "code": code}
            )
        except Refused:
            # The answer to the first try may have been lost together with a process; the code is used up then.
            answer = self._insist(
                "AuthService.Login", {"identifier": person.identifier, **person.secret}
            )
        person.token = answer["accessToken"]

    def _find_wallet(self, person: Person) -> None:
        with _step(f"{person.name}'s wallets are made") as step:

            def look() -> str:
                answer = self._insist("WalletService.ListWallets", {}, token=person.token)
                kes = [w["id"] for w in answer["wallets"] if w["currency"] == "KES"]
                return str(kes[0]) if kes else ""

            person.wallet_id = self._await(look, "the wallet")
            step.text = f"{person.name} has a wallet in KES"

    def _deposit(self, person: Person) -> None:
        for _ in range(3):
            with _step(f"{person.name} deposits {_kes(DEPOSIT_MINOR)} by mobile money") as step:
                answer = self._insist(
                    "PaymentService.CreateDeposit",
                    {
                        "walletId": person.wallet_id,
                        "amount": _money(DEPOSIT_MINOR),
                        "mobileMoney": {"phone": person.phone},
                    },
                    token=person.token,
                    key=str(uuid.uuid4()),
                )
                done = self._settle(person, answer["transaction"], unknown_seconds=UNKNOWN_SECONDS)
                if done["state"] == "COMPLETED":
                    step.text = (
                        f"{person.name} deposited {_kes(DEPOSIT_MINOR)} by mobile money "
                        f"(receipt {done.get('providerReceipt') or 'none'})"
                    )
                    return
                step.text = "The provider fell silent: the deposit stays UNKNOWN, no money is made. Once more"
        raise StackError(
            "The provider fell silent three times. `hazina status` shows whether mobile-money runs."
        )

    def _pay(self) -> None:
        asha, brian = self.asha, self.brian
        amount = _money(TRANSFER_MINOR)
        destination = {"identifier": brian.identifier}
        with _step("Asha looks whom she will pay") as step:
            preview = self._insist(
                "PaymentService.PreviewTransfer",
                {"destination": destination, "amount": amount},
                token=asha.token,
            )
            step.text = (
                f"Preview: {_kes(TRANSFER_MINOR)} to {preview['recipientName']}, "
                f"fee {_kes(_minor(preview['fee']))}, total {_kes(_minor(preview['total']))}"
            )
            if preview["recipientName"] == brian.name:
                raise StackError("The preview shows the whole name; it should be masked.")
        with _step("Asha pays Brian") as step:
            request = {
                "sourceWalletId": asha.wallet_id,
                "destination": destination,
                "amount": amount,
                "note": "Chama lunch",
            }
            key = str(uuid.uuid4())
            first = self._insist(
                "PaymentService.CreateTransfer", request, token=asha.token, key=key
            )
            again = self._insist(
                "PaymentService.CreateTransfer", request, token=asha.token, key=key
            )
            transaction = self._settle(asha, first["transaction"])
            if again["transaction"]["id"] != transaction["id"]:
                raise StackError("The same key moved money twice.")
            step.text = (
                f"Asha paid Brian {_kes(TRANSFER_MINOR)}; sent twice with one key, moved once"
            )

    def _withdraw(self, person: Person) -> None:
        with _step(f"{person.name} withdraws {_kes(WITHDRAWAL_MINOR)}") as step:
            answer = self._insist(
                "PaymentService.CreateWithdrawal",
                {
                    "walletId": person.wallet_id,
                    "amount": _money(WITHDRAWAL_MINOR),
                    "mobileMoney": {"phone": person.phone},
                },
                token=person.token,
                key=str(uuid.uuid4()),
            )
            done = self._settle(person, answer["transaction"])
            step.text = (
                f"{person.name} withdrew {_kes(WITHDRAWAL_MINOR)} "
                f"(fee {_kes(_minor(done.get('fee')))}, receipt {done.get('providerReceipt') or 'none'})"
            )

    def _settle(
        self,
        person: Person,
        transaction: Mapping[str, Any],
        *,
        unknown_seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """The transaction at its end, which must be COMPLETED; or as it stands when it stays UNKNOWN that long."""
        give_up_at = time.monotonic() + unknown_seconds

        def look() -> dict[str, Any]:
            now = self._insist(
                "PaymentService.GetTransaction",
                {"transactionId": transaction["id"]},
                token=person.token,
            )
            silent = now["state"] == "UNKNOWN" and time.monotonic() > give_up_at
            return now if silent or now["state"] not in _OPEN_STATES else {}

        ended = dict(transaction)
        if ended["state"] in _OPEN_STATES:
            ended = self._await(look, "the end of the transaction")
        if ended["state"] not in ("COMPLETED", "UNKNOWN"):
            raise StackError(
                f"Transaction {ended['id']} ended as {ended['state']}: {ended.get('failureMessage') or 'no reason given'}"
            )
        return ended

    def _read_statement(self, person: Person) -> None:
        with _step(f"{person.name} reads the statement") as step:
            entries = self._insist(
                "WalletService.ListEntries", {"walletId": person.wallet_id}, token=person.token
            )["entries"]
            wallet = self._insist(
                "WalletService.GetWallet", {"walletId": person.wallet_id}, token=person.token
            )
            person.entries = entries
            person.balance = _minor(wallet["balance"])
            running = 0
            for entry in reversed(entries):
                running += _minor(entry["amount"])
                if running != _minor(entry["balance"]):
                    raise StackError(
                        f"{person.name}'s statement does not add up at entry {entry['id']}: "
                        f"{_kes(running)} counted, {_kes(_minor(entry['balance']))} written."
                    )
            if running != person.balance:
                raise StackError(
                    f"{person.name}'s entries make {_kes(running)}, the wallet says {_kes(person.balance)}."
                )
            step.text = f"{person.name}'s statement agrees with the wallet: {_kes(person.balance)}"

    def _show(self) -> None:
        console.print()
        shown = table("who", "what", ">amount", ">balance")
        for person in (self.asha, self.brian):
            for entry in reversed(person.entries):
                shown.add_row(
                    person.name,
                    str(entry["code"]).lower().replace("_", " "),
                    f"{_minor(entry['amount']) / 100:+,.2f}",
                    f"{_minor(entry['balance']) / 100:,.2f}",
                )
            shown.add_section()
        console.print(shown)

    def _insist(
        self, name: str, request: Mapping[str, Any], *, token: str = "", key: str = ""
    ) -> dict[str, Any]:
        """Call, and call again while the mesh is coming back: the same request with the same key."""
        return insist(lambda: self._client.call(name, request, token=token, key=key))

    def _await(self, look: Callable[[], Answer], what: str) -> Answer:
        """Look until there is something."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.3)
        raise StackError(
            f"Waited {PATIENCE_SECONDS:.0f} s in vain for {what}. `hazina status` and `hazina events list` show what is stuck."
        )


def insist(ask: Callable[[], Answer]) -> Answer:
    """Ask, and again while the mesh is coming back. Raises the last refusal when that takes too long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except Refused as refused:
            if refused.status not in _PASSING or time.monotonic() > until:
                raise
            time.sleep(0.5)


def check_books(client: Client) -> None:
    """The ledger's own word, asked as the operator: debits and credits are equal in every currency."""
    with _step("The operator looks at the trial balance") as step:
        answer = insist(
            lambda: client.call("LedgerService.GetTrialBalance", {"tenantId": "default"})
        )
        wrong = [
            line["currency"]
            for line in answer["currencies"]
            if int(line["net"]) != 0 or not line["consistent"]
        ]
        if wrong:
            raise StackError(f"The trial balance is not zero in {', '.join(wrong)}.")
        step.text = "The trial balance is zero"


class _step:  # noqa: N801 - reads as a statement
    """A line with a spinner that ends as a line with a tick, or with a cross."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._status = console.status(escape(text))

    def __enter__(self) -> _step:
        self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._status.stop()
        mark = "[green]✓[/]" if kind is None else "[red]✗[/]"
        console.print(f"{mark} {escape(self.text)}")


def _phone() -> str:
    return f"+2547{random.randrange(10**7, 10**8)}"


def _money(minor: int) -> dict[str, str]:
    return {"currency": "KES", "minorUnits": str(minor)}


def _minor(money: Mapping[str, Any] | None) -> int:
    return int((money or {}).get("minorUnits", 0))


def _kes(minor: int) -> str:
    return f"KES {minor / 100:,.2f}"
