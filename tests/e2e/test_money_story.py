"""The story that Hazina exists for: two people, one deposit, one payment, one withdrawal, and books that agree."""

from __future__ import annotations

import uuid

import grpc
import pytest

from hazina.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from hazina.payments.v1 import payment_service_pb2, payment_service_pb2_grpc
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.type.v1.money_pb2 import Money
from hazina.wallet.v1 import wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from tests.e2e.books import trial_balance
from tests.e2e.client import HTTP_1, HTTP_2, kes, minor, new_key
from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.people import PASSWORD, PIN, People, Person, any_email, any_phone
from tests.e2e.wire import Metadata


@pytest.mark.parametrize("protocol", [HTTP_1, HTTP_2])
def test_asha_pays_brian_over_http(mesh: Mesh, people: People, protocol: str) -> None:
    asha = people.sign_up("Asha Mwangi", protocol=protocol)
    brian = people.sign_up("Brian Otieno", any_phone(), protocol=protocol)

    asha.deposit("5000")
    assert asha.balance() == 5000_00

    preview = asha.client.post(
        "/api/v1/transfers:preview",
        {"destination": {"identifier": brian.identifier}, "amount": kes("1200.50")},
    ).ok()
    assert preview["recipientName"].startswith("B") and "*" in preview["recipientName"]
    assert "Brian" not in preview["recipientName"] and "Otieno" not in preview["recipientName"]
    assert minor(preview["total"]) == 1200_50 + minor(preview["fee"])

    transfer = asha.transfer(brian, "1200.50")
    assert transfer["state"] == "COMPLETED"
    assert minor(transfer["total"]) == minor(preview["total"])
    assert brian.balance() == 1200_50

    withdrawal = brian.start_withdrawal("200.00", phone=brian.identifier)
    assert withdrawal["state"] in {"PENDING", "PROCESSING"}
    assert withdrawal["providerReceipt"] == ""
    done = brian.await_state(withdrawal["id"], "COMPLETED")
    assert done["providerReceipt"]

    statement = brian.client.get(f"/api/v1/wallets/{brian.wallet()['id']}/entries").ok()["entries"]
    assert [minor(entry["amount"]) for entry in statement] == [-200_00, 1200_50]
    assert [minor(entry["balance"]) for entry in statement] == [1000_50, 1200_50]
    assert [entry["transactionId"] for entry in statement] == [withdrawal["id"], transfer["id"]]
    statement = asha.client.get(f"/api/v1/wallets/{asha.wallet()['id']}/entries").ok()["entries"]
    assert [minor(entry["amount"]) for entry in statement] == [-1200_50, 5000_00]
    assert [minor(entry["balance"]) for entry in statement] == [3799_50, 5000_00]
    assert (asha.balance(), brian.balance()) == (3799_50, 1000_50)

    assert sum(trial_balance(mesh)["KES"].values()) == 0


def test_everybody_is_told_what_happened_to_their_money(people: People) -> None:
    asha = people.sign_up("Asha Mwangi", money="300")
    brian = people.sign_up("Brian Otieno", any_phone())

    asha.transfer(brian, "120.00")
    withdrawal = brian.start_withdrawal("50", phone=brian.identifier)
    brian.await_state(withdrawal["id"], "COMPLETED")

    def told(recipient: str, amount: str) -> bool:
        return any(amount in message["body"] for message in people.messages(recipient))

    wait_until("Asha reads of her deposit", lambda: told(asha.identifier, "300.00"))
    wait_until("Asha reads of the transfer", lambda: told(asha.identifier, "120.00"))
    wait_until("Brian reads of the transfer", lambda: told(brian.identifier, "120.00"))
    wait_until("Brian reads of the withdrawal", lambda: told(brian.identifier, "50.00"))


