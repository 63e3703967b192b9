"""Runs a service: mTLS with rotation, wrapped RPCs, health, reflection of the whole mesh, metrics, graceful end."""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import prometheus_client
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2
from redis.asyncio import Redis

from services.kit import crash, identity, policy, telemetry, wrapper
from services.kit.audit import Audit
from services.kit.channels import CertificateFiles, Channels
from services.kit.config import ServiceConfig
from services.kit.database import Database
from services.kit.errors import ServiceError
from services.kit.streams import Streams

__all__ = ["Service", "Serving", "run", "serve"]

DRAIN_SECONDS = {"development": 0.5, "production": 7.0}
"""Between NOT_SERVING and the end of new calls, by profile. Envoy looks every 5 s and believes the second look, 1 s later;
in development there is one process of each service, so nobody else could take its calls."""

GRACE_SECONDS = 10.0
"""What calls and background work under way are given to end."""

_CHECK_SECONDS = 2.0
_DESCRIPTORS = Path(__file__).resolve().parents[2] / "gen" / "descriptors" / "hazina.binpb"
_HEALTH = "grpc.health.v1.Health"
_REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),  # certificates live 24 h
    ("grpc.max_connection_age_grace_ms", 60 * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 32 * 1024),
)

AnyConfig = TypeVar("AnyConfig")
Background = Callable[[asyncio.Event], Awaitable[None]]
Check = Callable[[], Awaitable[None]]


