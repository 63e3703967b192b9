"""NotificationService: in the contract, and nothing of it available yet."""

from collections.abc import AsyncIterator

import pytest

from hazina.comms.v1 import notification_service_pb2 as pb
from hazina.comms.v1.notification_service_pb2_grpc import NotificationServiceStub
from tests.factories import comms
from tests.factories.comms import Receivers
from tests.factories.rpcs import call, rpcs
from tests.harness import Harness, Running, assert_refused

_ALL = rpcs(pb.DESCRIPTOR)


@pytest.fixture
async def running(harness: Harness, receivers: Receivers) -> AsyncIterator[Running]:
    async with comms.comms(harness, receivers) as running:
        yield running


def test_the_walk_below_covers_every_rpc() -> None:
    assert len(_ALL) == 5


async def test_every_rpc_answers_that_it_is_not_yet_available(
    harness: Harness, running: Running
) -> None:
    stub = running.stub(NotificationServiceStub, user=harness.person())
    for rpc in _ALL:
        with assert_refused("UNIMPLEMENTED", "NOT_YET_AVAILABLE"):
            await call(stub, rpc)


async def test_nobody_learns_that_without_a_token(running: Running) -> None:
    stub = running.stub(NotificationServiceStub)
    for rpc in _ALL:
        with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
            await call(stub, rpc)
