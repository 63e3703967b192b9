"""The payment paths of the promised HTTP surface, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.client import HTTP_1, HTTP_2, Client, kes, minor, new_key
from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person, any_email, any_phone


@pytest.fixture(params=[HTTP_1, HTTP_2])
def client(mesh: Mesh, asha: Person, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Asha's."""
    with Client(mesh.edge, protocol=request.param, token=asha.access_token) as opened:
        yield opened


def test_rails_say_what_is_installed_with_limits_and_fees(client: Client) -> None:
    rails = client.get("/api/v1/rails").ok()["rails"]

    ways = {(rail["method"], rail["direction"], rail["currency"]): rail for rail in rails}
    for direction in ("IN", "OUT"):
        rail = ways["MOBILE_MONEY", direction, "KES"]
        assert rail["installed"] is True
        assert 0 < minor(rail["amountMin"]) < minor(rail["amountMax"])
        assert rail["amountStep"] == "100", "mobile money takes whole shillings"
        assert rail["fee"]["basisPoints"] >= 0
    assert not any(rail["installed"] for key, rail in ways.items() if key[0] != "MOBILE_MONEY")


def test_a_deposit_by_mobile_money_arrives(client: Client, asha: Person) -> None:
    before = asha.balance()
    request = {
        "walletId": asha.wallet()["id"],
        "amount": kes("150"),
        "mobileMoney": {"phone": any_phone()},
    }

    answered = client.post("/api/v1/deposits", request, key=new_key()).ok()["transaction"]

    assert (answered["kind"], answered["rail"]) == ("DEPOSIT", "mpesa")
    assert answered["state"] in {"PENDING", "PROCESSING"}
    assert minor(answered["amount"]) == 150_00
    assert minor(answered["total"]) == minor(answered["amount"]) + minor(answered["fee"])
    done = asha.await_state(answered["id"], "COMPLETED")
    assert done["providerReceipt"]
    assert asha.balance() == before + 150_00


@pytest.mark.parametrize("method", ["card", "lightning"])
def test_a_rail_that_is_not_installed_says_so(client: Client, asha: Person, method: str) -> None:
    request = {"walletId": asha.wallet()["id"], "amount": kes("10"), method: {}}

    answer = client.post("/api/v1/deposits", request, key=new_key())

    assert (answer.status, answer.refusal().code) == (501, "UNIMPLEMENTED")
    assert answer.refusal().reason == "RAIL_NOT_AVAILABLE"


def test_mobile_money_takes_whole_shillings(client: Client, asha: Person) -> None:
    request = {
        "walletId": asha.wallet()["id"],
        "amount": kes("10.50"),
        "mobileMoney": {"phone": any_phone()},
    }

    for path in ("/api/v1/deposits", "/api/v1/withdrawals"):
        assert client.post(path, request, key=new_key()).refusal().reason == "AMOUNT_NOT_PAYABLE"


def test_a_transfer_is_completed_when_answered(client: Client, asha: Person, brian: Person) -> None:
    before = asha.balance(), brian.balance()
    request = {
        "sourceWalletId": asha.wallet()["id"],
        "destination": {"walletId": brian.wallet()["id"]},
        "amount": kes("12.34"),
        "note": "lunch",
    }

    transaction = client.post("/api/v1/transfers", request, key=new_key()).ok()["transaction"]

    assert (transaction["kind"], transaction["state"]) == ("TRANSFER", "COMPLETED")
    assert transaction["note"] == "lunch"
    assert "Brian" not in transaction["counterpartyName"]
    fee = minor(transaction["fee"])
    assert (asha.balance(), brian.balance()) == (before[0] - 12_34 - fee, before[1] + 12_34)


def test_a_transfer_beyond_the_balance_is_refused_and_remembered_as_failed(
    client: Client, asha: Person, brian: Person
) -> None:
    before = asha.balance()
    request = {
        "sourceWalletId": asha.wallet()["id"],
        "destination": {"identifier": brian.identifier},
        "amount": kes("999999"),
    }
    key = new_key()

    first = client.post("/api/v1/transfers", request, key=key)
    again = client.post("/api/v1/transfers", request, key=key)

    assert (first.status, first.refusal().code) == (400, "FAILED_PRECONDITION")
    assert first.refusal().reason == again.refusal().reason == "INSUFFICIENT_FUNDS"
    assert asha.balance() == before


