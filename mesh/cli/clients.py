"""Three ways to call an RPC with JSON: HTTP through the edge, gRPC through the edge, gRPC through the mesh listener."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import grpc
import httpx

from mesh.cli.contracts import Refused, load, query, refusal
from mesh.contract.model import Rpc
from mesh.stack.environment import Stack
from mesh.stack.home import StackError

Headers = Sequence[tuple[str, str]]


class Client(Protocol):
    """What a story needs of a way to call."""

    def call(
        self, name: str, request: Mapping[str, Any], *, token: str = "", key: str = ""
    ) -> dict[str, Any]:
        """Answer of a unary RPC. Raises Refused."""
        ...


class HttpEdge:
    """HTTP/JSON, as a web developer calls it."""

    def __init__(self, url: str, *, authorities: Path | None = None) -> None:
        verify = str(authorities) if authorities and url.startswith("https") else True
        self._client = httpx.Client(base_url=url, timeout=15, verify=verify)

    def call(
        self, name: str, request: Mapping[str, Any], *, token: str = "", key: str = ""
    ) -> dict[str, Any]:
        """The RPC by its HTTP binding."""
        rpc = load().find(name)
        if not rpc.bindings:
            raise StackError(f"{rpc.path[1:]} has no HTTP path: it is for services only.")
        binding = rpc.bindings[0]
        rest = dict(request)
        path = binding.plain_path
        for field in binding.path_fields:
            value = str(rest.pop(_camel(field), ""))
            path = path.replace(f"{{{field}}}", quote(value, safe=""))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["idempotency-key"] = key
        try:
            answer = self._client.request(
                binding.method,
                path,
                headers=headers,
                json=rest if binding.body else None,
                params=None if binding.body else list(query(rest)),
            )
        except httpx.HTTPError as error:
            raise Refused("UNAVAILABLE", f"{self._client.base_url}: {error}", {}) from error
        try:
            document: dict[str, Any] = answer.json() if answer.content else {}
        except ValueError as error:
            raise Refused("UNKNOWN", f"{answer.status_code} without JSON", {}) from error
        if answer.is_error:
            status = str(document.get("status", answer.status_code))
            raise Refused(status, str(document.get("message", answer.reason_phrase)), document)
        return document


class GrpcClient:
    """gRPC with messages made from the contracts at run time."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    @classmethod
    def edge(cls, stack: Stack, url: str = "") -> GrpcClient:
        """Through the edge; with a token it is a signed-in person."""
        parts = urlsplit(url or f"http://127.0.0.1:{stack.ports.edge}")
        target = parts.netloc
        if parts.scheme == "https":
            authorities = stack.home.certificates / "edge" / "authorities.pem"
            roots = authorities.read_bytes() if authorities.exists() else None
            return cls(grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), _OPTIONS))
        return cls(grpc.insecure_channel(target, _OPTIONS))

    @classmethod
    def mesh(cls, stack: Stack, identity: str = "ops") -> GrpcClient:
        """Through the mesh listener, with the certificate of `identity`."""
        directory = (stack.home.certificates / identity).resolve()
        try:
            credentials = grpc.ssl_channel_credentials(
                (directory / "authorities.pem").read_bytes(),
                (directory / "key.pem").read_bytes(),
                (directory / "certificate.pem").read_bytes(),
            )
        except OSError as error:
            raise StackError(
                f"There is no certificate for {identity} in {directory} ({error.strerror}). "
                "`hazina up` makes them; `hazina certs list` shows them."
            ) from error
        return cls(grpc.secure_channel(f"127.0.0.1:{stack.ports.mesh}", credentials, _OPTIONS))

    def call(
        self, name: str, request: Mapping[str, Any], *, token: str = "", key: str = ""
    ) -> dict[str, Any]:
        """A unary RPC."""
        rpc = load().find(name)
        headers = [("authorization", f"Bearer {token}")] if token else []
        if key:
            headers.append(("idempotency-key", key))
        return next(self.stream(rpc, request, headers=headers))

    def stream(
        self,
        rpc: Rpc,
        request: Mapping[str, Any],
        *,
        headers: Headers = (),
        timeout_seconds: float | None = 15,
    ) -> Iterator[dict[str, Any]]:
        """Every answer of an RPC: one, or as many as a stream brings. Raises Refused."""
        contracts = load()
        message = contracts.parse(rpc.request, request)
        answer_class = contracts.message(rpc.response)
        serialize = type(message).SerializeToString
        try:
            if rpc.server_streaming:
                streaming = self._channel.unary_stream(rpc.path, serialize, answer_class.FromString)
                for answer in streaming(message, timeout=timeout_seconds, metadata=tuple(headers)):
                    yield contracts.document(answer)
            else:
                unary = self._channel.unary_unary(rpc.path, serialize, answer_class.FromString)
                yield contracts.document(
                    unary(message, timeout=timeout_seconds, metadata=tuple(headers))
                )
        except grpc.RpcError as error:
            trailers: Any = error.trailing_metadata() or ()
            details = dict(trailers).get("grpc-status-details-bin")
            raise refusal(error.code().name, error.details() or "", details) from None


_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found.group(1).upper(), name)
