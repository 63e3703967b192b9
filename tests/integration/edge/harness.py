"""A real Envoy in front of tiny services: real mTLS, real tokens, answers that a test chooses."""

from __future__ import annotations

import base64
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hazina.type.v1 import status_pb2
from mesh.contract.generate import load
from mesh.contract.model import Contract
from mesh.edge.render import render, render_tokens
from mesh.edge.settings import DEVELOPMENT, EdgeSettings, Endpoint, StaticFile
from mesh.stack import children
from mesh.stack.certificates import Certificates
from mesh.stack.envoy import command

ROOT = Path(__file__).resolve().parents[3]
ANYBODY = "0191b0a5-0000-7000-8000-000000000001"
SERVICES = ("auth", "wallet", "payments", "groups", "comms")
WAIT_SECONDS = 10

Answer = Callable[[Message, "Received"], Any]


@dataclass(frozen=True)
class Received:
    """One call as a service saw it."""

    rpc: str
    service: str
    metadata: dict[str, str]
    peer: tuple[str, ...]
    seconds_left: float | None
    request: Message
    # Set when the call is over, also when the caller went away.
    over: threading.Event


class Refused(Exception):
    """What a test's answer raises to refuse as services do."""

    def __init__(self, code: grpc.StatusCode, reason: str, **metadata: str) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status_pb2.Status(
            code=code.value[0],
            message=f"Refused: {reason}.",
            status=code.name,
            reason=reason,
            domain="wallet.hazina",
            metadata=metadata,
            request_id="r-1",
            timestamp="2026-11-20T16:00:00.000Z",
            path="/somewhere",
        )


class Messages:
    """Message classes of every contract, from the committed descriptor set."""

    def __init__(self) -> None:
        compiled = FileDescriptorSet.FromString(
            (ROOT / "gen/descriptors/hazina.binpb").read_bytes()
        )
        self.pool = descriptor_pool.DescriptorPool()
        for file in compiled.file:
            bare = FileDescriptorProto()
            bare.CopyFrom(file)
            bare.ClearField("source_code_info")
            self.pool.Add(bare)

    def of(self, name: str) -> Any:
        """The class of a message by its full name."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def method(self, path: str) -> Any:
        """The descriptor of an RPC by the path that gRPC calls; None when there is none."""
        service, _, name = path.lstrip("/").partition("/")
        try:
            return self.pool.FindServiceByName(service).FindMethodByName(name)
        except KeyError:
            return None


class FakeServices:
    """All services: each has a port and a certificate of its own; any RPC is answered.

    They are threads, not coroutines: several event loops in one process do not get along in grpcio.
    """

    def __init__(self, messages: Messages, certificates: Certificates) -> None:
        self.messages = messages
        self.certificates = certificates
        self.calls: list[Received] = []
        self.answers: dict[str, Answer] = {}
        self.cancelled: list[str] = []
        self.ports: dict[str, int] = {}
        self._servers: dict[str, grpc.Server] = {}
        self._shown: dict[str, Path] = {}
        for name in SERVICES:
            self.start(name)

    def close(self) -> None:
        """Stop everything."""
        for name in list(self._servers):
            self.stop(name)

    def stop(self, name: str) -> None:
        """Stop one service."""
        self._servers.pop(name).stop(0).wait(WAIT_SECONDS)

    def start(self, name: str) -> None:
        """Start it, the second time on the same port."""
        server = grpc.server(ThreadPoolExecutor(16))
        server.add_generic_rpc_handlers((_AnyRpc(self, name),))
        health_pb2_grpc.add_HealthServicer_to_server(_Healthy(), server)
        credentials = grpc.dynamic_ssl_server_credentials(
            self._configuration(name),
            # None means that nothing changed; the types of the library do not know it.
            lambda: self._changed(name),  # type: ignore[arg-type,return-value]
            require_client_authentication=True,
        )
        address = f"127.0.0.1:{self.ports.get(name, 0)}"
        self.ports[name] = server.add_secure_port(address, credentials)
        server.start()
        self._servers[name] = server

    def last(self, rpc: str) -> Received:
        """The newest call of an RPC."""
        return next(call for call in reversed(self.calls) if call.rpc.endswith("/" + rpc))

    def _changed(self, name: str) -> grpc.ServerCertificateConfiguration | None:
        """New certificates, if there are any. A new answer at every handshake crashes grpcio: handshakes race for it."""
        if self._shown[name] == self.certificates.directory(name).resolve():
            return None
        return self._configuration(name)

    def _configuration(self, name: str) -> grpc.ServerCertificateConfiguration:
        folder = self._shown[name] = self.certificates.directory(name).resolve()
        return grpc.ssl_server_certificate_configuration(
            [((folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())],
            root_certificates=(folder / "authorities.pem").read_bytes(),
        )


class _Healthy(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    def Check(self, request: Any, context: Any) -> Any:
        return health_pb2.HealthCheckResponse(
            status=health_pb2.HealthCheckResponse.ServingStatus.Value("SERVING")
        )


class _AnyRpc(grpc.GenericRpcHandler):
    def __init__(self, services: FakeServices, name: str) -> None:
        self._services = services
        self._name = name

    def service(self, details: Any) -> Any:
        method = self._services.messages.method(details.method)
        if method is None:
            return None
        shape = {
            "request_deserializer": self._services.messages.of(
                method.input_type.full_name
            ).FromString,
            "response_serializer": lambda message: message.SerializeToString(),
        }
        if method.server_streaming:
            handler = self._stream(details.method, method)
            return grpc.unary_stream_rpc_method_handler(handler, **shape)
        return grpc.unary_unary_rpc_method_handler(self._unary(details.method, method), **shape)

    def _unary(self, path: str, method: Any) -> Any:
        def handle(request: Message, context: Any) -> Any:
            received = self._receive(path, request, context)
            with self._watched(method.name, context, received):
                answer = self._services.answers.get(method.name)
                if answer is None:
                    return self._services.messages.of(method.output_type.full_name)()
                return answer(request, received)

        return handle

    def _stream(self, path: str, method: Any) -> Any:
        def handle(request: Message, context: Any) -> Iterator[Any]:
            received = self._receive(path, request, context)
            with self._watched(method.name, context, received):
                for message in self._services.answers[method.name](request, received):
                    if received.over.is_set():
                        return
                    yield message

        return handle

    @contextmanager
    def _watched(self, name: str, context: Any, received: Received) -> Iterator[None]:
        """Note when the caller leaves before the answer, and refuse as services do."""
        finished = threading.Event()

        def ended() -> None:
            received.over.set()
            if not finished.is_set():
                self._services.cancelled.append(name)

        context.add_callback(ended)
        try:
            yield
        except Refused as refused:
            finished.set()
            details = refused.status.SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(refused.code, refused.status.message)
        finally:
            finished.set()

    def _receive(self, path: str, request: Message, context: Any) -> Received:
        peer = context.auth_context().get("peer_spiffe_id", ())
        received = Received(
            rpc=path,
            service=self._name,
            metadata={
                key: value if isinstance(value, str) else value.hex()
                for key, value in context.invocation_metadata()
            },
            peer=tuple(name.decode() for name in peer),
            seconds_left=context.time_remaining(),
            request=request,
            over=threading.Event(),
        )
        self._services.calls.append(received)
        return received


@dataclass
class Keys:
    """A signing key and the tokens that it signs."""

    kid: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def jwk(self) -> dict[str, str]:
        """The public half."""
        public = self.private.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": _b64(public), "kid": self.kid, "alg": "EdDSA"}

    def token(self, *, subject: str = ANYBODY, life: float = 900, **claims: Any) -> str:
        """A token that a service would accept."""
        now = int(time.time())
        content = {
            "iss": "hazina",
            "aud": "hazina",
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + int(life),
            "tenants": {"default": {"roles": ["member"], "permissions": ["wallet.read"]}},
            **claims,
        }
        head = {"alg": "EdDSA", "typ": "JWT", "kid": self.kid}
        signed = ".".join(_b64(json.dumps(part).encode()) for part in (head, content))
        return f"{signed}.{_b64(self.private.sign(signed.encode()))}"


def key_set(*keys: Keys) -> str:
    """A JWKS document."""
    return json.dumps({"keys": [key.jwk() for key in keys]})


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Edge:
    """An Envoy of its own, with everything that a test needs to call it."""

    def __init__(
        self, folder: Path, *, rate_scale: float = 10_000, second_endpoint: str = "", **changes: Any
    ) -> None:
        self.folder = folder
        self.certificates = Certificates(folder / "certificates")
        self.certificates.prepare()
        self.messages = Messages()
        self.services = FakeServices(self.messages, self.certificates)
        self.keys = Keys("first")
        page = folder / "page.html"
        page.write_text("<!doctype html><title>Page</title>" + "<p>word</p>" * 20_000)
        endpoints = {
            name: [Endpoint("127.0.0.1", port)] for name, port in self.services.ports.items()
        }
        if second_endpoint:  # where nobody listens
            endpoints[second_endpoint].append(Endpoint("127.0.0.1", free_base()))
        self.settings = EdgeSettings(
            endpoints=endpoints,
            port_base=free_base(),
            profile=DEVELOPMENT,
            rate_scale=rate_scale,
            configuration_directory=str(folder / "envoy"),
            certificate_directory=str(self.certificates.sds_folder),
            descriptor_directory=str(ROOT / "gen/descriptors"),
            jwks=key_set(self.keys),
            admin_socket=str(folder / "admin.sock"),
            static_files=(StaticFile("/page", str(page), "text/html; charset=utf-8"),),
            allowed_origins=("https://app.example.org",),
            tenant_domain="hazina.test",
        )
        self.settings = replace(self.settings, **changes)
        self.contract = _contract()
        self._process = self._start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.settings.edge_port}")
        self.plain = grpc.insecure_channel(f"127.0.0.1:{self.settings.edge_port}")
        self._wait_until_ready()

    def close(self) -> None:
        """Stop Envoy and the services."""
        self.http.close()
        self.plain.close()
        self._process.terminate()
        self._process.wait(WAIT_SECONDS)
        self.services.close()

    @property
    def log(self) -> str:
        """Everything that Envoy has said."""
        return (self.folder / "envoy.log").read_text()

    def headers(self, **claims: Any) -> dict[str, str]:
        """Headers of a signed-in person."""
        return {"authorization": f"Bearer {self.keys.token(**claims)}"}

    def replace_tokens_file(self, *keys: Keys) -> None:
        """Publish other keys, as the stack does: by a rename."""
        changed = replace(self.settings, jwks=key_set(*keys))
        target = self.folder / "envoy/tokens.yaml"
        fresh = target.with_suffix(".new")
        fresh.write_text(render_tokens(changed))
        fresh.rename(target)

    def mesh(self, identity: str, *, folder: Path | None = None) -> grpc.Channel:
        """A channel to the mesh listener with the certificate of an identity."""
        place = (folder or self.certificates.directory(identity)).resolve()
        credentials = grpc.ssl_channel_credentials(
            self.certificates.authorities_pem().encode(),
            (place / "key.pem").read_bytes(),
            (place / "certificate.pem").read_bytes(),
        )
        target = f"localhost:{self.settings.mesh_port}"
        options = (("grpc.use_local_subchannel_pool", 1),)
        return grpc.secure_channel(target, credentials, options=options)

    def call(
        self,
        channel: grpc.Channel,
        rpc: str,
        metadata: Mapping[str, str] | None = None,
        *,
        timeout: float | None = 10,
    ) -> Any:
        """Call an RPC with an empty request."""
        method = self.messages.method(rpc)
        request = self.messages.of(method.input_type.full_name)()
        answer = raw(channel, rpc)(
            request.SerializeToString(),
            timeout=timeout,
            metadata=tuple((metadata or {}).items()),
        )
        return self.messages.of(method.output_type.full_name).FromString(answer)

    def _start(self) -> subprocess.Popen[bytes]:
        place = self.folder / "envoy"
        place.mkdir()
        for name, text in render(self.contract, self.settings).items():
            (place / name).write_text(text)
        return start_envoy(place, self.folder / "envoy.log")

    def _wait_until_ready(self) -> None:
        wait_until_ready(self._process, self.settings.metrics_port, self.folder / "envoy.log")


def start_envoy(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start Envoy as the stack does, in the folder with its files."""
    with log.open("wb") as output:
        return children.start(
            [*command(), "--file-flush-interval-msec", "50"], output=output, directory=folder
        )


def wait_until_ready(process: subprocess.Popen[bytes], metrics_port: int, log: Path) -> None:
    """Until Envoy has taken all of its files; fails with what it said."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, f"Envoy ended by itself:\n{log.read_text()}"
        try:
            if httpx.get(f"http://127.0.0.1:{metrics_port}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"Envoy is not ready after {WAIT_SECONDS} s:\n{log.read_text()}")


def complaints(log: Path) -> list[str]:
    """Lines that Envoy wrote as a warning or worse."""
    words = (" warning ", " error ", " critical ")
    return [line for line in log.read_text().splitlines() if any(word in line for word in words)]


def raw(channel: grpc.Channel, rpc: str) -> Any:
    """A call of an RPC with bytes as they are."""
    return channel.unary_unary(rpc)


def eventually(check: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if check():
            return True
        time.sleep(0.05)
    return False


def refusal(error: grpc.RpcError) -> tuple[str, str, str]:
    """Code, reason and domain that a gRPC client reads from a refusal."""
    from google.rpc import error_details_pb2
    from google.rpc import status_pb2 as plain_status

    call: Any = error
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in plain_status.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return call.code().name, info.reason, info.domain
    return call.code().name, "", ""


_read: list[Contract] = []


def _contract() -> Contract:
    if not _read:
        _read.append(load(ROOT)[1])
    return _read[0]


def free_base() -> int:
    for _ in range(100):
        base = random.randrange(20_000, 32_000)
        if all(_is_free(base + offset) for offset in range(4)):
            return base
    raise AssertionError("no four free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def running(folder: Path, **changes: Any) -> Iterator[Edge]:
    """An edge for a fixture."""
    edge = Edge(folder, **changes)
    try:
        yield edge
    finally:
        edge.close()
