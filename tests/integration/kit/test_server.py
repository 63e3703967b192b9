"""A service as a server: certificates that change while it runs, health, reflection, and a graceful end."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from mesh.stack.certificates import Certificates
from services.kit.channels import CertificateFiles
from services.kit.config import ServiceConfig
from services.kit.errors import ServiceUnavailable
from services.kit.identity import Call
from services.kit.server import Service, serve
from tests.harness import Harness, Running, assert_refused, free_port, probe
from tests.integration.kit.conftest import MIGRATIONS

ROOT = Path(__file__).resolve().parents[3]


class Handlers:
    """Answers at once, or after a while."""

    async def Ask(self, request: Any, call: Call) -> Any:
        if request.note == "slow":
            await asyncio.sleep(0.5)
        return probe.ProbeResponse(note=call.caller)


async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
    return Service("probe", {probe.SERVICE: Handlers()})


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[Running]:
    async with harness.service("probe", build, migrations_folder=MIGRATIONS) as running:
        yield running


# Certificates


def leaf(
    certificates: Certificates, *names: x509.GeneralName, common_name: str = "x"
) -> grpc.ChannelCredentials:
    """Client credentials with these names, issued by the authority that everyone trusts."""
    [path] = (certificates.folder / "authority").glob("*.pem")
    authority = x509.load_pem_x509_certificate(path.read_bytes())
    authority_key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())  # type: ignore[arg-type]
    return grpc.ssl_channel_credentials(
        certificates.authorities_pem().encode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def uri(identity: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(identity)


@pytest.mark.parametrize(
    ("names", "common_name"),
    [
        ([uri("spiffe://hazina/comms"), uri("spiffe://hazina/edge")], "x"),
        ([uri("spiffe://hazina/edge"), uri("https://example.com/")], "x"),
        ([uri("spiffe://elsewhere/edge")], "x"),
        ([x509.DNSName("edge")], "edge"),
        ([x509.DNSName("spiffe://hazina/edge")], "x"),
        (
            [
                uri("spiffe://elsewhere/edge"),
                x509.DNSName("localhost"),
                x509.DNSName("edge"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1")),
            ],
            "edge",
        ),
        ([], "spiffe://hazina/edge"),
    ],
)
async def test_a_certificate_without_exactly_one_identity_of_ours_is_nobody(
    service: Running, harness: Harness, names: list[x509.GeneralName], common_name: str
) -> None:
    await service.stub(probe.ProbeServiceStub).Ask(
        probe.ProbeRequest()
    )  # edge itself is known by now
    credentials = leaf(harness.certificates, *names, common_name=common_name)
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{service.port}",
        credentials,
        options=(("grpc.ssl_target_name_override", "localhost"),),
    ) as channel:
        with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
            await probe.ProbeServiceStub(channel).Ask(probe.ProbeRequest(), timeout=5)


async def test_a_connection_without_a_certificate_or_of_another_authority_is_not_made(
    service: Running, harness: Harness, tmp_path: Path
) -> None:
    stranger = Certificates(tmp_path / "elsewhere")
    stranger.prepare()
    chain, key, _ = CertificateFiles(stranger.directory("edge")).read()
    trusted = harness.certificates.authorities_pem().encode()
    for credentials in (
        grpc.ssl_channel_credentials(trusted),
        grpc.ssl_channel_credentials(trusted, key, chain),
    ):
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{service.port}",
            credentials,
            options=(("grpc.ssl_target_name_override", "localhost"),),
        ) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await probe.ProbeServiceStub(channel).Ask(probe.ProbeRequest(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_new_authority_is_taken_on_while_the_service_runs(
    harness: Harness, tmp_path: Path
) -> None:
    """Both sides change over: trust both, show new leaves, drop the old authority. No call fails on the way."""
    own = Certificates(tmp_path / "own")
    own.prepare()
    variables = {"HAZINA_CERTIFICATE_DIRECTORY": str(own.directory("comms"))}

    async def call(port: int) -> None:
        chain, key, authorities = CertificateFiles(own.directory("edge")).read()
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(authorities, key, chain),
            options=(
                ("grpc.ssl_target_name_override", "localhost"),
                ("grpc.use_local_subchannel_pool", 1),
            ),
        ) as channel:
            await probe.ProbeServiceStub(channel).Ask(probe.ProbeRequest(), timeout=5)

    async with harness.service(
        "probe", build, variables=variables, migrations_folder=MIGRATIONS
    ) as service:
        await call(service.port)
        for step in (own.begin_authority_roll, own.switch_authority, own.drop_old_authorities):
            step()
            await call(service.port)  # at once: the old certificates must still do
            await asyncio.sleep(1.1)  # files are looked at once a second
            await call(service.port)


async def test_channels_show_a_new_certificate_when_theirs_changes(
    harness: Harness, tmp_path: Path
) -> None:
    from services.kit.channels import Channels
    from services.kit.config import load_service

    own = Certificates(tmp_path / "own")
    own.prepare()
    environ = await harness.environ("probe", migrations_folder=MIGRATIONS)
    environ["HAZINA_CERTIFICATE_DIRECTORY"] = str(own.directory("ops"))
    channels = Channels(load_service("probe", environ))
    generation, _ = channels.current()
    own.rotate()
    await asyncio.sleep(1.1)
    assert channels.current()[0] == generation + 1
    assert channels.current()[0] == generation + 1  # and only then
    await channels.close()


# Health and reflection


async def test_envoy_checks_health_without_a_caller(service: Running) -> None:
    for identity in ("edge", "mesh", "ops"):
        health = health_pb2_grpc.HealthStub(service.channel(identity))
        for name in ("", probe.SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_other_services_do_not_ask_for_health(service: Running) -> None:
    health = health_pb2_grpc.HealthStub(service.channel("comms"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_failing_check_is_told_and_recovers(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.kit import server

    monkeypatch.setattr(server, "_CHECK_SECONDS", 0.1)
    is_broken = False

    async def check() -> None:
        if is_broken:
            raise ServiceUnavailable

    async def build_checked(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: Handlers()}, checks={"part": check})

    async with harness.service("probe", build_checked, migrations_folder=MIGRATIONS) as service:
        health = health_pb2_grpc.HealthStub(service.channel("edge"))

        async def becomes(status: int) -> None:
            for _ in range(50):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
                if answer.status == status:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(f"health did not become {status}")

        await becomes(health_pb2.HealthCheckResponse.SERVING)
        is_broken = True
        await becomes(health_pb2.HealthCheckResponse.NOT_SERVING)
        is_broken = False
        await becomes(health_pb2.HealthCheckResponse.SERVING)


def reflect(
    channel: grpc.aio.Channel, request: reflection_pb2.ServerReflectionRequest, version: str = "v1"
) -> Any:
    async def requests() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield request

    call: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return call(requests(), timeout=5)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_any_service_reflects_the_whole_mesh_to_operators(
    service: Running, version: str
) -> None:
    call = reflect(
        service.channel("ops"), reflection_pb2.ServerReflectionRequest(list_services=""), version
    )
    [answer] = [one async for one in call]
    names = {one.name for one in answer.list_services_response.service}
    assert {
        "hazina.auth.v1.AuthService",
        "hazina.wallet.v1.WalletService",
        "grpc.health.v1.Health",
    } <= names
    for name in sorted(names):  # whatever is listed is described
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
        [answer] = [one async for one in reflect(service.channel("ops"), request, version)]
        assert answer.file_descriptor_response.file_descriptor_proto, name


async def test_reflection_is_for_operators_only(service: Running) -> None:
    for identity in ("edge", "comms", "mesh"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            call = reflect(
                service.channel(identity), reflection_pb2.ServerReflectionRequest(list_services="")
            )
            _ = [one async for one in call]
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


# The end


async def test_calls_under_way_are_answered_before_the_end(harness: Harness) -> None:
    config = await harness.config("probe", migrations_folder=MIGRATIONS)
    order: list[str] = []

    class Noting(Handlers):
        async def Ask(self, request: Any, call: Call) -> Any:
            answer = await super().Ask(request, call)
            if request.note == "slow":
                order.append("call")
            return answer

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()
        order.append("background")

    async with AsyncExitStack() as clients:
        service = Service("probe", {probe.SERVICE: Noting()}, background=[work])
        async with serve(config, service) as serving:
            chain, key, authorities = CertificateFiles(
                harness.certificates.directory("edge")
            ).read()
            channel = await clients.enter_async_context(
                grpc.aio.secure_channel(
                    f"127.0.0.1:{serving.port}",
                    grpc.ssl_channel_credentials(authorities, key, chain),
                    options=(("grpc.ssl_target_name_override", "localhost"),),
                )
            )
            stub = probe.ProbeServiceStub(channel)
            slow = stub.Ask(probe.ProbeRequest(note="slow"), timeout=5)
            await stub.Ask(probe.ProbeRequest(), timeout=5)
        assert (await slow).note == "edge"
    assert order == ["call", "background"]


PROGRAM = """
import asyncio, os, sys
from services.kit.config import load_service
from services.kit.server import Service, run
from tests.harness import probe

