"""The jobs of groups, run by hand: each may run twice."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from services.groups import jobs
from services.kit.errors import ServiceUnavailable
from tests.contract.groups.conftest import World, world
from tests.factories.groups import from_wallet, group_request
from tests.harness import assert_refused

__all__ = ["world"]

Work = Callable[..., Awaitable[None]]


class ByHand:
    """Remembers the jobs instead of running them."""

    def __init__(self) -> None:
        self.work: dict[str, Work] = {}

    def task(self, name: str, **_: Any) -> Callable[[Work], Work]:
        return lambda function: self.work.setdefault(name, function)

    def periodic(self, name: str, cron: str) -> Callable[[Work], Work]:
        return self.task(name)


def work(world: World) -> dict[str, Work]:
    by_hand = ByHand()
    jobs.define(by_hand, world.desk)  # type: ignore[arg-type]
    return by_hand.work


async def test_a_group_whose_wallet_could_not_be_opened_gets_it(
    world: World,
) -> None:
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await world.groups(world.asha).CreateGroup(group_request(), key="k")
    [row] = await world.rows("SELECT id FROM groups.savings_group")
    for _ in range(2):
        await work(world)["groups.open"]("default", str(row["id"]))
    [row] = await world.rows("SELECT is_open FROM groups.savings_group")
    assert row["is_open"]


async def test_a_contribution_whose_answer_was_lost_is_counted_once(
    world: World,
) -> None:
    group = await world.group()
    world.payments.silent = 1
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await world.contributions(world.asha).CreateContribution(
            from_wallet(group.id, world.wallet(world.asha), 700), key="k"
        )
    [row] = await world.rows("SELECT id FROM groups.contribution")
    for _ in range(2):
        await work(world)["groups.contribution"]("default", str(row["id"]))
    [member] = await world.rows("SELECT contributed_minor FROM groups.member")
    assert member["contributed_minor"] == 700


async def test_a_withdrawal_ends_with_its_time_and_frees_the_money(
    world: World,
) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    do = work(world)
    await do["groups.expire"]("default", made.id)
    assert (await world.get(world.asha, made)).state == Withdrawal.APPROVED, "it is not over yet"
    await world.let_time_pass(made)
    for _ in range(2):
        await do["groups.expire"]("default", made.id)
        await do["groups.withdrawal"]("default", made.id)
    assert (await world.get(world.asha, made)).state == Withdrawal.EXPIRED
    assert world.ledger.held(UUID(group.wallet_id)) == 0
    assert await world.events("groups.withdrawal.decided") == 2, "approved, then expired"


async def test_the_link_of_an_invitation_is_sent_while_it_waits(
    world: World,
) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "new@example.org")
    for _ in range(2):
        await work(world)["groups.invite"]("default", invitation_id)
    [sent] = world.messages.sent.values()
    assert sent.email == "new@example.org" and sent.variables["inviter_name"] == "Asha Otieno"
    world.messages.sent.clear()
    await world.rows("UPDATE groups.invitation SET expire_time = now()")
    await work(world)["groups.invite"]("default", invitation_id)
    assert world.messages.sent == {}


async def test_keys_older_than_thirty_days_are_forgotten(world: World) -> None:
    await world.group()
    await world.rows("UPDATE groups.idempotency_key SET create_time = now() - interval '31 days'")
    await world.group()
    await work(world)["groups.purge"]()
    assert len(await world.rows("SELECT 1 FROM groups.idempotency_key")) == 1
