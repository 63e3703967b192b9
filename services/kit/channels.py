"""Calls to other services, through the mesh listener with this service's certificate.

A stub made here is used like a generated one. Every call gets a deadline (what is left of the caller's, less a margin),
the request id and the trace; USER RPCs also get the user's token and tenant. Refusals of the callee arrive as
`RemoteRefusal`, an unreachable callee as `ServiceUnavailable`. Nothing is retried here: Envoy retries what is SAFE.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from google.protobuf import descriptor_pool

from hazina.policy.v1 import policy_pb2
from services.kit import refusals, telemetry
from services.kit.config import ServiceConfig
from services.kit.errors import DeadlineExceeded

__all__ = ["CertificateFiles", "Channels"]

DEADLINE_SECONDS = 5.0
"""Deadline of a call that nobody waits for."""

MARGIN_SECONDS = 0.1
"""Kept back from the caller's deadline, so that there is time left to answer."""

_WATCH_SECONDS = 1.0
_CLOSE_GRACE_SECONDS = 30.0
_OPTIONS = (
    ("grpc.ssl_target_name_override", "mesh"),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

StubClass = TypeVar("StubClass")


class CertificateFiles:
    """certificate.pem, key.pem and authorities.pem of one identity; read as a set that belongs together."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mark: object = None
        self._look_again_at = 0.0

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Certificate chain, private key, authorities. The folder may be a link that is swapped: it is resolved once."""
        self._mark = self._state()  # before reading: what changes meanwhile is read again
        folder = self._directory.resolve()
        chain, key, authorities = (
            (folder / name).read_bytes()
            for name in ("certificate.pem", "key.pem", "authorities.pem")
        )
        return chain, key, authorities

    def have_changed(self) -> bool:
        """Whether the files differ from those read last; looks at most once a second."""
        now = time.monotonic()
        if now < self._look_again_at:
            return False
        self._look_again_at = now + _WATCH_SECONDS
        try:
            return self._state() != self._mark
        except OSError:
            return False

    def _state(self) -> object:
        folder = self._directory.resolve()
        stats = [
            os.stat(folder / name) for name in ("certificate.pem", "key.pem", "authorities.pem")
        ]
        return [(stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats]


class Channels:
    """The one channel to the mesh listener, made anew when the certificate changes."""

    def __init__(self, config: ServiceConfig) -> None:
        self._address = config.mesh_address
        self._files = CertificateFiles(config.certificate_directory)
        self._channel: grpc.aio.Channel | None = None
        self._generation = 0
        self._closing: set[asyncio.Task[None]] = set()

    def stub(self, stub_class: Callable[[grpc.aio.Channel], StubClass]) -> StubClass:
        """A stub that follows the channel. Its methods take `timeout` (seconds) and `metadata` where needed."""
        return stub_class(cast(grpc.aio.Channel, _Facade(self)))

    async def close(self) -> None:
        """Close the channel; calls under way fail."""
        for task in list(self._closing):
            task.cancel()
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def current(self) -> tuple[int, grpc.aio.Channel]:
        """The channel of now, and a number that changes with it."""
        if self._channel is None or self._files.have_changed():
            if self._channel is not None:
                task = asyncio.get_running_loop().create_task(self._close_later(self._channel))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            chain, key, authorities = self._files.read()
            self._channel = grpc.aio.secure_channel(
                self._address,
                grpc.ssl_channel_credentials(authorities, key, chain),
                options=_OPTIONS,
            )
            self._generation += 1
        return self._generation, self._channel

    async def _close_later(self, channel: grpc.aio.Channel) -> None:
        try:
            await asyncio.sleep(_CLOSE_GRACE_SECONDS)
        finally:
            await channel.close()


class _Facade:
    """What a generated stub takes for a channel."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **_: Any,
    ) -> Callable[..., Any]:
        call = _Method(
            self._channels, "unary_unary", method, request_serializer, response_deserializer
        )
        return call.unary

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **_: Any,
    ) -> Callable[..., Any]:
        call = _Method(
            self._channels, "unary_stream", method, request_serializer, response_deserializer
        )
        return call.stream

    def stream_unary(self, method: str, **_: Any) -> None:
        raise NotImplementedError(f"{method} streams requests; no contract of ours does")

    stream_stream = stream_unary


class _Method:
    """One RPC of a callee."""

    def __init__(
        self, channels: Channels, kind: str, path: str, serializer: Any, deserializer: Any
    ) -> None:
        self._channels = channels
        self._kind = kind
        self._path = path
        self._serializers = {
            "request_serializer": serializer,
            "response_deserializer": deserializer,
        }
        self._carries_user = _is_user_rpc(path)
        self._generation = 0
        self._callable: Any = None

    async def unary(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Any:
        multicallable = self._multicallable()
        with _span(self._path):
            seconds = _seconds(timeout)
            try:
                return await multicallable(
                    request, timeout=seconds, metadata=self._metadata(metadata)
                )
            except grpc.aio.AioRpcError as error:
                raise refusals.from_call_error(error) from error

    async def stream(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[Any]:
        call = self._multicallable()(request, timeout=timeout, metadata=self._metadata(metadata))
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise refusals.from_call_error(error) from error
        finally:
            call.cancel()

    def _multicallable(self) -> Any:
        generation, channel = self._channels.current()
        if generation != self._generation:
            self._callable = getattr(channel, self._kind)(self._path, **self._serializers)
            self._generation = generation
        return self._callable

    def _metadata(self, extra: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        origin = telemetry.current.get()
        headers = [*extra]
        if origin is not None:
            headers.append(("x-request-id", origin.request_id))
            if self._carries_user and origin.authorization:
                headers.append(("authorization", origin.authorization))
                headers.append(("x-hazina-tenant", origin.tenant_id))
        trace = telemetry.traceparent()
        if trace:
            headers.append(("traceparent", trace))
        return tuple(headers)


def _seconds(timeout: float | None) -> float:
    """The deadline of a call: the smaller of what was asked for and what the caller has left."""
    seconds = DEADLINE_SECONDS if timeout is None else timeout
    origin = telemetry.current.get()
    if origin is not None and origin.deadline is not None:
        left = origin.deadline - time.time() - MARGIN_SECONDS
        if left <= 0:
            raise DeadlineExceeded
        seconds = min(seconds, left) if timeout is not None else left
    return seconds


def _is_user_rpc(path: str) -> bool:
    service, _, name = path.strip("/").rpartition("/")
    try:
        method = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
    except KeyError:
        return False
    options = method.GetOptions()
    return bool(options.Extensions[policy_pb2.policy].access == policy_pb2.Policy.USER)


def _span(path: str) -> contextlib.AbstractContextManager[None]:
    if telemetry.tracer is None:
        return contextlib.nullcontext()
    return cast("contextlib.AbstractContextManager[None]", telemetry.tracer.client_span(path))
