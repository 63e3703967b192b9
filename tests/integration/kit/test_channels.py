"""Calls from one service to another, as they meet the mesh listener."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.kit import telemetry
from services.kit.channels import Channels
from services.kit.config import ServiceConfig, load_service
from services.kit.errors import (
    DeadlineExceeded,
    FieldViolation,
    RemoteRefusal,
    ServiceError,
    ServiceUnavailable,
    ValidationFailed,
)
from services.kit.identity import Call
from tests.harness import Harness, probe
from tests.integration.kit.conftest import MIGRATIONS


class HoldExpired(ServiceError):
    """The hold is over."""

    code, reason, domain = "FAILED_PRECONDITION", "HOLD_EXPIRED", "wallet.hazina"


class Callee:
    """Does what the note says, and remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def Serve(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "refuse":
            raise HoldExpired(hold_id="h-1", retry_after_seconds=3)
        if request.note == "fields":
            raise ValidationFailed(field_violations=[FieldViolation("a.b", "bad", "rule")])
        if request.note == "slow":
            await asyncio.sleep(5)
        if request.note == "crash":
            raise RuntimeError
        return probe.ProbeResponse(note=call.caller)

    async def Read(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        return probe.ProbeResponse(note=call.actor)

    async def Watch(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield probe.ProbeResponse(note="1")
        raise HoldExpired


@pytest.fixture
def callee() -> Callee:
    return Callee()


@pytest.fixture
async def config(harness: Harness) -> ServiceConfig:
    environ = await harness.environ("probe", migrations_folder=MIGRATIONS)
    environ["HAZINA_CERTIFICATE_DIRECTORY"] = str(harness.certificates.directory("payments"))
    return load_service("payments", environ)


@pytest.fixture
async def stub(harness: Harness, config: ServiceConfig, callee: Callee) -> AsyncIterator[Any]:
    channels = Channels(config)
    async with harness.peers({probe.SERVICE: callee}):
        yield channels.stub(probe.ProbeServiceStub)
        await channels.close()


def serving(**facts: Any) -> Call:
    """A call that is being served."""
    defaults: dict[str, Any] = {
        "method": "/x/Y", "request_id": "r-9", "caller": "edge", "user": None, "tenant_id": "default", "address": "",
        "user_agent": "", "idempotency_key": "", "fingerprint": b"", "deadline": None,
    }  # fmt: skip
    return Call(**{**defaults, **facts})


async def test_the_callee_knows_the_caller_by_its_certificate(stub: Any) -> None:
    assert (await stub.Serve(probe.ServeRequest())).note == "payments"


async def test_a_refusal_arrives_with_all_its_facts(stub: Any) -> None:
    with pytest.raises(RemoteRefusal) as caught:
        await stub.Serve(probe.ServeRequest(note="refuse"))
    error = caught.value
    assert (error.code, error.reason, error.domain) == (
        "FAILED_PRECONDITION",
        "HOLD_EXPIRED",
        "wallet.hazina",
    )
    assert (error.message, error.retry_after_seconds) == ("The hold is over.", 3.0)
    assert error.metadata == {"hold_id": "h-1", "retryAfterSeconds": "3"}
    assert not error.is_our_fault


async def test_a_refusal_of_our_own_request_is_our_fault(stub: Any) -> None:
    with pytest.raises(RemoteRefusal) as caught:
        await stub.Serve(probe.ServeRequest(note="fields"))
    assert caught.value.field_violations == (FieldViolation("a.b", "bad", "rule"),)
    assert caught.value.is_our_fault


async def test_a_fault_of_the_callee_is_ours_to_the_outside(stub: Any) -> None:
    with pytest.raises(RemoteRefusal) as caught:
        await stub.Serve(probe.ServeRequest(note="crash"))
    assert caught.value.is_our_fault


async def test_an_unreachable_callee_is_a_passing_fault(config: ServiceConfig) -> None:
    channels = Channels(config)
    with pytest.raises(ServiceUnavailable):
        await channels.stub(probe.ProbeServiceStub).Serve(probe.ServeRequest(), timeout=2)
    await channels.close()


async def test_a_call_ends_when_its_time_is_over(stub: Any) -> None:
    with pytest.raises(DeadlineExceeded):
        await stub.Serve(probe.ServeRequest(note="slow"), timeout=0.2)


async def test_what_is_left_of_the_callers_time_is_handed_on(stub: Any, callee: Callee) -> None:
    telemetry.current.set(serving(deadline=time.time() + 1.0))
    await stub.Serve(probe.ServeRequest())
    deadline = callee.calls[-1].deadline
    assert deadline is not None and 0.5 < deadline - time.time() < 0.95


async def test_without_time_left_nobody_is_called(stub: Any, callee: Callee) -> None:
    telemetry.current.set(serving(deadline=time.time() + 0.05))
    with pytest.raises(DeadlineExceeded):
        await stub.Serve(probe.ServeRequest())
    assert callee.calls == []


async def test_the_request_id_and_the_trace_go_along(stub: Any, callee: Callee) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    telemetry.current.set(serving(traceparent=trace))
    await stub.Serve(probe.ServeRequest())
    assert (callee.calls[-1].request_id, callee.calls[-1].traceparent) == ("r-9", trace)


async def test_the_users_token_goes_to_user_rpcs_only(
    stub: Any, callee: Callee, harness: Harness, config: ServiceConfig
) -> None:
    amina = harness.person()
    telemetry.current.set(serving(authorization=f"Bearer {amina.token}"))
    groups = Channels(
        load_service(
            "groups",
            {
                **await harness.environ("probe"),
                "HAZINA_CERTIFICATE_DIRECTORY": str(harness.certificates.directory("groups")),
            },
        )
    )
    answer = await groups.stub(probe.ProbeServiceStub).Read(probe.ProbeRequest())
    assert answer.note == f"user:{amina.id}"
    await groups.close()
    assert "authorization" in dict(stub.Read.__self__._metadata(()))
    assert "authorization" not in dict(stub.Serve.__self__._metadata(()))


async def test_a_stream_breaks_with_the_callees_refusal(
    harness: Harness, callee: Callee, config: ServiceConfig
) -> None:
    amina = harness.person()
    channels = Channels(config)
    # Watch names no callers, so this test stands in for the edge.
    environ = await harness.environ("probe")
    environ["HAZINA_CERTIFICATE_DIRECTORY"] = str(harness.certificates.directory("edge"))
    edge = Channels(load_service("edge", environ))
    async with harness.peers({probe.SERVICE: callee}):
        telemetry.current.set(serving(authorization=f"Bearer {amina.token}"))
        notes = []
        with pytest.raises(RemoteRefusal, match="The hold is over"):
            async for answer in edge.stub(probe.ProbeServiceStub).Watch(probe.ProbeRequest()):
                notes.append(answer.note)  # noqa: PERF401 - the stream breaks off
        assert notes == ["1"]
        with pytest.raises(RemoteRefusal):
            async for _ in channels.stub(probe.ProbeServiceStub).Watch(probe.ProbeRequest()):
                pass
    await edge.close()
    await channels.close()


async def test_a_raw_grpc_error_never_reaches_an_operation(stub: Any) -> None:
    for note in ("refuse", "crash", "fields"):
        try:
            await stub.Serve(probe.ServeRequest(note=note))
        except grpc.aio.AioRpcError:
            pytest.fail("operations know ServiceError only")
        except ServiceError:
            continue
