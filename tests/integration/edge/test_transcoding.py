"""What the transcoder does with odd JSON and with answers that are too large. Pinned, because callers come to rely on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from tests.integration.edge.harness import Edge, Refused

WALLET = "/api/v1/wallets/0191b0a5-0000-7000-8000-000000000002"
LOGIN = "/api/v1/auth/login"


def login(edge: Edge, content: bytes) -> httpx.Response:
    return edge.http.post(LOGIN, content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "content",
    [
        b'{"identifier": "a", "colour": "red"}',
        b'{"identifier": "b", "identifier": "a"}',
        b'{"identifier": "a", "password": null}',
        b'{"identifier": "\\u0061"}',
    ],
)
def test_unknown_fields_are_dropped_and_the_last_of_two_counts(edge: Edge, content: bytes) -> None:
    assert login(edge, content).status_code == 200
    request: Any = edge.services.last("Login").request
    assert request.identifier == "a"
    assert request.WhichOneof("secret") is None


def test_both_spellings_of_a_field_are_taken(edge: Edge) -> None:
    for name in ("totpCode", "totp_code"):
        assert login(edge, b'{"%s": "1"}' % name.encode()).status_code == 200
        request: Any = edge.services.last("Login").request
        assert request.totp_code == "1"


def test_an_empty_body_is_an_empty_message(edge: Edge) -> None:
    for content in (b"", b"{}"):
        assert login(edge, content).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'"text"',
        b"{",
        b'{"identifier": {"a": 1}}',
        b'{"identifier": "\xff\xfe"}',
        b'{"identifier": "\\ud800"}',
        b'{"a": ' * 500 + b"1" + b"}" * 500,
        b"not json",
        b"\x00\x01\x02",
    ],
)
def test_what_is_no_message_is_malformed(edge: Edge, content: bytes) -> None:
    answer = login(edge, content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["reason"] == "MALFORMED_REQUEST"
    assert edge.services.calls == []


def test_a_large_answer_passes_and_one_beyond_the_limit_is_our_fault(edge: Edge) -> None:
    kind = edge.messages.of("hazina.wallet.v1.Wallet")
    for size, status in ((2_000_000, 200), (5_000_000, 500)):
        wallet = kind(name="x" * size)
        edge.services.answers["GetWallet"] = lambda request, received, wallet=wallet: wallet  # type: ignore[misc]
        answer = edge.http.get(WALLET, headers=edge.headers())
        assert answer.status_code == status
    assert answer.json()["reason"] == "INTERNAL"


def test_a_stream_that_breaks_off_just_ends_so_streams_need_a_last_message(edge: Edge) -> None:
    kind = edge.messages.of("hazina.wallet.v1.WatchWalletResponse")

    def answer(request: Any, received: Any) -> Iterator[Any]:
        yield kind(cursor="1")
        raise Refused(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")

    edge.services.answers["WatchWallet"] = answer
    found = edge.http.get(f"{WALLET}:watch", headers=edge.headers())
    assert found.status_code == 200
    assert found.text.count("data:") == 1


def test_too_many_headers_are_refused(edge: Edge) -> None:
    many = {f"x-header-{number}": "1" for number in range(100)}
    answer = edge.http.get("/health", headers=many)
    assert answer.status_code == 431
    assert answer.json()["reason"] == "REQUEST_TOO_LARGE"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1//wallets",
        "/api/v1/./wallets",
        "/api/v1/nothing/../wallets",
        "/api/v1/%77allets",
    ],
)
def test_paths_are_made_plain_before_anything_is_decided(edge: Edge, path: str) -> None:
    """httpx would make them plain itself, so the request is written by hand."""
    import socket

    place = ("127.0.0.1", edge.settings.edge_port)
    with socket.create_connection(place, timeout=5) as plain:
        plain.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while piece := plain.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'"path":"/api/v1/' in answer
