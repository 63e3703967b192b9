"""Killed at every step boundary, by name: after the restart the same books as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.people import People
from tests.e2e.scene import Scene, a_key, set_scene
from tests.e2e.streams import wait_consumed

pytestmark = pytest.mark.chaos

# Every row of the table of steps: kind, where the process ends, whose process it is.
_POINTS = {
    "transfer": ["payments.transfer.after_t1", "payments.transfer.after_post", "payments.transfer.after_t2"],
    "deposit": [
        "payments.deposit.after_t1", "payments.deposit.after_t2", "payments.deposit.after_send",
        "payments.deposit.after_t3", "payments.deposit.after_post", "payments.deposit.after_t4",
    ],
    "withdrawal": [
        "payments.withdrawal.after_t1", "payments.withdrawal.after_hold", "payments.withdrawal.after_t2",
        "payments.withdrawal.after_send", "payments.withdrawal.after_t3", "payments.withdrawal.after_settle",
        "payments.withdrawal.after_t4",
    ],
}  # fmt: skip
# Nobody can know by machine whether the provider was asked: it is not asked a second time, nothing is released, and two
# people decide. A push has no name of ours by which its end could be asked for when the answer was lost.
_UNSURE = {
    "payments.deposit.after_t2": "FAILED",
    "payments.deposit.after_send": "COMPLETED",
    "payments.withdrawal.after_t2": "FAILED",
}
_LEDGER_POINTS = ["wallet.post.before_commit", "wallet.post.after_commit"]
_EVENT_POINTS = [
    "payments.relay.after_publish",
    "wallet.relay.after_publish",
    "comms.inbox.after_effect",
]
_QUICK = {"payments.transfer.after_post"}


def _cases(points: list[tuple[str, str]]) -> list[object]:
    return [
        pytest.param(kind, point, id=f"{kind}-{point}", marks=() if point in _QUICK else pytest.mark.slow)
        for kind, point in points
    ]  # fmt: skip


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
    ("kind", "point"),
    _cases([(kind, point) for kind, points in _POINTS.items() for point in points]),
)
def test_killed_between_two_steps_the_books_are_the_same(
    scene: Scene, kind: str, point: str
) -> None:
    _crash_and_finish(scene, kind, point, service="payments")


@pytest.mark.parametrize(
    ("kind", "point"), _cases([(kind, point) for kind in _POINTS for point in _LEDGER_POINTS])
)
def test_a_ledger_killed_around_its_commit_books_once(scene: Scene, kind: str, point: str) -> None:
    _crash_and_finish(scene, kind, point, service="wallet")


@pytest.mark.parametrize(
    ("kind", "point"), _cases([("transfer", point) for point in _EVENT_POINTS])
)
def test_a_relay_or_consumer_killed_tells_everything_once(
    scene: Scene, crowd: People, kind: str, point: str
) -> None:
    payee, amount = scene.payee.identifier, f"70.{_EVENT_POINTS.index(point) + 1:02d}"

    _crash_and_finish(scene, kind, point, service=point.split(".", maxsplit=1)[0], amount=amount)

    wait_until(
        "the payee reads of the payment", lambda: crowd.times_told(payee, amount), seconds=60
    )
    wait_consumed(scene.mesh)
    assert crowd.times_told(payee, amount) == 1


def _crash_and_finish(
    scene: Scene, kind: str, point: str, *, service: str, amount: str = "70"
) -> None:
    mesh, key, request = scene.mesh, a_key(), scene.of_kind(kind, amount)
    before = mesh.part(service)
    armed = mesh.crash_at(service, point)

    scene.attempt(request, key=key)
    wait_until(f"{service} reaches {point}", lambda: not armed.exists(), seconds=30)
    mesh.wait_restarted(service, after=before)

    transaction_id = scene.carry_out(request, key=key)
    assert scene.carry_out(request, key=key) == transaction_id
    if point in _UNSURE:
        scene.decide(transaction_id, _UNSURE[point])
    assert scene.await_end(transaction_id)["state"] == _UNSURE.get(point, "COMPLETED")
    scene.check_books()