class Handlers:
    async def Ask(self, request, call):
        return probe.ProbeResponse(note="here")

async def build(config, stack):
    async def work(stop):
        if os.environ.get("BREAK"):
            raise RuntimeError("broken")
        await stop.wait()
    return Service("probe", {probe.BARE if os.environ.get("BARE") else probe.SERVICE: Handlers()}, background=[work])

run(load_service("probe", os.environ), build)
"""


@contextlib.contextmanager
def program(environ: dict[str, str]) -> Any:
    """The service as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, **environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen/python'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def test_a_process_serves_metrics_and_ends_cleanly_on_sigterm(harness: Harness) -> None:
    metrics = free_port()
    environ = await harness.environ("probe", migrations_folder=MIGRATIONS)
    environ |= {"HAZINA_METRICS_ADDRESS": f"127.0.0.1:{metrics}", "HAZINA_LOG_LEVEL": "info"}
    with program(environ) as process:
        line = await asyncio.to_thread(process.stdout.readline)
        assert '"event": "serving"' in line and '"service":"probe"' in line
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{metrics}/metrics")
        assert 'hazina_rpc_in_flight{service="probe"} 0.0' in answer.text
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("BARE", "hazina.probe.v1.BareService.Forgotten declares no policy"),
        ("BREAK", "background_failed"),
    ],
)
async def test_a_process_that_cannot_do_its_work_ends_and_says_why(
    harness: Harness, variable: str, words: str
) -> None:
    environ = await harness.environ("probe", migrations_folder=MIGRATIONS)
    environ |= {"HAZINA_METRICS_ADDRESS": f"127.0.0.1:{free_port()}", variable: "1"}
    with program(environ) as process:
        output, errors = await asyncio.to_thread(process.communicate, None, 20)
        assert process.returncode != 0
        assert words in output + errors


async def test_a_missing_setting_is_named() -> None:
    with program({"HAZINA_PROFILE": "development"}) as process:
        _, errors = await asyncio.to_thread(process.communicate, None, 20)
    assert "HAZINA_LISTEN_ADDRESS is not set" in errors
