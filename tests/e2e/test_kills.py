"""`kill -9` of any process in the middle of the story: it comes back by itself, and no money is lost or made."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import redis

from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.people import People, any_phone
from tests.e2e.scene import Scene, a_key, set_scene
from tests.e2e.streams import wait_consumed

pytestmark = pytest.mark.chaos

_PROCESSES = ["auth", "wallet", "payments", "groups", "comms", "envoy", "valkey", "postgres", "mail", "sms"]  # fmt: skip
_QUICK: set[str] = set()


@pytest.fixture(scope="module")
def crowd(fragile_mesh: Mesh) -> Iterator[People]:
    people = People(fragile_mesh)
    yield people
    people.close()


@pytest.fixture(scope="module")
def cast(fragile_mesh: Mesh, crowd: People) -> Scene:
    return set_scene(fragile_mesh, crowd, money="20000")


@pytest.fixture
def scene(cast: Scene) -> Scene:
    """The same two people for every test, with what they have when it begins."""
    return cast.again()


@pytest.mark.parametrize(
    "process",
    [pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in _PROCESSES],
)
def test_any_process_killed_during_the_story_comes_back_and_the_story_ends(
    scene: Scene, process: str
) -> None:
    mesh = scene.mesh
    before = mesh.part(process)
    coming, passing, going = (
        scene.deposit("500"),
        scene.transfer("120.50"),
        scene.withdrawal("200"),
    )

    deposit = scene.carry_out(coming)
    mesh.kill_without_waiting(process)
    paid = scene.carry_out(passing)
    withdrawal = scene.carry_out(going)
    mesh.wait_restarted(process, after=before)

    for transaction in (deposit, paid, withdrawal):
        assert scene.await_end(transaction, seconds=90)["state"] == "COMPLETED"
    scene.check_books()


@pytest.mark.slow
@pytest.mark.parametrize("process", ["wallet", "payments", "postgres", "envoy"])
def test_killed_under_load_every_answered_transfer_is_in_the_books_once(
    scene: Scene, process: str
) -> None:
    mesh, stop = scene.mesh, threading.Event()
    done: list[str] = []
    requests = [scene.transfer("1.00") for _ in range(60)]
    before = mesh.part(process)

    def pay() -> None:
        while requests and not stop.is_set():
            done.append(scene.carry_out(requests.pop(), key=a_key()))

    payers = [threading.Thread(target=pay) for _ in range(3)]
    for payer in payers:
        payer.start()
    wait_until("some transfers are done", lambda: len(done) >= 10, seconds=60)
    mesh.kill_without_waiting(process)
    for payer in payers:
        payer.join(timeout=120)
    mesh.wait_restarted(process, after=before)

    assert not any(payer.is_alive() for payer in payers)
    assert len(set(done)) == 60
    scene.check_books()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["FLUSHALL", "killed with its files removed"])
def test_with_valkey_wiped_events_still_arrive_each_with_one_effect(
    scene: Scene, crowd: People, how: str
) -> None:
    mesh, payee = scene.mesh, scene.payee.identifier
    before = mesh.part("valkey")
    amounts = {"FLUSHALL": ("11.01", "11.02")}.get(how, ("12.01", "12.02"))

    first = scene.carry_out(scene.transfer(amounts[0]))
    if how == "FLUSHALL":
        with redis.Redis.from_url(mesh.stack.redis_url) as connection:
            connection.flushall()
    else:
        mesh.kill_without_waiting("valkey")
        for folder in (mesh.home.path / "valkey").glob("appendonlydir*"):
            shutil.rmtree(folder, ignore_errors=True)
        mesh.wait_restarted("valkey", after=before)
    second = scene.carry_out(scene.transfer(amounts[1]))
    newcomer = crowd.sign_up("Newcomer", any_phone())

    assert scene.await_end(first)["state"] == scene.await_end(second)["state"] == "COMPLETED"
    for amount in amounts:
        wait_until(
            f"the payee reads of {amount}",
            partial(crowd.times_told, payee, amount),
            seconds=60,
        )
    # What was published again must have been absorbed; a second message would come within moments.
    wait_consumed(mesh)
    assert [crowd.times_told(payee, amount) for amount in amounts] == [1, 1]
    wallets = newcomer.client.get("/api/v1/wallets").ok()["wallets"]
    assert sorted(wallet["currency"] for wallet in wallets) == ["BTC", "KES"]
    scene.check_books()
