"""Keys and certificates change while calls go on."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx
from cryptography import x509

from tests.integration.edge.harness import Edge, Keys, eventually

# Connections that end soon show that new ones use what is new.
EDGE_CHANGES: dict[str, Any] = {"connection_seconds_max": 1}

RESOLVE = "/hazina.auth.v1.DirectoryService/ResolveUser"


def shown(port: int) -> int:
    """Serial number of the certificate that a listener shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as tls:
        raw = tls.getpeercert(binary_form=True)
        assert raw is not None
        return x509.load_der_x509_certificate(raw).serial_number


def test_signing_keys_change_without_a_restart(edge: Edge) -> None:
    second = Keys("second")

    def accepted(key: Keys) -> bool:
        headers = {"authorization": f"Bearer {key.token()}"}
        return edge.http.get("/api/v1/wallets", headers=headers).status_code == 200

    assert accepted(edge.keys)
    assert not accepted(second)
    edge.replace_tokens_file(edge.keys, second)
    assert eventually(lambda: accepted(second), 5)
    assert accepted(edge.keys)
    edge.replace_tokens_file(second)
    assert eventually(lambda: not accepted(edge.keys), 5)
    assert accepted(second)
    edge.replace_tokens_file(edge.keys, second)
    assert eventually(lambda: accepted(edge.keys), 5)


def test_certificates_are_renewed_on_all_sides(edge: Edge) -> None:
    before = shown(edge.settings.edge_tls_port)
    assert edge.certificates.certificate("edge") is not None
    edge.certificates.rotate()
    assert eventually(lambda: shown(edge.settings.edge_tls_port) != before, 5)
    with edge.mesh("payments") as channel:
        edge.call(channel, RESOLVE)
    assert edge.http.get("/api/v1/wallets", headers=edge.headers()).status_code == 200


def test_an_authority_is_replaced_step_by_step_and_no_call_fails(edge: Edge) -> None:
    failures: list[str] = []

    def calls(seconds: float) -> None:
        def one() -> bool:
            answer = edge.http.get("/api/v1/wallets", headers=edge.headers())
            if answer.status_code != 200:
                failures.append(answer.text)
            with edge.mesh("payments") as channel:
                try:
                    edge.call(channel, RESOLVE)
                except Exception as error:  # every failure counts, whatever it is
                    failures.append(str(error))
            return False

        eventually(one, seconds)

    calls(0.5)
    edge.certificates.begin_authority_roll()
    calls(2.5)
    edge.certificates.switch_authority()
    calls(2.5)
    edge.certificates.drop_old_authorities()
    calls(2.5)
    assert failures == []


def test_the_tls_listener_serves_http_2_and_the_same_routes(edge: Edge) -> None:
    context = ssl.create_default_context(cadata=edge.certificates.authorities_pem())
    url = f"https://localhost:{edge.settings.edge_tls_port}"
    with httpx.Client(http2=True, verify=context, base_url=url) as client:
        answer = client.get("/api/v1/wallets", headers=edge.headers())
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
