"""One wrapper per RPC, compiled from its policy at start-up.

Duties in order: telemetry, errors, deadline, identity, policy, validation, audit, idempotency key; then the handler.
Whatever happens inside, the caller gets an answer that the contract names: never UNKNOWN, never the text of an exception.
Everything that does not depend on the call is prepared here, once.
"""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from services.kit import identity, refusals, telemetry, validation
from services.kit.audit import Audit
from services.kit.database import finish
from services.kit.errors import (
    DeadlineExceeded,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    KycTierTooLow,
    MalformedRequest,
    NotYetAvailable,
    Overloaded,
    PermissionMissing,
    RemoteRefusal,
    ServiceError,
    StepUpRequired,
    TenantNotFound,
)
from services.kit.identity import Call, Exchange, Peer, Tokens, User
from services.kit.policy import RpcPolicy, read
from services.kit.streams import Streams

__all__ = ["Context", "SessionCheck", "compile", "handlers"]

STEP_UP_SECONDS = 600
"""How long a second factor counts."""

_KEY = re.compile(r"^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:/+=-]{1,128}$")
_ADDRESS = re.compile(r"^[0-9A-Fa-f.:]{2,45}$")
_REPLAYED = (("idempotent-replayed", "true"),)
_NO_USER: User | None = None


class SessionCheck(Protocol):
    """Asks whether a session still stands. Raises SessionEnded."""

    async def check(self, user: User) -> None: ...


@dataclass(slots=True)
class Context:
    """What the wrappers of one process share."""

    service: str
    tokens: Tokens
    is_development: bool = False
    sessions: SessionCheck | None = None
    audit: Audit | None = None
    streams: Streams | None = None
    in_flight_max: int = 400
    in_flight: int = 0


def compile(  # noqa: A001
    service_full_name: str, handler_object: object, descriptor: ServiceDescriptor, context: Context
) -> grpc.GenericRpcHandler:
    """Wrap every RPC of a service. Raises PolicyMissing, naming the RPC.

    RPCs that the object does not have are refused as NOT_YET_AVAILABLE, once the caller is known to be allowed.
    """
    return grpc.method_handlers_generic_handler(
        service_full_name, handlers(handler_object, descriptor, context)
    )


def handlers(
    handler_object: object, descriptor: ServiceDescriptor, context: Context
) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    """The wrapped RPCs by name, without those of another profile. Raises PolicyMissing."""
    names = {method.name for method in descriptor.methods}
    strangers = [
        name
        for name in dir(handler_object)
        if name[0].isupper() and name not in names and callable(getattr(handler_object, name))
    ]
    if strangers:
        raise ValueError(f"{descriptor.full_name} has no RPC named {', '.join(strangers)}")
    wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in descriptor.methods:
        policy = read(method)
        if policy.is_development_only and not context.is_development:
            continue
        rpc = _Rpc(method, policy, getattr(handler_object, method.name, None), context)
        if policy.is_stream:
            wrapped[method.name] = grpc.unary_stream_rpc_method_handler(rpc.serve_stream)
        else:
            wrapped[method.name] = grpc.unary_unary_rpc_method_handler(rpc.serve)
    return wrapped


class _Facts:
    """What is known of a call for its log line, however far it came."""

    __slots__ = (
        "address",
        "caller",
        "headers",
        "path",
        "peer",
        "request_id",
        "span",
        "started",
        "tenant_id",
        "user",
        "user_id",
    )

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.request_id = ""
        self.tenant_id = ""
        self.caller = ""
        self.address = ""
        self.user: User | None = None
        self.user_id = ""
        self.headers: Mapping[str, str] = {}
        self.path = ""
        self.peer: Peer | None = None
        self.span: Any = None