def test_the_same_story_over_grpc_through_the_edge(mesh: Mesh, people: People) -> None:
    with mesh.edge_channel() as channel:
        asha = _GrpcPerson(channel, people, "Asha Mwangi", any_email("asha"))
        brian = _GrpcPerson(channel, people, "Brian Otieno", any_phone())

        deposit = asha.payments.CreateDeposit(
            payment_service_pb2.CreateDepositRequest(
                wallet_id=asha.wallet().id,
                amount=_kes(5000_00),
                mobile_money=payment_service_pb2.MobileMoney(phone=any_phone()),
            ),
            metadata=asha.keyed(),
        ).transaction
        asha.await_completed(deposit.id)

        destination = payment_service_pb2.Destination(identifier=brian.identifier)
        preview = asha.payments.PreviewTransfer(
            payment_service_pb2.PreviewTransferRequest(
                destination=destination, amount=_kes(1200_50)
            ),
            metadata=asha.metadata,
        )
        assert preview.recipient_name.startswith("B") and "Brian" not in preview.recipient_name

        key = asha.keyed()
        request = payment_service_pb2.CreateTransferRequest(
            source_wallet_id=asha.wallet().id, destination=destination, amount=_kes(1200_50)
        )
        first, call = asha.payments.CreateTransfer.with_call(request, metadata=key)
        again, replay = asha.payments.CreateTransfer.with_call(request, metadata=key)
        assert first.transaction.state == Transaction.COMPLETED
        assert again == first
        assert ("idempotent-replayed", "true") not in list(call.initial_metadata())
        assert ("idempotent-replayed", "true") in list(replay.initial_metadata())

        withdrawal = brian.payments.CreateWithdrawal(
            payment_service_pb2.CreateWithdrawalRequest(
                wallet_id=brian.wallet().id,
                amount=_kes(200_00),
                mobile_money=payment_service_pb2.MobileMoney(phone=brian.identifier),
            ),
            metadata=brian.keyed(),
        ).transaction
        brian.await_completed(withdrawal.id)

        assert asha.wallet().balance.minor_units == 3799_50
        assert brian.wallet().balance.minor_units == 1000_50
        assert [entry.amount.minor_units for entry in brian.entries()] == [-200_00, 1200_50]
        assert [entry.balance.minor_units for entry in asha.entries()] == [3799_50, 5000_00]
    trial_balance(mesh)


def test_a_new_key_moves_money_again(asha: Person, brian: Person) -> None:
    before = brian.balance()

    first = asha.transfer(brian, "1.00", key=new_key())
    second = asha.transfer(brian, "1.00", key=new_key())

    assert first["id"] != second["id"]
    assert brian.balance() == before + 2_00


class _GrpcPerson:
    """Somebody who uses gRPC for everything, with the code that was really sent."""

    def __init__(self, channel: grpc.Channel, people: People, name: str, identifier: str) -> None:
        self.identifier = identifier
        self.payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        self._wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)
        auth = auth_service_pb2_grpc.AuthServiceStub(channel)
        request = auth_service_pb2.SignUpRequest(display_name=name)
        if "@" in identifier:
            request.email, request.password = identifier, PASSWORD
        else:
            request.phone, request.pin = identifier, PIN
        auth.SignUp(request)
        session = auth.VerifyIdentity(
            auth_service_pb2.VerifyIdentityRequest(
                identifier=identifier, code=people.await_code(identifier)
            )
        )
        self.metadata: Metadata = (("authorization", f"Bearer {session.access_token}"),)
        wait_until("the wallet is there", lambda: self._find_wallet() is not None)

    def keyed(self) -> Metadata:
        return (*self.metadata, ("idempotency-key", str(uuid.uuid4())))

    def wallet(self) -> wallet_pb2.Wallet:
        wallet = self._find_wallet()
        assert wallet is not None
        return wallet

    def entries(self) -> list[wallet_pb2.Entry]:
        answer = self._wallets.ListEntries(
            wallet_service_pb2.ListEntriesRequest(wallet_id=self.wallet().id),
            metadata=self.metadata,
        )
        return list(answer.entries)

    def await_completed(self, transaction_id: str) -> None:
        request = payment_service_pb2.GetTransactionRequest(transaction_id=transaction_id)
        wait_until(
            f"{transaction_id} is COMPLETED",
            lambda: (
                self.payments.GetTransaction(request, metadata=self.metadata).state
                == Transaction.COMPLETED
            ),
        )

    def _find_wallet(self) -> wallet_pb2.Wallet | None:
        answer = self._wallets.ListWallets(
            wallet_service_pb2.ListWalletsRequest(), metadata=self.metadata
        )
        return next((wallet for wallet in answer.wallets if wallet.currency == "KES"), None)


def _kes(minor_units: int) -> Money:
    return Money(currency="KES", minor_units=minor_units)