def test_an_unknown_recipient_is_not_found(client: Client, asha: Person) -> None:
    destination = {"identifier": any_email("nobody")}
    request = {
        "sourceWalletId": asha.wallet()["id"],
        "destination": destination,
        "amount": kes("1"),
    }

    paid = client.post("/api/v1/transfers", request, key=new_key())
    previewed = client.post(
        "/api/v1/transfers:preview", {"destination": destination, "amount": kes("1")}
    )

    assert paid.status == previewed.status == 404
    assert paid.refusal().reason == previewed.refusal().reason == "RECIPIENT_NOT_FOUND"


def test_money_needs_an_idempotency_key(client: Client, asha: Person, brian: Person) -> None:
    request = {
        "sourceWalletId": asha.wallet()["id"],
        "destination": {"identifier": brian.identifier},
        "amount": kes("1"),
    }

    answer = client.post("/api/v1/transfers", request)

    assert (answer.status, answer.refusal().reason) == (400, "IDEMPOTENCY_KEY_REQUIRED")


def test_a_withdrawal_holds_the_money_until_the_provider_paid(client: Client, asha: Person) -> None:
    before = asha.wallet()
    request = {
        "walletId": before["id"],
        "amount": kes("40"),
        "mobileMoney": {"phone": any_phone()},
    }

    answered = client.post("/api/v1/withdrawals", request, key=new_key()).ok()["transaction"]

    assert answered["kind"] == "WITHDRAWAL"
    assert answered["state"] in {"PENDING", "PROCESSING"}
    done = asha.await_state(answered["id"], "COMPLETED")
    after = asha.wallet()
    assert done["providerReceipt"]
    assert minor(after["balance"]) == minor(before["balance"]) - minor(done["total"])
    assert minor(after["pending"]) == minor(before["pending"])


def test_transactions_are_listed_newest_first_and_filtered(
    client: Client, asha: Person, brian: Person
) -> None:
    paid = asha.transfer(brian, "5.00")

    listed = client.get("/api/v1/transactions", pageSize=100).ok()["transactions"]
    transfers = client.get("/api/v1/transactions", kind="TRANSFER").ok()["transactions"]
    deposits = client.get("/api/v1/transactions", kind="DEPOSIT").ok()["transactions"]
    failed = client.get("/api/v1/transactions", state="FAILED").ok()["transactions"]
    bitcoin = client.get("/api/v1/transactions", walletId=asha.wallet("BTC")["id"]).ok()

    assert listed[0]["id"] == paid["id"]
    times = [transaction["createTime"] for transaction in listed]
    assert times == sorted(times, reverse=True)
    assert transfers[0]["id"] == paid["id"]
    assert {transaction["kind"] for transaction in deposits} == {"DEPOSIT"}
    assert all(transaction["state"] == "FAILED" for transaction in failed)
    assert bitcoin["transactions"] == []


def test_both_sides_see_a_transfer_and_nobody_else_does(
    client: Client, people: People, asha: Person, brian: Person
) -> None:
    paid = asha.transfer(brian, "5.00")
    stranger = people.sign_up("Stranger")

    assert client.get(f"/api/v1/transactions/{paid['id']}").ok()["id"] == paid["id"]
    assert brian.transaction(paid["id"])["id"] == paid["id"]
    foreign = stranger.client.get(f"/api/v1/transactions/{paid['id']}")
    absent = stranger.client.get(f"/api/v1/transactions/{uuid.uuid4()}")
    assert foreign.status == absent.status == 404
    assert foreign.refusal().message == absent.refusal().message


def test_the_hook_takes_only_the_right_secret(mesh: Mesh, client: Client) -> None:
    right = client.post(f"/hooks/v1/daraja/{mesh.stack.hook_secret}", {"Body": {}})
    wrong = client.post("/hooks/v1/daraja/guessed", {"Body": {}})
    unknown = client.post(f"/hooks/v1/nobody/{mesh.stack.hook_secret}", {"Body": {}})

    assert right.status == 200
    assert wrong.status == unknown.status == 404
    assert wrong.refusal().reason == "NOT_FOUND"
