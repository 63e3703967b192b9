"""One wrapper per RPC, over real mTLS: who gets in, what is refused and how."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.kit.config import ServiceConfig
from services.kit.errors import NotFound
from services.kit.identity import Call
from services.kit.server import Service
from tests.harness import Harness, Running, assert_refused, probe

MIGRATIONS = Path(__file__).parent / "probe_migrations"


class Probe:
    """Handlers that do what the note says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def Ask(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "crash":
            raise RuntimeError("secret db password")
        if request.note == "not found":
            raise NotFound(thing="x")
        if request.note == "wrong type":
            return request
        return probe.ProbeResponse(note=call.tenant_id)

    async def Read(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "slow":
            await asyncio.sleep(5)
        return probe.ProbeResponse(note=call.actor)

    async def Pay(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "again":
            call.mark_replayed()
        return probe.ProbeResponse(note=call.idempotency_key)

    async def Guard(self, request: Any, call: Call) -> Any:
        return probe.ProbeResponse(note="in")

    async def Serve(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        return probe.ProbeResponse(note=call.caller)

    async def Watch(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield probe.ProbeResponse(note="1")
        if request.note == "break":
            raise NotFound
        if request.note == "stay":
            await asyncio.sleep(60)
        yield probe.ProbeResponse(note="2")

    async def Play(self, request: Any, call: Call) -> Any:
        return probe.ProbeResponse(note="played")


@pytest.fixture
def handlers() -> Probe:
    return Probe()


@pytest.fixture
async def service(harness: Harness, handlers: Probe) -> AsyncIterator[Running]:
    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: handlers})

    async with (
        harness.peers({}),
        harness.service("probe", build, migrations_folder=MIGRATIONS) as running,
    ):
        yield running


async def test_anyone_may_call_a_public_rpc_through_the_edge(service: Running) -> None:
    answer = await service.stub(probe.ProbeServiceStub).Ask(probe.ProbeRequest())
    assert answer.note == "default"


async def test_a_member_with_the_permission_is_let_in(service: Running, harness: Harness) -> None:
    amina = harness.person()
    answer = await service.stub(probe.ProbeServiceStub, user=amina).Read(probe.ProbeRequest())
    assert answer.note == f"user:{amina.id}"


async def test_an_exception_tells_nothing(service: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.stub(probe.ProbeServiceStub).Ask(probe.ProbeRequest(note="crash"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value) + repr(caught.value.trailing_metadata())


async def test_a_broken_rule_names_its_field(service: Running) -> None:
    request = probe.ProbeRequest(line_items=[{"item_name": "ok"}, {"item_name": "too long"}])
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "lineItems[1].itemName"):
        await service.stub(probe.ProbeServiceStub).Ask(request)


async def test_money_is_audited(service: Running, harness: Harness) -> None:
    amina = harness.person()
    answer = await service.stub(probe.ProbeServiceStub, user=amina).Pay(
        probe.ProbeRequest(), key="k-1"
    )
    assert answer.note == "k-1"
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"):
        await service.stub(probe.ProbeServiceStub, user=amina).Pay(probe.ProbeRequest())