class _Rpc:
    """The wrapper of one RPC."""

    def __init__(
        self,
        method: MethodDescriptor,
        policy: RpcPolicy,
        handler: Callable[..., Any] | None,
        context: Context,
    ) -> None:
        request_class: type[Message] = GetMessageClass(method.input_type)
        validation.prepare(request_class)
        self._parse = request_class.FromString
        self._policy = policy
        self._path = policy.path
        self._handler = handler
        self._context = context
        self._tokens = context.tokens
        self._is_user = policy.access == "USER"
        self._from_edge = policy.access != "SERVICE"
        self._callers = policy.callers
        self._permissions = policy.permissions
        self._timeout = policy.timeout_seconds
        self._answer_class: type[Message] = GetMessageClass(method.output_type)
        self._checks_session = policy.rate == "MONEY" and self._is_user
        self._has_tenant_field = "tenant_id" in method.input_type.fields_by_name
        self._needs_slow_checks = bool(policy.needs_step_up or policy.kyc_tier_min)
        self._meter = telemetry.RpcMeter(context.service, policy.path, is_audited=policy.is_audited)
        self._in_flight = telemetry.in_flight.labels(context.service)
        self._in_flight.set_function(lambda: context.in_flight)

    async def serve(self, data: bytes, exchange: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Serve a unary call."""
        context = self._context
        facts = _Facts()
        context.in_flight += 1
        try:
            try:
                request, call = await self._admit(data, exchange, facts)
                handler = self._handler
                assert handler is not None
                deadline = call.deadline
                if deadline is not None and self._is_uncapped(exchange, deadline):
                    answer = await _until(deadline, handler(request, call))
                else:
                    answer = await handler(request, call)
                if type(answer) is not self._answer_class:
                    raise TypeError(f"the handler answered {type(answer).__name__}")
                raw: bytes = answer.SerializeToString()
                if self._policy.is_audited:
                    await self._write_audit(facts, "OK", "")
                if call.exchange.is_replayed:
                    await exchange.send_initial_metadata(_REPLAYED)
            except asyncio.CancelledError:
                await self._note_cancelled(exchange, facts)
                raise
            except Exception as error:  # noqa: BLE001 - the catch-all of the house
                refusal = self._refusal(error, facts)
            else:
                self._note(facts, "OK", "")
                return raw
            await self._refuse(refusal, exchange, facts)
            raise AssertionError("abort raises")
        finally:
            context.in_flight -= 1

    async def serve_stream(
        self, data: bytes, exchange: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        """Serve a call that answers a stream. It has no deadline; it ends when either side ends it."""
        facts = _Facts()
        try:
            request, call = await self._admit(data, exchange, facts)
            async with contextlib.AsyncExitStack() as stack:
                if self._policy.rate == "STREAM" and self._context.streams is not None:
                    subject = str(facts.user.id) if facts.user else facts.address
                    await stack.enter_async_context(self._context.streams.slot(subject))
                assert self._handler is not None
                answers: AsyncGenerator[Message, None] = self._handler(request, call)
                await stack.enter_async_context(contextlib.aclosing(answers))
                async for answer in answers:
                    if type(answer) is not self._answer_class:
                        raise TypeError(f"the handler answered {type(answer).__name__}")
                    yield answer.SerializeToString()
            if self._policy.is_audited:
                await self._write_audit(facts, "OK", "")
        except (asyncio.CancelledError, GeneratorExit):
            self._note(facts, "CANCELLED", "CANCELLED")
            raise
        except Exception as error:  # noqa: BLE001 - the catch-all of the house
            refusal = self._refusal(error, facts)
        else:
            self._note(facts, "OK", "")
            return
        await self._refuse(refusal, exchange, facts)

    async def _admit(
        self, data: bytes, exchange: grpc.aio.ServicerContext[bytes, bytes], facts: _Facts
    ) -> tuple[Message, Call]:
        """Everything before the handler. Raises the refusal."""
        pairs: Any = exchange.invocation_metadata()
        headers: dict[str, str] = dict(pairs)
        if len(headers) != len(pairs):
            headers = _joined(pairs)
        facts.headers = headers
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.match(request_id):
            request_id = telemetry.new_request_id()
        facts.request_id = request_id
        trace = headers.get("traceparent", "")
        if trace and not telemetry.is_traceparent(trace):
            trace = ""
        if telemetry.tracer is not None:
            facts.span = telemetry.tracer.start_rpc(self._path, trace)
            trace = telemetry.tracer.traceparent()

        # deadline
        context = self._context
        if context.in_flight > context.in_flight_max:
            raise Overloaded(retry_after_seconds=1)
        remaining = exchange.time_remaining()
        timeout = self._timeout
        if timeout is None:
            deadline = None if remaining is None else time.time() + remaining
        else:
            if remaining is None or remaining > timeout:
                remaining = timeout
            if remaining <= 0:
                raise DeadlineExceeded
            deadline = time.time() + remaining

        # identity
        peer = identity.peer_of(exchange)
        facts.peer = peer
        facts.address = _address(peer, headers, exchange)
        if peer.name == "edge":  # a JSON caller knows the path that they asked for, not the RPC
            facts.path = headers.get("x-envoy-original-path", "").partition("?")[0]
        caller = identity.caller_of(peer, headers, self._callers, from_edge=self._from_edge)
        facts.caller = caller
        user: User | None = None
        authorization = ""
        tenant_id = headers.get("x-hazina-tenant", "")
        if self._is_user:
            token = identity.bearer(headers)
            user, facts.user_id = self._tokens.identify(token, tenant_id)
            facts.user = user
            tenant_id = user.tenant_id
            authorization = headers["authorization"]
        elif tenant_id and not identity.TENANT_ID.match(tenant_id):
            raise TenantNotFound
        elif not tenant_id and self._from_edge:
            tenant_id = identity.DEFAULT_TENANT
        facts.tenant_id = tenant_id

        # policy
        if user is not None:
            if not self._permissions <= user.permissions:
                missing = min(self._permissions - user.permissions)
                raise PermissionMissing(permission=missing)
            if self._needs_slow_checks:
                self._check_user(user)
            if self._checks_session and context.sessions is not None:
                await context.sessions.check(user)
        if self._handler is None:
            raise NotYetAvailable

        # validation
        try:
            request = self._parse(data)
        except (DecodeError, ValueError) as error:
            raise MalformedRequest from error
        if b"\0" in data:
            validation.refuse_nul(request)
        validation.check(request)
        if self._has_tenant_field and not self._from_edge:
            tenant_id = facts.tenant_id = request.tenant_id  # type: ignore[attr-defined]
            if tenant_id and not identity.TENANT_ID.match(tenant_id):
                raise TenantNotFound

        key, fingerprint = "", b""
        if self._policy.is_keyed:
            key = _key(headers)
            fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        call = Call(
            self._path,
            request_id,
            caller,
            user,
            tenant_id,
            facts.address,
            headers.get("user-agent", "")[:256],
            key,
            fingerprint,
            deadline,
            trace,
            authorization,
            Exchange(),
        )
        telemetry.current.set(call)
        return request, call

    def _is_uncapped(
        self, exchange: grpc.aio.ServicerContext[bytes, bytes], deadline: float
    ) -> bool:
        """Whether gRPC itself would let the call run longer than the policy does."""
        remaining = exchange.time_remaining()
        return remaining is None or time.time() + remaining > deadline + 0.05

    def _check_user(self, user: User) -> None:
        if user.kyc_tier < self._policy.kyc_tier_min:
            raise KycTierTooLow(tier=str(self._policy.kyc_tier_min))
        if self._policy.needs_step_up:
            given = user.second_factor_time
            if given is None or time.time() - given.timestamp() > STEP_UP_SECONDS:
                raise StepUpRequired

    def _refusal(self, error: Exception, facts: _Facts) -> ServiceError:
        """What the caller is told about an exception."""
        if isinstance(error, RemoteRefusal) and error.is_our_fault:
            pass
        elif isinstance(error, ServiceError) and error.code in refusals.CODES:
            return error
        telemetry.log.error(
            "rpc_failed", exc_info=error, method=self._path, request_id=facts.request_id
        )
        return refusals.Internal()

    async def _refuse(
        self, refusal: ServiceError, exchange: grpc.aio.ServicerContext[bytes, bytes], facts: _Facts
    ) -> None:
        if self._policy.is_audited:
            await self._write_audit(facts, refusal.code, refusal.reason)
        self._note(facts, refusal.code, refusal.reason)
        trailer = refusals.to_trailer(
            refusal, request_id=facts.request_id, path=facts.path or self._path
        )
        await exchange.abort(
            refusals.CODES[refusal.code],
            refusals.message_of(refusal),
            ((refusals.DETAILS, trailer),),
        )

    async def _note_cancelled(
        self, exchange: grpc.aio.ServicerContext[bytes, bytes], facts: _Facts
    ) -> None:
        remaining = exchange.time_remaining()
        code = "DEADLINE_EXCEEDED" if remaining is not None and remaining <= 0 else "CANCELLED"
        self._note(facts, code, code)
        if self._policy.is_audited:
            await self._write_audit(facts, code, code)

    def _note(self, facts: _Facts, code: str, reason: str) -> None:
        self._meter.done(
            code,
            reason,
            time.perf_counter() - facts.started,
            facts.request_id,
            facts.tenant_id,
            facts.user_id,
            facts.caller,
        )
        if facts.span is not None:
            telemetry.tracer.end_rpc(facts.span, code, reason)

    async def _write_audit(self, facts: _Facts, code: str, reason: str) -> None:
        if self._context.audit is None:
            return
        actor = (
            f"user:{facts.user.id}"
            if facts.user
            else f"service:{facts.caller}"
            if facts.caller
            else ""
        )
        writing: Awaitable[None] = self._context.audit.write(
            tenant_id=facts.tenant_id,
            method=self._path,
            actor=actor,
            address=facts.address,
            request_id=facts.request_id,
            code=code,
            reason=reason,
        )
        await finish(writing)


async def _until(deadline: float, work: Awaitable[Any]) -> Any:
    """Await the handler's work until the deadline. Raises DeadlineExceeded, and only for this deadline."""
    try:
        async with asyncio.timeout(deadline - time.time()) as timer:
            return await work
    except TimeoutError as error:
        if timer.expired():
            raise DeadlineExceeded from error
        raise


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Headers that came more than once, joined as HTTP joins them: nobody chooses which one counts."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _key(headers: Mapping[str, str]) -> str:
    key = headers.get("idempotency-key", "")
    if not key:
        raise IdempotencyKeyRequired
    if not _KEY.match(key):
        raise IdempotencyKeyInvalid
    return key


def _address(
    peer: Peer, headers: Mapping[str, str], exchange: grpc.aio.ServicerContext[bytes, bytes]
) -> str:
    """The client's address as Envoy saw it; of anybody else, the other end of the connection."""
    if peer.is_envoy:
        address = headers.get("x-envoy-external-address", "")
        if not address:
            address = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        if _ADDRESS.match(address):
            return address
    return (
        exchange.peer()
        .partition(":")[2]
        .rpartition(":")[0]
        .strip("[]")
        .replace("%5B", "")
        .replace("%5D", "")
    )
