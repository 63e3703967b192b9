"""Calls to other services: what a refusal means, and what is asked."""

from uuid import UUID

import pytest

from services.groups.clients.payments import PaymentsClient
from services.groups.domain import Contribution, Method, Told
from services.groups.store.groups import find_group
from services.kit.errors import RemoteRefusal, ServiceError
from tests.contract.groups.conftest import World, world
from tests.factories.groups import refused

__all__ = ["world"]


def contribution(world: World) -> Contribution:
    clock = world.desk.clock
    return Contribution(
        tenant_id="default",
        id=clock.new_id(),
        group_id=UUID(int=9),
        user_id=world.asha.id,
        name="Asha",
        method=Method.WALLET,
        currency="KES",
        amount_minor=100,
        recorder_id=world.asha.id,
        create_time=clock.now(),
        source_wallet_id=world.wallet(world.asha),
    )


async def contribute(world: World) -> Told:
    made = await world.group()
    view = await world.desk.ledger.wallets("default", [UUID(made.wallet_id)])
    assert view[UUID(made.wallet_id)].is_group
    async with world.desk.database.unit("default") as session:
        group = await find_group(session, UUID(made.id))
    assert group is not None and isinstance(world.desk.payments, PaymentsClient)
    return await world.desk.payments.contribute(group, contribution(world))


async def test_a_refusal_for_good_is_told_as_failed(world: World) -> None:
    world.payments.refusing.append(refused("INVALID_ARGUMENT", "PHONE_INVALID"))
    told = await contribute(world)
    assert (told.state, told.reason) == ("FAILED", "PHONE_INVALID")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
async def test_what_may_pass_is_no_failure(world: World, code: str) -> None:
    world.payments.refusing.append(refused(code, "SOMETHING"))
    with pytest.raises(ServiceError):
        await contribute(world)


async def test_an_id_that_is_taken_is_our_fault_and_no_failure(
    world: World,
) -> None:
    world.payments.refusing.append(refused("ALREADY_EXISTS", "TRANSACTION_EXISTS"))
    with pytest.raises(ServiceError) as error:
        await contribute(world)
    assert error.value.code == "UNAVAILABLE" and not isinstance(error.value, RemoteRefusal)


async def test_people_and_their_addresses_are_found(world: World) -> None:
    directory = world.desk.directory
    person = await directory.resolve("default", "brian@example.org")
    assert person is not None and person.identifiers == {"brian@example.org"}
    assert await directory.resolve("default", "nobody@example.org") is None
    assert set(await directory.people("default", [world.asha.id, UUID(int=5)])) == {world.asha.id}


async def test_the_wallet_of_a_person_is_theirs_in_that_currency(
    world: World,
) -> None:
    ledger = world.desk.ledger
    found = await ledger.find_wallet("default", world.asha.id, "KES")
    assert found is not None and found.id == world.wallet(world.asha)
    assert await ledger.find_wallet("default", world.asha.id, "BTC") is None