@dataclass
class Service:
    """What a service is made of: its RPCs, the work beside them, and what it needs to be healthy.

    `foreign` serves contracts that are not ours, which carry no policy: each checks its peer by itself.
    """

    name: str
    servicers: Mapping[str, object]
    background: Sequence[Background] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no new calls come any more: streams send their last message."""
    foreign: Sequence[grpc.GenericRpcHandler] = ()
    in_flight_max: int = 400
    """Calls served at once; more are refused as OVERLOADED."""


@dataclass
class Serving:
    """A service that answers calls. `port` is the one it listens on."""

    service: Service
    port: int
    server: grpc.aio.Server
    health: health_aio.HealthServicer
    background: list[asyncio.Task[None]]
    stop: asyncio.Event


def run(
    config: AnyConfig, build: Callable[[AnyConfig, AsyncExitStack], Awaitable[Service]]
) -> None:
    """Run a service until SIGTERM or SIGINT; the whole of a service's `__main__`.

    `config` is a ServiceConfig, or a dataclass of the service's own with one in a field. `build` makes the parts;
    what it enters into the stack is closed last. Raises PolicyMissing, naming the RPC, before anything listens.
    """
    kit = kit_config(config)
    telemetry.configure(kit)
    crash.arm(kit.crash_file if kit.is_development else None)
    try:
        uvloop.run(_run(config, kit, build))
    finally:
        telemetry.flush()


async def _run(
    config: AnyConfig,
    kit: ServiceConfig,
    build: Callable[[AnyConfig, AsyncExitStack], Awaitable[Service]],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    host, _, port = kit.metrics_address.rpartition(":")
    metrics, _ = prometheus_client.start_http_server(int(port), host)
    try:
        async with AsyncExitStack() as stack:
            service = await build(config, stack)
            async with serve(kit, service, drain_seconds=DRAIN_SECONDS[kit.profile]) as serving:
                telemetry.log.info("serving", port=serving.port, rpcs=sorted(service.servicers))
                stopping = asyncio.create_task(stop.wait())
                await asyncio.wait(
                    {stopping, *serving.background}, return_when=asyncio.FIRST_COMPLETED
                )
                stopping.cancel()
                for task in serving.background:
                    if task.done() and not stop.is_set():
                        task.result()  # background work ends only when it is told to, or by a fault of ours
                        raise RuntimeError("background work ended by itself")
                telemetry.log.info("stopping")
    finally:
        metrics.shutdown()


@contextlib.asynccontextmanager
async def serve(
    config: ServiceConfig, service: Service, *, drain_seconds: float = 0.0
) -> AsyncIterator[Serving]:
    """Serve while the block runs, then drain: NOT_SERVING, no new calls, calls and background work end, in this order."""
    async with AsyncExitStack() as stack:
        descriptors = {name: _descriptor(name) for name in service.servicers}
        context = await _context(config, service, descriptors, stack)
        server = grpc.aio.server(
            options=_OPTIONS, maximum_concurrent_rpcs=context.in_flight_max * 4
        )
        for name, handlers in service.servicers.items():
            server.add_generic_rpc_handlers(
                (wrapper.compile(name, handlers, descriptors[name], context),)
            )
        server.add_generic_rpc_handlers(tuple(service.foreign))
        health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, _Guarded(server, _may_check_health))
        names = ["", *service.servicers]
        for name in names:  # until the first checks have passed
            await health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        _reflect(server)
        port = server.add_secure_port(config.listen_address, _credentials(config))
        await server.start()
        stop = asyncio.Event()
        tasks = [_spawn(work, stop) for work in service.background]
        checking = asyncio.create_task(_keep_health(health, names, service.checks))
        try:
            yield Serving(service, port, server, health, tasks, stop)
        finally:
            checking.cancel()
            await health.enter_graceful_shutdown()
            await asyncio.sleep(drain_seconds)
            service.draining.set()
            await server.stop(GRACE_SECONDS)
            stop.set()
            await _end(tasks)
            telemetry.flush()


async def _context(
    config: ServiceConfig,
    service: Service,
    descriptors: Mapping[str, ServiceDescriptor],
    stack: AsyncExitStack,
) -> wrapper.Context:
    """What the policies of this service make necessary, and no more."""
    policies = [policy.read(method) for one in descriptors.values() for method in one.methods]
    context = wrapper.Context(
        service=service.name,
        tokens=identity.Tokens(config.jwks_file),
        is_development=config.is_development,
        in_flight_max=service.in_flight_max,
    )
    if any(one.rate == "MONEY" and one.access == "USER" for one in policies):
        from services.kit.sessions import Sessions

        channels = Channels(config)
        stack.push_async_callback(channels.close)
        context.sessions = Sessions(channels)
    if any(one.is_audited for one in policies):
        database = Database(
            config.database_url,
            schema=config.name,
            application_name=f"{config.name}-audit",
            pool_size=1,
        )
        stack.push_async_callback(database.close)
        context.audit = Audit(database)
        stack.push_async_callback(context.audit.close)
    if any(one.rate == "STREAM" for one in policies):
        redis: Redis = Redis.from_url(config.redis_url)
        stack.push_async_callback(redis.aclose)
        context.streams = Streams(redis, service=service.name)
        stack.push_async_callback(context.streams.close)
    return context


def kit_config(config: object) -> ServiceConfig:
    """The kit's part of a service's own configuration. Raises TypeError where there is none."""
    if isinstance(config, ServiceConfig):
        return config
    if dataclasses.is_dataclass(config):
        for one in dataclasses.fields(config):
            value = getattr(config, one.name)
            if isinstance(value, ServiceConfig):
                return value
    raise TypeError(f"{type(config).__name__} holds no ServiceConfig")


def _descriptor(service: str) -> ServiceDescriptor:
    try:
        return descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        raise policy.PolicyMissing(f"no contract names the service {service}") from None


def _credentials(config: ServiceConfig) -> grpc.ServerCredentials:
    """mTLS credentials that look at the certificate files at every handshake."""
    files = CertificateFiles(config.certificate_directory)

    def read() -> grpc.ServerCertificateConfiguration:
        chain, key, authorities = files.read()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        try:
            return read() if files.have_changed() else None
        except OSError:
            return None  # they are being replaced; the next handshake looks again

    # None means that nothing changed; the types of the library do not know it.
    return grpc.dynamic_ssl_server_credentials(
        read(),
        fetch,  # type: ignore[arg-type]
        require_client_authentication=True,
    )


def _spawn(work: Background, stop: asyncio.Event) -> asyncio.Task[None]:
    async def guarded() -> None:
        try:
            await work(stop)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            telemetry.log.critical("background_failed", exc_info=error)
            raise

    return asyncio.create_task(guarded())


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_health(
    health: health_aio.HealthServicer, names: Sequence[str], checks: Mapping[str, Check]
) -> None:
    """Say SERVING as long as every check passes."""
    was_good: bool | None = None
    while True:
        faults = [name for name, check in checks.items() if not await _passes(name, check)]
        is_good = not faults
        if is_good != was_good:
            if was_good is not None or not is_good:
                telemetry.log.warning("health_changed", serving=is_good, failing=faults)
            known = health_pb2.HealthCheckResponse
            for name in names:
                await health.set(name, known.SERVING if is_good else known.NOT_SERVING)
            was_good = is_good
        await asyncio.sleep(_CHECK_SECONDS)


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - any fault of a check is the answer
        telemetry.log.warning("check_failed", check=name, fault=type(error).__name__)
        return False
    return True


# Health and reflection are not in our contracts, so they have no policy: these two rules stand for one.


def _may_check_health(exchange: Any) -> None:
    """Envoy's own checks come without a caller; through the mesh listener and directly, `ops` and auth may ask."""
    peer = identity.peer_of(exchange)
    headers = dict(exchange.invocation_metadata())
    if peer.is_envoy and not headers.get("x-hazina-caller"):
        return
    identity.caller_of(peer, headers, frozenset({"ops", "auth"}), from_edge=False)


