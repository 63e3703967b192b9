"""One key, one effect, one answer; and money that is there once is spent once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.books import trial_balance
from tests.e2e.client import Client, kes, minor, new_key
from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person, any_phone
from tests.e2e.wire import Answer


def test_the_same_transfer_one_after_another_moves_money_once(asha: Person, brian: Person) -> None:
    before = brian.balance()
    request, key = _transfer(asha, brian, "10.00"), new_key()

    first = asha.client.post("/api/v1/transfers", request, key=key)
    again = [asha.client.post("/api/v1/transfers", request, key=key) for _ in range(3)]

    assert brian.balance() == before + 10_00
    assert "idempotent-replayed" not in first.headers
    for replay in again:
        assert replay.ok() == first.ok()
        assert replay.headers["idempotent-replayed"] == "true"


def test_the_same_transfer_20_times_at_once_moves_money_once(
    mesh: Mesh, asha: Person, brian: Person
) -> None:
    before = asha.balance(), brian.balance()
    request, key = _transfer(asha, brian, "10.00"), new_key()

    answers = _at_once([(asha, request, key)] * 20, mesh)

    assert {answer.status for answer in answers} == {200}, [a.content[:200] for a in answers]
    assert len({answer.content for answer in answers}) == 1, "every caller reads the same answer"
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert (asha.balance(), brian.balance()) == (before[0] - 10_00, before[1] + 10_00)


def test_the_same_deposit_20_times_at_once_comes_in_once(mesh: Mesh, people: People) -> None:
    person = people.sign_up("Depositor")
    request = {
        "walletId": person.wallet()["id"],
        "amount": kes("70"),
        "mobileMoney": {"phone": any_phone()},
    }
    answers = _at_once([(person, request, new_key())] * 20, mesh, path="/api/v1/deposits")

    ids = {answer.ok()["transaction"]["id"] for answer in answers}
    assert len(ids) == 1
    person.await_state(ids.pop(), "COMPLETED")
    assert person.balance() == 70_00


def test_the_same_key_with_other_content_is_refused(asha: Person, brian: Person) -> None:
    key = new_key()
    asha.client.post("/api/v1/transfers", _transfer(asha, brian, "1.00"), key=key).ok()
    before = brian.balance()

    answer = asha.client.post("/api/v1/transfers", _transfer(asha, brian, "2.00"), key=key)

    assert (answer.status, answer.refusal().code) == (409, "ABORTED")
    assert answer.refusal().reason == "IDEMPOTENCY_KEY_REUSED"
    assert brian.balance() == before


def test_two_people_may_use_the_same_key(asha: Person, brian: Person, people: People) -> None:
    other = people.sign_up("Other", money="10")
    key = new_key()

    first = asha.transfer(brian, "1.00", key=key)
    second = other.transfer(brian, "1.00", key=key)

    assert first["id"] != second["id"]


def test_fifty_transfers_at_once_spend_what_is_there_and_not_more(
    mesh: Mesh, people: People, brian: Person
) -> None:
    payer = people.sign_up("Payer", money="1000")
    before = brian.balance()
    request = _transfer(payer, brian, "70.00")  # 14 of 50 fit into 1,000.00

    answers = _at_once([(payer, request, new_key()) for _ in range(50)], mesh)

    paid = [answer for answer in answers if answer.status == 200]
    refused = [answer.refusal().reason for answer in answers if answer.status != 200]
    assert len(paid) == 14, refused
    assert refused == ["INSUFFICIENT_FUNDS"] * 36
    assert payer.balance() == 1000_00 - 14 * 70_00
    assert brian.balance() == before + 14 * 70_00
    entries = payer.client.get(
        f"/api/v1/wallets/{payer.wallet()['id']}/entries", pageSize=100
    ).ok()["entries"]
    assert sum(minor(entry["amount"]) for entry in entries) == payer.balance()
    trial_balance(mesh)


def _transfer(payer: Person, payee: Person, amount: str) -> dict[str, object]:
    return {
        "sourceWalletId": payer.wallet()["id"],
        "destination": {"identifier": payee.identifier},
        "amount": kes(amount),
    }


def _at_once(
    calls: list[tuple[Person, dict[str, object], str]],
    mesh: Mesh,
    *,
    path: str = "/api/v1/transfers",
) -> list[Answer]:
    def call(person: Person, request: dict[str, object], key: str) -> Answer:
        with Client(mesh.edge, token=person.access_token) as client:
            return client.post(path, request, key=key)

    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        return list(threads.map(lambda arguments: call(*arguments), calls))
