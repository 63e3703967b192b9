"""Who may call the groups service at all: certificates and tokens, for every RPC."""

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from hazina.groups.v1 import (
    contribution_service_pb2,
    contribution_service_pb2_grpc,
    group_service_pb2,
    group_service_pb2_grpc,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from tests.contract.groups.conftest import World
from tests.factories.rpcs import call, rpcs
from tests.harness import assert_refused

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


def test_the_walk_covers_three_services() -> None:
    assert {rpc.service for rpc in _ALL} == set(_STUBS)


async def test_only_the_preview_of_an_invitation_needs_no_token(world: World) -> None:
    assert [rpc.name for rpc in _ALL if rpc.is_public] == ["GetInvitation"]
    for rpc in _ALL:
        if not rpc.is_public:
            with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
                await call(world.running.stub(_STUBS[rpc.service]), rpc)


async def test_no_rpc_can_be_called_by_another_service(world: World) -> None:
    for rpc in _ALL:
        with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await call(world.running.stub(_STUBS[rpc.service], through_mesh_as="payments"), rpc)


async def test_who_may_not_use_groups_is_refused_everywhere(world: World) -> None:
    person = world.harness.person(permissions=[])
    for rpc in _ALL:
        if not rpc.is_public:
            with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
                await call(world.running.stub(_STUBS[rpc.service], user=person), rpc)


async def test_an_ended_session_moves_no_money(world: World) -> None:
    world.harness.sessions.ended.add(world.asha.session_id)
    for name in ("CreateContribution", "CreateWithdrawal", "ExecuteWithdrawal", "LeaveGroup"):
        [rpc] = [one for one in _ALL if one.name == name]
        with assert_refused("UNAUTHENTICATED", "SESSION_ENDED"):
            await call(world.running.stub(_STUBS[rpc.service], user=world.asha), rpc)


async def test_health_names_every_service_as_serving(world: World) -> None:
    health: Any = health_pb2_grpc.HealthStub(world.running.channel("ops"))
    async with asyncio.timeout(20):
        for name in ("", *_STUBS):
            while (
                await health.Check(health_pb2.HealthCheckRequest(service=name))
            ).status != health_pb2.HealthCheckResponse.SERVING:
                await asyncio.sleep(0.05)
