"""The wallet paths of the promised HTTP surface, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.e2e.client import HTTP_1, HTTP_2, Client, minor
from tests.e2e.mesh import Mesh
from tests.e2e.people import Person


@pytest.fixture(params=[HTTP_1, HTTP_2])
def client(mesh: Mesh, asha: Person, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Asha's."""
    with Client(mesh.edge, protocol=request.param, token=asha.access_token) as opened:
        yield opened


def test_a_verified_person_has_a_shilling_and_a_bitcoin_wallet(client: Client) -> None:
    body = client.get("/api/v1/wallets").ok()

    assert {wallet["currency"] for wallet in body["wallets"]} == {"KES", "BTC"}
    assert body["nextPageToken"] == ""
    for wallet in body["wallets"]:
        assert wallet["kind"] == "USER"
        assert wallet["name"]
        assert wallet["balance"]["currency"] == wallet["currency"]
        assert minor(wallet["available"]) == minor(wallet["balance"]) - minor(wallet["pending"])


def test_one_wallet_is_answered_bare(client: Client, asha: Person) -> None:
    wallet = asha.wallet()

    assert client.get(f"/api/v1/wallets/{wallet['id']}").ok() == wallet


def test_a_wallet_that_is_not_there_and_one_of_somebody_else_look_the_same(
    client: Client, brian: Person
) -> None:
    absent = client.get(f"/api/v1/wallets/{uuid.uuid4()}")
    foreign = client.get(f"/api/v1/wallets/{brian.wallet()['id']}")

    assert absent.status == foreign.status == 404
    assert absent.refusal().reason == foreign.refusal().reason == "NOT_FOUND"
    assert absent.refusal().message == foreign.refusal().message


def test_the_statement_is_walked_newest_first_with_a_running_balance(
    client: Client, asha: Person, brian: Person
) -> None:
    for _ in range(3):
        asha.transfer(brian, "1.00")
    path = f"/api/v1/wallets/{asha.wallet()['id']}/entries"

    entries, token = [], ""
    while True:
        page = client.get(path, pageSize=2, **({"pageToken": token} if token else {})).ok()
        assert len(page["entries"]) <= 2
        entries += page["entries"]
        token = page["nextPageToken"]
        if not token:
            break

    assert len(entries) >= 4
    assert len({entry["id"] for entry in entries}) == len(entries)
    times = [entry["createTime"] for entry in entries]
    assert times == sorted(times, reverse=True)
    assert minor(entries[0]["balance"]) == asha.balance()
    for newer, older in pairwise(entries):
        assert minor(newer["balance"]) == minor(older["balance"]) + minor(newer["amount"])
    assert minor(entries[-1]["balance"]) == minor(entries[-1]["amount"]) == 5000_00
    assert entries[-1]["transactionId"]


def test_a_page_token_belongs_to_its_own_list(client: Client, asha: Person, brian: Person) -> None:
    asha.transfer(brian, "1.00")
    path = f"/api/v1/wallets/{asha.wallet()['id']}/entries"
    token = client.get(path, pageSize=1).ok()["nextPageToken"]

    elsewhere = client.get("/api/v1/transactions", pageToken=token)
    changed = client.get(path, pageToken=token[:-4] + "AAAA")

    assert elsewhere.refusal().reason == "PAGE_TOKEN_INVALID"
    assert changed.refusal().reason == "PAGE_TOKEN_INVALID"


def test_the_stream_tells_each_change_of_the_balance(
    client: Client, asha: Person, brian: Person
) -> None:
    before = asha.balance()
    path = f"/api/v1/wallets/{asha.wallet()['id']}:watch"

    with client.watch(path) as messages:
        first = next(messages)
        asha.transfer(brian, "2.00")
        second = next(messages)
        asha.transfer(brian, "3.00")
        third = next(messages)

    assert minor(first["wallet"]["balance"]) == before
    assert minor(second["wallet"]["balance"]) == before - 2_00
    assert minor(third["wallet"]["balance"]) == before - 5_00
    assert len({message["cursor"] for message in (first, second, third)}) == 3


@pytest.mark.parametrize("how", ["query", "header"])
def test_a_stream_is_resumed_where_it_broke(
    client: Client, asha: Person, brian: Person, how: str
) -> None:
    path = f"/api/v1/wallets/{asha.wallet()['id']}:watch"
    with client.watch(path) as messages:
        cursor = next(messages)["cursor"]

    asha.transfer(brian, "1.00")
    missed = asha.balance()
    if how == "header":
        client.headers["last-event-id"] = cursor
    with client.watch(path, **({"cursor": cursor} if how == "query" else {})) as messages:
        resumed = next(messages)
    client.headers["last-event-id"] = ""
    with client.watch(path, cursor=resumed["cursor"]) as messages:
        asha.transfer(brian, "1.00")
        after = next(messages)

    assert minor(resumed["wallet"]["balance"]) == missed
    assert minor(after["wallet"]["balance"]) == missed - 1_00, "what was seen is not sent again"


def test_a_stream_of_a_wallet_of_somebody_else_is_refused_with_the_error_shape(
    client: Client, brian: Person
) -> None:
    answer = client.get(f"/api/v1/wallets/{brian.wallet()['id']}:watch")

    assert (answer.status, answer.refusal().reason) == (404, "NOT_FOUND")
