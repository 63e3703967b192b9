"""GetReadiness."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hazina.auth.v1.platform_service_pb2 import GetReadinessRequest, PartReadiness
from services.kit.channels import CertificateFiles
from tests.factories.auth import Auth
from tests.harness import assert_refused

NAMES = ["auth", "wallet", "payments", "groups", "comms", "postgres", "redis"]
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Mesh(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the library has no types
    """The mesh listener, as far as health goes: services by their name in `x-hazina-service`."""

    def __init__(self, states: Mapping[str, Any]) -> None:
        self._states = states

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        name = dict(context.invocation_metadata())["x-hazina-service"]
        if name not in self._states:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
        return health_pb2.HealthCheckResponse(status=self._states[name])


@asynccontextmanager
async def mesh(auth: Auth, states: Mapping[str, Any]) -> AsyncIterator[None]:
    """Serve health of these services where auth asks for it."""
    harness = auth.running.harness
    chain, key, authorities = CertificateFiles(harness.certificates.directory("mesh")).read()
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(_Mesh(states), server)
    credentials = grpc.ssl_server_credentials([(key, chain)], authorities, require_client_auth=True)
    server.add_secure_port(f"127.0.0.1:{harness.mesh_port}", credentials)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


async def test_everything_serves(lonely_auth: Auth) -> None:
    async with mesh(lonely_auth, dict.fromkeys(NAMES[:5], _SERVING)):
        answer = await lonely_auth.platform().GetReadiness(GetReadinessRequest())
    assert answer.ready
    assert [part.name for part in answer.parts] == NAMES
    assert {part.state for part in answer.parts} == {PartReadiness.SERVING}


async def test_one_that_does_not_is_named(lonely_auth: Auth) -> None:
    states = {**dict.fromkeys(NAMES[:3], _SERVING), "groups": _NOT_SERVING}
    async with mesh(lonely_auth, states):
        with assert_refused("UNAVAILABLE", "NOT_READY") as refusal:
            await lonely_auth.platform().GetReadiness(GetReadinessRequest())
    found = {name: refusal.metadata[name] for name in NAMES}
    assert found == {
        **dict.fromkeys(NAMES, "SERVING"),
        "groups": "NOT_SERVING",
        "comms": "UNREACHABLE",
    }


async def test_without_the_mesh_the_answer_comes_in_time(lonely_auth: Auth) -> None:
    with assert_refused("UNAVAILABLE", "NOT_READY") as refusal:
        await lonely_auth.platform().GetReadiness(GetReadinessRequest(), timeout=3)
    assert refusal.metadata["wallet"] == "UNREACHABLE" and refusal.metadata["redis"] == "SERVING"