def _may_reflect(exchange: Any) -> None:
    headers = dict(exchange.invocation_metadata())
    identity.caller_of(identity.peer_of(exchange), headers, frozenset({"ops"}), from_edge=False)


class _Guarded:
    """Registers handlers at a server behind a check of the peer."""

    def __init__(self, server: grpc.aio.Server, check: Callable[[Any], None]) -> None:
        self._server = server
        self._check = check

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(
            tuple(_GuardedHandlers(one, self._check) for one in handlers)
        )

    def add_registered_method_handlers(self, *_: Any) -> None:
        """Not used: registered handlers would go round the check."""


class _GuardedHandlers(grpc.GenericRpcHandler):
    def __init__(self, inner: grpc.GenericRpcHandler, check: Callable[[Any], None]) -> None:
        self._inner = inner
        self._check = check

    def service(self, details: Any) -> Any:
        handler: Any = self._inner.service(details)
        if handler is None:
            return None
        if handler.unary_unary:
            return handler._replace(unary_unary=self._unary(handler.unary_unary))
        name = "stream_stream" if handler.stream_stream else "unary_stream"
        return handler._replace(**{name: self._stream(getattr(handler, name))})

    def _unary(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, exchange: Any) -> Any:
            await self._admit(exchange)
            return await serve(request, exchange)

        return guarded

    def _stream(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, exchange: Any) -> Any:
            await self._admit(exchange)
            answers = serve(request, exchange)
            if hasattr(answers, "__aiter__"):
                async for answer in answers:
                    await exchange.write(answer)
            else:
                await answers

        return guarded

    async def _admit(self, exchange: Any) -> None:
        try:
            self._check(exchange)
        except ServiceError as error:
            await exchange.abort(grpc.StatusCode.PERMISSION_DENIED, error.message)


def _reflect(server: grpc.aio.Server) -> None:
    """Serve reflection of the whole mesh, so that any service answers for all of them.

    The library knows v1alpha only. The messages of v1 are the same, so the same servicer answers under both names.
    """
    pool, names = _mesh()
    guarded: Any = _Guarded(server, _may_reflect)
    servicer = reflection.aio.ReflectionServicer([*names, _HEALTH, *_REFLECTION], pool=pool)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in _REFLECTION:
        guarded.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}),)
        )


def _mesh() -> tuple[DescriptorPool, list[str]]:
    """Every contract of the mesh: the generated descriptor set, or what this process has imported."""
    if not _DESCRIPTORS.exists():
        return descriptor_pool.Default(), []
    pool = DescriptorPool()
    contracts = descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes())
    names = []
    for file in contracts.file:
        pool.Add(file)
        names += [f"{file.package}.{service.name}" for service in file.service]
    for module in (health_pb2, reflection_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_reflection_v1())
    return pool, names


def _reflection_v1() -> bytes:
    """The description of v1, which clients look up because it is listed: that of v1alpha under the other name."""
    file = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name = file.name.replace("v1alpha", "v1")
    file.package = file.package.replace("v1alpha", "v1")
    for message in file.message_type:
        for part in message.field:
            if part.type_name:
                part.type_name = part.type_name.replace("v1alpha", "v1")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace("v1alpha", "v1")
            method.output_type = method.output_type.replace("v1alpha", "v1")
    return file.SerializeToString()
