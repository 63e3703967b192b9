"""Who may call whom on the mesh, whatever a caller says about itself."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from hazina.wallet.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from tests.e2e.client import Client
from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person
from tests.e2e.wire import Metadata, Refusal, refusal_of
from tests.matrix.contracts import rpcs

SERVICES = ("auth", "wallet", "payments", "groups", "comms")
_FORGED: Metadata = (
    ("x-hazina-caller", "spiffe://hazina/payments"),
    ("x-hazina-caller", "payments"),
    ("x-forwarded-client-cert", "By=spiffe://hazina/wallet;URI=spiffe://hazina/payments"),
)

_FORGED_HEADERS = {name: str(value) for name, value in _FORGED}
_LIES: list[Metadata] = [(), *((header,) for header in _FORGED), _FORGED]


def test_the_operator_lists_every_service_by_reflection(mesh: Mesh) -> None:
    with mesh.mesh_channel("ops") as channel:
        listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {rpc.descriptor.containing_service.full_name for rpc in rpcs()} <= listed


def test_the_operator_can_read_a_contract_by_reflection(mesh: Mesh) -> None:
    with mesh.mesh_channel("ops") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        file = database.FindFileContainingSymbol("hazina.payments.v1.PaymentService")

    assert file.name == "hazina/payments/v1/payment_service.proto"


def test_a_tool_that_knows_nothing_lists_and_calls_with_the_operators_certificate(
    mesh: Mesh,
) -> None:
    books = json.loads(
        _buf_curl(mesh, "hazina.wallet.v1.LedgerService/GetTrialBalance", '{"tenantId": "default"}')
    )
    listed = _buf_curl(mesh, "--list-services")

    assert "hazina.payments.v1.PaymentService" in listed.split()
    assert books["time"], "the books were read, whatever is in them by now"


@pytest.mark.parametrize("identity", ["comms", "payments"])
def test_reflection_is_for_the_operator_alone(mesh: Mesh, identity: str) -> None:
    with mesh.mesh_channel(identity) as channel, pytest.raises(grpc.RpcError) as refused:
        ProtoReflectionDescriptorDatabase(channel).get_services()

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_reflection_is_not_on_the_edge(mesh: Mesh) -> None:
    with mesh.edge_channel() as channel, pytest.raises(grpc.RpcError):
        ProtoReflectionDescriptorDatabase(channel).get_services()


@pytest.mark.parametrize("service", SERVICES)
def test_the_operator_asks_each_service_for_its_health(mesh: Mesh, service: str) -> None:
    with mesh.mesh_channel("ops") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), metadata=[("x-hazina-service", service)], timeout=5
        )

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("door", ["mesh", *SERVICES])
def test_without_a_certificate_the_handshake_fails(mesh: Mesh, door: str) -> None:
    port = mesh.ports.mesh if door == "mesh" else mesh.ports.service(door)
    context = ssl.create_default_context(cafile=str(mesh.certificate("ops") / "authorities.pem"))
    context.set_alpn_protocols(["h2"])

    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        _speak(port, context)


@pytest.mark.parametrize("door", ["mesh", "wallet"])
def test_a_certificate_of_another_authority_fails_the_handshake(
    mesh: Mesh, door: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = mesh.ports.mesh if door == "mesh" else mesh.ports.service(door)
    certificate = tmp_path_factory.mktemp("forged") / "ops.pem"
    certificate.write_bytes(_self_signed("spiffe://hazina/ops"))
    context = ssl.create_default_context(cafile=str(mesh.certificate("ops") / "authorities.pem"))
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate)

    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        _speak(port, context)


def test_a_ledger_rpc_with_the_certificate_of_comms_is_refused_by_envoy(mesh: Mesh) -> None:
    for forged in _LIES:
        with mesh.mesh_channel("comms") as channel:
            refusal = _find_accounts(channel, forged)
        assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "ACCESS_DENIED"), forged


def test_a_ledger_rpc_with_the_certificate_of_comms_is_refused_by_the_service_itself(
    mesh: Mesh,
) -> None:
    for forged in _LIES:
        with mesh.service_channel("wallet", "comms") as channel:
            refusal = _find_accounts(channel, forged)
        assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"), forged


@pytest.mark.parametrize("identity", ["edge", "mesh"])
def test_envoys_own_certificates_do_not_open_the_ledger(mesh: Mesh, identity: str) -> None:
    forged = _FORGED if identity == "edge" else ()
    with mesh.service_channel("wallet", identity) as channel:
        refusal = _find_accounts(channel, forged)

    reason = {"edge": "ACCESS_DENIED", "mesh": "CALLER_NOT_ALLOWED"}[identity]
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", reason)


def test_a_caller_that_is_named_gets_in(mesh: Mesh) -> None:
    for channel_of in (mesh.mesh_channel, lambda who: mesh.service_channel("wallet", who)):
        with channel_of("payments") as channel:
            ledger_service_pb2_grpc.LedgerServiceStub(channel).FindAccounts(
                _no_accounts(), metadata=(("x-hazina-caller", "comms"),), timeout=5
            )


def test_a_signed_in_person_cannot_reach_the_ledger_by_forging_headers(
    mesh: Mesh, asha: Person
) -> None:
    token = ("authorization", f"Bearer {asha.access_token}")
    with mesh.edge_channel() as channel:
        refusal = _find_accounts(channel, (token, *_FORGED))
    with Client(mesh.edge, token=asha.access_token, headers=_FORGED_HEADERS) as client:
        answer = client.post("/hazina.wallet.v1.LedgerService/FindAccounts", {})

    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "ACCESS_DENIED")
    assert answer.status == 404


def test_forged_headers_change_nothing_for_a_person(
    mesh: Mesh, asha: Person, people: People
) -> None:
    neighbour = people.sign_up("Neighbour", tenant=people.make_tenant())
    forged = {
        "x-hazina-tenant": neighbour.client.headers["x-tenant-id"],
        "x-hazina-user": neighbour.id,
        "x-hazina-caller": "ops",
        "x-forwarded-client-cert": "URI=spiffe://hazina/ops",
        "x-forwarded-for": "10.0.0.1",
    }

    with Client(mesh.edge, token=asha.access_token, headers=forged) as client:
        wallets = client.get("/api/v1/wallets").ok()["wallets"]
        profile = client.get("/api/v1/users/me").ok()

    assert asha.wallet()["id"] in {wallet["id"] for wallet in wallets}
    assert profile["id"] == asha.id


def _find_accounts(channel: grpc.Channel, metadata: Metadata) -> Refusal:
    with pytest.raises(grpc.RpcError) as refused:
        ledger_service_pb2_grpc.LedgerServiceStub(channel).FindAccounts(
            _no_accounts(), metadata=metadata, timeout=5
        )
    return refusal_of(refused.value)


def _no_accounts() -> ledger_service_pb2.FindAccountsRequest:
    return ledger_service_pb2.FindAccountsRequest(tenant_id="default", owner_id=str(uuid.uuid4()))


def _buf_curl(mesh: Mesh, what: str, request: str = "") -> str:
    folder = mesh.certificate("ops")
    address = f"https://localhost:{mesh.ports.mesh}"
    finished = subprocess.run(
        [
            str(Path(sys.executable).parent / "buf"), "curl", "--protocol", "grpc",
            "--cacert", str(folder / "authorities.pem"),
            "--cert", str(folder / "certificate.pem"),
            "--key", str(folder / "key.pem"),
            *(["--data", request, f"{address}/{what}"] if request else [what, address]),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def _speak(port: int, context: ssl.SSLContext) -> None:
    """A handshake, and one byte more: with TLS 1.3 a server's refusal arrives after the client's own end of it."""
    with (
        contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        for _ in _reads(connection):
            pass


def _reads(connection: ssl.SSLSocket) -> Iterator[bytes]:
    for _ in range(3):
        received = connection.recv(4096)
        if not received:
            raise ConnectionResetError("the server hung up")
        yield received


def _self_signed(uri: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Hazina local authority")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
