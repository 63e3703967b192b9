"""The groups service: healthy, strict about who calls, and nothing of it available yet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hazina.groups.v1 import (
    contribution_service_pb2,
    contribution_service_pb2_grpc,
    group_service_pb2,
    group_service_pb2_grpc,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from services.groups import app, config
from tests.factories.rpcs import call, rpcs
from tests.harness import Harness, Running, assert_refused

_STUBS = {
    "hazina.groups.v1.GroupService": group_service_pb2_grpc.GroupServiceStub,
    "hazina.groups.v1.ContributionService": contribution_service_pb2_grpc.ContributionServiceStub,
    "hazina.groups.v1.WithdrawalService": withdrawal_service_pb2_grpc.WithdrawalServiceStub,
}
_ALL = rpcs(
    group_service_pb2.DESCRIPTOR,
    contribution_service_pb2.DESCRIPTOR,
    withdrawal_service_pb2.DESCRIPTOR,
)


@pytest.fixture
async def running(harness: Harness) -> AsyncIterator[Running]:
    async with harness.peers({}), harness.service("groups", app.build, config.load) as running:
        yield running


def test_the_walk_covers_three_services() -> None:
    assert {rpc.service for rpc in _ALL} == set(_STUBS)


async def test_every_rpc_answers_that_it_is_not_yet_available(
    harness: Harness, running: Running
) -> None:
    person = harness.person()
    for rpc in _ALL:
        with assert_refused("UNIMPLEMENTED", "NOT_YET_AVAILABLE"):
            await call(running.stub(_STUBS[rpc.service], user=person), rpc)


async def test_only_the_preview_of_an_invitation_needs_no_token(running: Running) -> None:
    assert [rpc.name for rpc in _ALL if rpc.is_public] == ["GetInvitation"]
    for rpc in _ALL:
        if rpc.is_public:
            continue
        with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
            await call(running.stub(_STUBS[rpc.service]), rpc)


async def test_no_rpc_can_be_called_by_another_service(running: Running) -> None:
    for rpc in _ALL:
        with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await call(running.stub(_STUBS[rpc.service], through_mesh_as="payments"), rpc)


async def test_health_names_every_service_as_serving(running: Running) -> None:
    health: Any = health_pb2_grpc.HealthStub(running.channel("ops"))
    async with asyncio.timeout(20):
        for name in ("", *_STUBS):
            while (
                await health.Check(health_pb2.HealthCheckRequest(service=name))
            ).status != health_pb2.HealthCheckResponse.SERVING:
                await asyncio.sleep(0.05)
