"""People for stories: signed up with codes that were really sent, with wallets and money of their own."""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import dataclass
from typing import Any

from hazina.auth.v1 import directory_service_pb2, directory_service_pb2_grpc
from tests.e2e.client import HTTP_1, Client, kes, minor, new_key
from tests.e2e.mesh import Mesh, wait_until

PASSWORD = "correct-horse-battery-staple"
PIN = "4826"


@dataclass(slots=True)
class Person:
    """Somebody with a verified identifier and an open session."""

    id: str
    name: str
    identifier: str
    client: Client
    access_token: str
    refresh_token: str

    @property
    def secret(self) -> dict[str, str]:
        """What they sign in with."""
        return {"password": PASSWORD} if "@" in self.identifier else {"pin": PIN}

    def wallet(self, currency: str = "KES") -> dict[str, Any]:
        """Their wallet in one currency, as it stands."""
        return next(w for w in self._wallets() if w["currency"] == currency)

    def balance(self) -> int:
        """What they have in KES, in minor units."""
        return minor(self.wallet()["balance"])

    def entries(self) -> list[dict[str, Any]]:
        """Every line of their KES statement, newest first."""
        path, token = f"/api/v1/wallets/{self.wallet()['id']}/entries", ""
        entries: list[dict[str, Any]] = []
        while True:
            query = {"pageToken": token} if token else {}
            page = self.client.get(path, pageSize=100, **query).ok()
            entries += page["entries"]
            token = page["nextPageToken"]
            if not token:
                return entries

    def _wallets(self) -> list[dict[str, Any]]:
        return list(self.client.get("/api/v1/wallets").ok()["wallets"])

    def await_wallets(self) -> None:
        """Wait until the wallets are there that every verified person gets."""
        wait_until(
            f"{self.name} has a KES and a BTC wallet",
            lambda: {w["currency"] for w in self._wallets()} >= {"KES", "BTC"},
        )

    def start_deposit(
        self, amount: str, *, phone: str | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """Ask for a deposit by mobile money; answers the transaction as it stands then."""
        body = {
            "walletId": self.wallet()["id"],
            "amount": kes(amount),
            "mobileMoney": {"phone": phone or any_phone()},
        }
        answer = self.client.post("/api/v1/deposits", body, key=key or new_key())
        return dict(answer.ok()["transaction"])

    def deposit(self, amount: str) -> dict[str, Any]:
        """Bring money in and wait until it is there."""
        return self.await_state(self.start_deposit(amount)["id"], "COMPLETED")

    def transfer(self, to: Person, amount: str, *, key: str | None = None) -> dict[str, Any]:
        """Pay another person."""
        body = {
            "sourceWalletId": self.wallet()["id"],
            "destination": {"identifier": to.identifier},
            "amount": kes(amount),
        }
        answer = self.client.post("/api/v1/transfers", body, key=key or new_key())
        return dict(answer.ok()["transaction"])

    def start_withdrawal(
        self, amount: str, *, phone: str | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """Ask for a withdrawal by mobile money; answers the transaction as it stands then."""
        body = {
            "walletId": self.wallet()["id"],
            "amount": kes(amount),
            "mobileMoney": {"phone": phone or any_phone()},
        }
        answer = self.client.post("/api/v1/withdrawals", body, key=key or new_key())
        return dict(answer.ok()["transaction"])

    def transaction(self, transaction_id: str) -> dict[str, Any]:
        """One of their transactions, as it stands."""
        return self.client.get(f"/api/v1/transactions/{transaction_id}").ok()

    def await_state(self, transaction_id: str, *states: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until a transaction is in one of the states."""

        def arrived() -> dict[str, Any] | None:
            seen = self.transaction(transaction_id)
            return seen if seen["state"] in states else None

        return wait_until(
            f"transaction {transaction_id} is {' or '.join(states)}", arrived, seconds=seconds
        )

    def refresh(self) -> None:
        """Trade the refresh token, so that new roles are in the access token."""
        answer = self.client.post("/api/v1/auth/refresh", {"refreshToken": self.refresh_token}).ok()
        self.access_token, self.refresh_token = answer["accessToken"], answer["refreshToken"]
        self.client.headers["authorization"] = f"Bearer {self.access_token}"


class People:
    """Signs people up on one mesh, and closes their connections in the end."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._clients: list[Client] = []

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()

    def client(self, *, protocol: str = HTTP_1) -> Client:
        """A client without credentials."""
        client = Client(self.mesh.edge, protocol=protocol)
        self._clients.append(client)
        return client

    def sign_up(
        self,
        name: str,
        identifier: str = "",
        *,
        money: str = "",
        tenant: str = "",
        protocol: str = HTTP_1,
    ) -> Person:
        """Somebody new, verified and with wallets; `money` brings KES in, `tenant` signs up there."""
        identifier = identifier or any_email(name)
        client = self.client(protocol=protocol)
        if tenant:
            client.headers["x-tenant-id"] = tenant
        kind = "email" if "@" in identifier else "phone"
        secret = {"password": PASSWORD} if kind == "email" else {"pin": PIN}
        client.post("/api/v1/auth/signup", {kind: identifier, "displayName": name, **secret}).ok()
        code = self.await_code(identifier)
        session = client.post("/api/v1/auth/verify", {"identifier": identifier, "code": code}).ok()
        client.headers["authorization"] = f"Bearer {session['accessToken']}"
        person = Person(
            id=session["user"]["id"],
            name=name,
            identifier=identifier,
            client=client,
            access_token=session["accessToken"],
            refresh_token=session["refreshToken"],
        )
        person.await_wallets()
        if money:
            person.deposit(money)
        return person

    def staff(self, name: str, *roles: str, tenant: str = "default") -> Person:
        """Somebody with further roles in a tenant."""
        person = self.sign_up(name)
        self.give_roles(person, *roles, tenant=tenant)
        return person

    def give_roles(self, person: Person, *roles: str, tenant: str = "default") -> None:
        """Give a person roles as the operator does, and a token that knows."""
        with self.mesh.mesh_channel("ops") as channel:
            directory_service_pb2_grpc.TenantServiceStub(channel).AddMember(
                directory_service_pb2.AddMemberRequest(
                    tenant_id=tenant, identifier=person.identifier, roles=roles
                ),
                timeout=10,
            )
        person.refresh()

    def make_tenant(self) -> str:
        """A tenant of its own."""
        tenant = f"t{uuid.uuid4().hex[:12]}"
        with self.mesh.mesh_channel("ops") as channel:
            directory_service_pb2_grpc.TenantServiceStub(channel).CreateTenant(
                directory_service_pb2.CreateTenantRequest(
                    tenant_id=tenant, display_name=tenant.upper()
                ),
                timeout=10,
            )
        return tenant

    def await_code(self, recipient: str, *, seen: int = 0) -> str:
        """The newest 6-digit code that was sent to an address; `seen` codes were there before."""

        def arrived() -> str | None:
            codes = self.codes(recipient)
            return codes[0] if len(codes) > seen else None

        return wait_until(f"a code reaches {recipient}", arrived)

    def codes(self, recipient: str) -> list[str]:
        """Codes that were sent to an address, newest first."""
        found = [re.search(r"\b([0-9]{6})\b", m["body"]) for m in self.messages(recipient)]
        return [match.group(1) for match in found if match]

    def times_told(self, recipient: str, words: str) -> int:
        """How many of the newest messages to an address say the words."""
        return sum(words in message["body"] for message in self.messages(recipient))

    def messages(self, recipient: str) -> list[dict[str, Any]]:
        """What was sent to an address, newest first."""
        with Client(self.mesh.edge) as client:
            return list(
                client.get("/dev/v1/messages", recipient=recipient, pageSize=100).ok()["messages"]
            )


def any_email(name: str) -> str:
    """An address that nobody had before."""
    return f"{name.split(maxsplit=1)[0].lower()}.{uuid.uuid4().hex[:12]}@example.com"


def any_phone() -> str:
    """A Kenyan mobile number that nobody had before, most likely."""
    return f"+2547{random.randrange(10_000_000, 99_999_999):08d}"
