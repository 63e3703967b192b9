"""Spans for RPCs, outgoing calls and SQL. Loaded only where an OTLP endpoint is configured."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.kit.config import ServiceConfig

__all__ = ["Tracer", "start"]

_SPANS = "hazina.spans"
_propagator = TraceContextTextMapPropagator()
_FAULTS = frozenset({"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "DATA_LOSS"})


class Tracer:
    """Starts and ends the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("hazina")

    def start_rpc(self, path: str, traceparent: str) -> Any:
        """Start the span of an incoming call and make it the current one. The call's task ends with the call."""
        parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(path[1:], context=parent, kind=SpanKind.SERVER)
        service, _, method = path[1:].partition("/")
        span.set_attributes({"rpc.system": "grpc", "rpc.service": service, "rpc.method": method})
        otel_context.attach(trace.set_span_in_context(span))
        return span

    def end_rpc(self, span: Any, code: str, reason: str) -> None:
        """End it with the outcome."""
        span.set_attribute("rpc.grpc.status", code)
        if reason:
            span.set_attribute("hazina.reason", reason)
        if code in _FAULTS:
            span.set_status(Status(StatusCode.ERROR, reason))
        span.end()

    @contextlib.contextmanager
    def client_span(self, path: str) -> Iterator[None]:
        """The span of an outgoing call."""
        with self._tracer.start_as_current_span(path[1:], kind=SpanKind.CLIENT):
            yield

    def traceparent(self) -> str:
        """The W3C trace context of the current span, or nothing."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def watch_sql(self) -> None:
        """A span for every statement of every engine: its text with placeholders, never its values."""
        for name, listener in self._listeners().items():
            event.listen(Engine, name, listener)

    def close(self) -> None:
        """Send what is left and watch no more."""
        for name, listener in self._listeners().items():
            event.remove(Engine, name, listener)
        self._provider.shutdown()

    def _listeners(self) -> dict[str, Callable[..., None]]:
        return {
            "before_cursor_execute": self._statement_begins,
            "after_cursor_execute": self._statement_ends,
            "handle_error": self._statement_fails,
        }

    def _statement_begins(self, connection: Any, _: Any, statement: str, *__: Any) -> None:
        span = self._tracer.start_span(statement.split(None, 1)[0], kind=SpanKind.CLIENT)
        span.set_attributes({"db.system": "postgresql", "db.statement": statement[:1000]})
        connection.info.setdefault(_SPANS, []).append(span)

    def _statement_ends(self, connection: Any, *_: Any) -> None:
        connection.info[_SPANS].pop().end()

    def _statement_fails(self, error: Any) -> None:
        spans = error.connection.info.get(_SPANS) if error.connection is not None else None
        if spans:
            span = spans.pop()
            span.set_status(Status(StatusCode.ERROR, type(error.original_exception).__name__))
            span.end()


def start(config: ServiceConfig, exporter: SpanExporter | None = None) -> Tracer:
    """The tracer of this process: keeps a parent's decision, and of new traces the configured ratio."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"hazina-{config.name}"}),
        sampler=ParentBasedTraceIdRatio(config.trace_ratio),
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter
            or OTLPSpanExporter(
                endpoint=config.otlp_endpoint, insecure=not config.otlp_endpoint.startswith("https")
            )
        )
    )
    tracer = Tracer(provider)
    tracer.watch_sql()
    return tracer
