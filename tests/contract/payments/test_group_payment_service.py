"""GroupPaymentService: in the contract, not yet available."""

import pytest

from hazina.payments.v1 import group_payment_service_pb2, group_payment_service_pb2_grpc
from tests.contract.payments.conftest import World
from tests.harness import assert_refused


@pytest.mark.parametrize("rpc", ["CreateContribution", "CreateGroupPayout"])
async def test_group_money_is_not_yet_available(world: World, rpc: str) -> None:
    stub = world.running.stub(
        group_payment_service_pb2_grpc.GroupPaymentServiceStub, through_mesh_as="groups"
    )
    with assert_refused("UNIMPLEMENTED", "NOT_YET_AVAILABLE"):
        await getattr(stub, rpc)(getattr(group_payment_service_pb2, f"{rpc}Request")())
