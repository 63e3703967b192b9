"""Calls between services: who calls is what the certificate says, and who may is what the contract says."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.stack.certificates import Certificates
from tests.integration.edge.harness import Edge, Refused, raw, refusal

RESOLVE = "/hazina.auth.v1.DirectoryService/ResolveUser"
FREEZE = "/hazina.wallet.v1.LedgerService/FreezeAccount"
LIST = "/hazina.wallet.v1.WalletService/ListWallets"
CREATE = "/hazina.wallet.v1.LedgerService/CreateTransfers"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def refused(
    edge: Edge, channel: grpc.Channel, rpc: str, metadata: Mapping[str, str] | None = None
) -> tuple[str, str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        edge.call(channel, rpc, metadata)
    return refusal(caught.value)


DENIED = ("PERMISSION_DENIED", "ACCESS_DENIED", "hazina")


def test_a_caller_in_the_list_arrives_with_its_name(edge: Edge) -> None:
    with edge.mesh("payments") as channel:
        edge.call(channel, RESOLVE)
    call = edge.services.last("ResolveUser")
    assert call.peer == ("spiffe://hazina/mesh",)
    assert call.metadata["x-hazina-caller"] == "spiffe://hazina/payments"


def test_a_caller_that_is_not_in_the_list_is_refused(edge: Edge) -> None:
    with edge.mesh("comms") as channel:
        assert refused(edge, channel, RESOLVE) == DENIED
    assert edge.services.calls == []


def test_a_forged_caller_is_overwritten(edge: Edge) -> None:
    forged = {"x-hazina-caller": "spiffe://hazina/groups"}
    with edge.mesh("payments") as channel:
        edge.call(channel, RESOLVE, forged)
    assert edge.services.last("ResolveUser").metadata["x-hazina-caller"] == (
        "spiffe://hazina/payments"
    )
    with edge.mesh("comms") as channel:
        xfcc = {"x-forwarded-client-cert": "URI=spiffe://hazina/payments", **forged}
        assert refused(edge, channel, RESOLVE, xfcc) == DENIED


def test_an_rpc_without_callers_is_not_reachable_in_the_mesh(edge: Edge) -> None:
    with edge.mesh("payments") as channel:
        assert refused(edge, channel, LIST, edge.headers()) == DENIED


def test_the_operator_calls_what_names_the_operator_and_nothing_else(edge: Edge) -> None:
    with edge.mesh("ops") as channel:
        edge.call(channel, FREEZE)
        assert refused(edge, channel, RESOLVE) == DENIED


def test_health_is_asked_by_authority_and_by_header(edge: Edge) -> None:
    credentials = grpc.ssl_channel_credentials(
        edge.certificates.authorities_pem().encode(),
        (edge.certificates.directory("ops") / "key.pem").read_bytes(),
        (edge.certificates.directory("ops") / "certificate.pem").read_bytes(),
    )
    target = f"localhost:{edge.settings.mesh_port}"
    options = (("grpc.ssl_target_name_override", "wallet"), ("grpc.default_authority", "wallet"))
    with grpc.secure_channel(target, credentials, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
    with edge.mesh("auth") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        chosen = (("x-hazina-service", "payments"),)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5, metadata=chosen).status == 1
        with pytest.raises(grpc.RpcError):
            stub.Check(health_pb2.HealthCheckRequest(), timeout=5)


def test_reflection_is_for_the_operator_only(edge: Edge) -> None:
    with edge.mesh("payments") as channel, pytest.raises(grpc.RpcError) as caught:
        raw(channel, REFLECTION)(b"", timeout=5)
    assert refusal(caught.value) == DENIED
    with edge.mesh("ops") as channel, pytest.raises(grpc.RpcError) as caught:
        raw(channel, REFLECTION)(b"", timeout=5)
    # These services have no reflection: the call got through to one of them.
    assert refusal(caught.value)[0] == "UNIMPLEMENTED"


def test_deadlines_are_added_and_capped(edge: Edge) -> None:
    with edge.mesh("payments") as channel:
        for timeout in (None, 100):
            edge.call(channel, RESOLVE, timeout=timeout)
            left = edge.services.last("ResolveUser").seconds_left
            assert left is not None
            assert left <= 3.05


def test_the_id_and_the_trace_of_a_call_follow_it_through_the_mesh(edge: Edge) -> None:
    sent = {
        "x-request-id": "0c9ff4b6-2f4e-4a53-8a0e-9d3f2f6f6c11",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    with edge.mesh("payments") as channel:
        edge.call(channel, RESOLVE, sent)
    seen = edge.services.last("ResolveUser").metadata
    assert {name: seen[name] for name in sent} == sent


def test_what_is_safe_is_tried_once_more_and_writes_never(edge: Edge) -> None:
    def answer(request: Any, received: Any) -> Any:
        raise Refused(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")

    edge.services.answers.update(ResolveUser=answer, CreateTransfers=answer)
    with edge.mesh("payments") as channel:
        for rpc in (RESOLVE, CREATE):
            assert refused(edge, channel, rpc)[0] == "UNAVAILABLE"
    names = [call.rpc for call in edge.services.calls]
    assert (names.count(RESOLVE), names.count(CREATE)) == (2, 1)


def test_a_batch_of_the_ledger_may_be_large(edge: Edge) -> None:
    with edge.mesh("payments") as channel:
        call = raw(channel, CREATE)
        # An unknown field of 2 MB.
        call(b"\xfa\x7f\x80\x89\x7a" + b"x" * 2_000_000, timeout=5)
    assert edge.services.last("CreateTransfers").service == "wallet"


def test_no_certificate_and_a_foreign_one_do_not_get_in(edge: Edge, tmp_path: Path) -> None:
    target = f"localhost:{edge.settings.mesh_port}"
    trusted = edge.certificates.authorities_pem().encode()
    with grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted)) as channel:
        assert refused(edge, channel, RESOLVE)[0] == "UNAVAILABLE"
    foreign = Certificates(tmp_path / "foreign")
    foreign.prepare()
    with edge.mesh("payments", folder=foreign.directory("payments")) as channel:
        assert refused(edge, channel, RESOLVE)[0] == "UNAVAILABLE"


def test_two_identities_in_one_certificate_reach_the_service_as_no_single_name(
    edge: Edge, tmp_path: Path
) -> None:
    """Envoy's rules match any of them, so services refuse any number but one. This pins what they are told."""
    folder = _two_identities(edge, tmp_path, "comms", "payments")
    with edge.mesh("payments", folder=folder) as channel:
        edge.call(channel, RESOLVE)
    named = edge.services.last("ResolveUser").metadata["x-hazina-caller"]
    assert named == "spiffe://hazina/comms,spiffe://hazina/payments"


def test_the_mesh_speaks_tls_1_3_only(edge: Edge) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    import socket

    place = ("127.0.0.1", edge.settings.mesh_port)
    with socket.create_connection(place) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def _two_identities(edge: Edge, folder: Path, *names: str) -> Path:
    authority = edge.certificates.folder / "authority"
    issuer = x509.load_pem_x509_certificate(next(authority.glob("*.pem")).read_bytes())
    key = serialization.load_pem_private_key(next(authority.glob("*.key")).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    own = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.UniformResourceIdentifier(f"spiffe://hazina/{name}") for name in names),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder
