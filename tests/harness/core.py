"""The harness itself: databases, services in-process, peers, stubs."""

import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import grpc
from google.protobuf import descriptor_pool
from redis.asyncio import Redis

from hazina.auth.v1 import session_service_pb2
from mesh.stack.certificates import Certificates
from mesh.stack.ports import SERVICES
from mesh.stack.valkey import EmbeddedValkey
from services.kit import crash, wrapper
from services.kit.channels import CertificateFiles
from services.kit.clock import Clock
from services.kit.config import ServiceConfig, load_service
from services.kit.identity import Call, Tokens
from services.kit.server import Service, Serving, kit_config, serve
from tests.harness.databases import Databases, Place
from tests.harness.people import Person, Signer, claims_of

AnyConfig = TypeVar("AnyConfig")
_clock = Clock()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StandingSessions:
    """The peer that is asked whether sessions stand; every session does, unless its id is in `ended`."""

    def __init__(self) -> None:
        self.ended: set[UUID] = set()
        self.asked = 0

    async def CheckSession(
        self, request: session_service_pb2.CheckSessionRequest, call: Call
    ) -> session_service_pb2.CheckSessionResponse:
        self.asked += 1
        return session_service_pb2.CheckSessionResponse(
            active=UUID(request.session_id) not in self.ended
        )


class Harness:
    """Everything around one service under test. Entered by the fixture `harness`."""

    def __init__(
        self, databases: Databases, valkey: EmbeddedValkey, certificates: Certificates, folder: Path
    ) -> None:
        self.databases = databases
        self.certificates = certificates
        self.redis_url = valkey.url
        self.sessions = StandingSessions()
        self.mesh_port = free_port()
        self._folder = folder
        self._jwks_file = folder / "jwks.json"
        self._secret_file = folder / "secret"
        self._secret_file.write_text(secrets.token_hex(32))
        self._stack = AsyncExitStack()
        self._places: dict[str, Place] = {}
        self.signer = Signer(self._jwks_file)

    async def __aenter__(self) -> Self:
        self.redis: Redis = Redis.from_url(self.redis_url)
        self._stack.push_async_callback(self.redis.aclose)
        await self.redis.flushall()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        crash.arm(None)
        for place in self._places.values():
            await self.databases.release(place)

    # Parts

    async def database(self, service: str, *, migrations_folder: Path | None = None) -> Place:
        """The test's database of a service, migrated; made at the first call."""
        if service not in self._places:
            self._places[service] = await self.databases.make(
                service, migrations_folder=migrations_folder
            )
        return self._places[service]

    async def environ(
        self, service: str, *, migrations_folder: Path | None = None
    ) -> dict[str, str]:
        """The environment of a service process in the development profile; add the service's own variables to it."""
        place = await self.database(service, migrations_folder=migrations_folder)
        return {
            "HAZINA_PROFILE": "development",
            "HAZINA_LISTEN_ADDRESS": "127.0.0.1:0",
            "HAZINA_METRICS_ADDRESS": "127.0.0.1:0",
            "HAZINA_MESH_ADDRESS": f"127.0.0.1:{self.mesh_port}",
            "HAZINA_DATABASE_URL": place.url,
            "HAZINA_REDIS_URL": self.redis_url,
            "HAZINA_CERTIFICATE_DIRECTORY": str(self.certificates.directory(_identity(service))),
            "HAZINA_JWKS_FILE": str(self._jwks_file),
            "HAZINA_SECRET_FILE": str(self._secret_file),
            "HAZINA_LOG_LEVEL": "warning",
            "HAZINA_RATE_SCALE": "100",
        }

    async def config(
        self, service: str, *, migrations_folder: Path | None = None, **variables: str
    ) -> ServiceConfig:
        """What every service is told, as `load_service` reads it."""
        environ = await self.environ(service, migrations_folder=migrations_folder)
        return load_service(service, {**environ, **variables})

    # People

    def person(
        self,
        *,
        id: UUID | None = None,  # noqa: A002
        session_id: UUID | None = None,
        tenant: str = "default",
        **facts: Any,
    ) -> Person:
        """A signed-in person. `facts` are those of `tests.harness.people.claims_of`: roles, permissions, tenants,
        kyc_tier, second_factor_age_seconds, api_key_id, expires_in_seconds, or any claim by its name."""
        user_id, session = id or _clock.new_id(), session_id or _clock.new_id()
        token = self.signer.sign(claims_of(user_id, session, tenant=tenant, **facts))
        return Person(user_id, session, tenant, token)

    # Services

    @asynccontextmanager
    async def service(
        self,
        name: str,
        build: Callable[[Any, AsyncExitStack], Awaitable[Service]],
        load: Callable[[Mapping[str, str]], Any] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        migrations_folder: Path | None = None,
        background: bool = True,
    ) -> AsyncIterator["Running"]:
        """Run a service in this process: `build` is its `app.build`, `load` its `config.load` (of an environment).

        `variables` are added to the environment; `background=False` leaves out relay, consumers and jobs.
        """
        environ = await self.environ(name, migrations_folder=migrations_folder)
        environ.update(variables or {})
        config = load(environ) if load else load_service(name, environ)
        kit = kit_config(config)
        async with AsyncExitStack() as stack:
            service = await build(config, stack)
            if not background:
                service.background = ()
            async with serve(kit, service) as serving, AsyncExitStack() as clients:
                yield Running(self, kit, serving, clients)

    @asynccontextmanager
    async def peers(self, servicers: Mapping[str, object]) -> AsyncIterator[None]:
        """Serve fakes of other services' RPCs at the mesh address, by full service name. Sessions stand by default."""
        everything: dict[str, object] = {
            "hazina.auth.v1.SessionService": self.sessions,
            **servicers,
        }
        context = wrapper.Context(
            service="peers", tokens=Tokens(self._jwks_file), is_development=True
        )
        server = grpc.aio.server()
        for name, servicer in everything.items():
            descriptor = descriptor_pool.Default().FindServiceByName(name)
            server.add_generic_rpc_handlers((wrapper.compile(name, servicer, descriptor, context),))
        chain, key, authorities = CertificateFiles(self.certificates.directory("mesh")).read()
        credentials = grpc.ssl_server_credentials(
            [(key, chain)], authorities, require_client_auth=True
        )
        server.add_secure_port(f"127.0.0.1:{self.mesh_port}", credentials)
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)


class Running:
    """A service that answers calls."""

    def __init__(
        self, harness: Harness, config: ServiceConfig, serving: Serving, clients: AsyncExitStack
    ) -> None:
        self.harness = harness
        self.config = config
        self.serving = serving
        self.port = serving.port
        self._clients = clients
        self._channels: dict[str, grpc.aio.Channel] = {}

    def stub(
        self,
        stub_class: Callable[[Any], Any],
        *,
        user: Person | None = None,
        identity: str = "edge",
        through_mesh_as: str | None = None,
        tenant: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """A stub whose calls come from this identity and user. Calls take `key` (the Idempotency-Key), `timeout`
        (10 s by default) and `metadata`, and are those of grpc.aio: awaitable, with `initial_metadata()` and so on."""
        metadata = [*headers]
        if user is not None:
            metadata.append(("authorization", f"Bearer {user.token}"))
        if tenant is not None:
            metadata.append(("x-hazina-tenant", tenant))
        if through_mesh_as is not None:
            identity = "mesh"
            metadata.append(("x-hazina-caller", f"spiffe://hazina/{through_mesh_as}"))
        return stub_class(_Client(self.channel(identity), metadata))

    def channel(self, identity: str) -> grpc.aio.Channel:
        """A channel to the service with the certificate of an identity."""
        if identity not in self._channels:
            folder = self.harness.certificates.directory(identity)
            chain, key, authorities = CertificateFiles(folder).read()
            channel = grpc.aio.secure_channel(
                f"127.0.0.1:{self.port}",
                grpc.ssl_channel_credentials(authorities, key, chain),
                options=(("grpc.ssl_target_name_override", "localhost"),),
            )
            self._channels[identity] = channel
            self._clients.push_async_callback(channel.close)
        return self._channels[identity]


class _Client:
    """What a generated stub takes for a channel: adds metadata to every call."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> None:
        self._channel = channel
        self._metadata = tuple(metadata)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._calling(self._channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._calling(self._channel.unary_stream(*args, **kwargs))

    def _calling(self, multicallable: Any) -> Callable[..., Any]:
        def call(
            request: Any,
            *,
            key: str | None = None,
            timeout: float | None = 10,
            metadata: Sequence[tuple[str, str]] = (),
        ) -> Any:
            keyed = () if key is None else (("idempotency-key", key),)
            return multicallable(
                request, timeout=timeout, metadata=(*self._metadata, *keyed, *metadata)
            )

        return call


def _identity(service: str) -> str:
    """The certificate that a service runs with; services that exist only in tests borrow one."""
    return service if service in SERVICES else "comms"
