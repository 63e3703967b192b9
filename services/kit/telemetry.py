"""Logs, metrics and traces.

Every RPC is one JSON line on standard output and one observation on `/metrics`. Lines hold ids and outcomes, never
bodies, names, phone numbers or tokens. Spans exist only when an OTLP endpoint is configured.
"""

import asyncio
import atexit
import contextlib
import json
import logging
import re
import secrets
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

from services.kit.config import ServiceConfig

__all__ = [
    "Background",
    "configure",
    "connections_in_use",
    "continued",
    "current",
    "events_handled",
    "events_parked",
    "events_published",
    "flush",
    "in_flight",
    "is_traceparent",
    "job_seconds",
    "log",
    "new_request_id",
    "Origin",
    "Outage",
    "outbox_waiting",
    "RpcMeter",
    "traceparent",
    "tracer",
]

log: Any = structlog.get_logger()

in_flight = Gauge("hazina_rpc_in_flight", "RPCs that are being served", ["service"])
events_parked = Counter(
    "hazina_events_parked_total", "Events given up to the dead-letter stream", ["service"]
)
events_handled = Counter(
    "hazina_events_handled_total",
    "Events that were read, by outcome",
    ["service", "type", "outcome"],
)
events_published = Counter(
    "hazina_events_published_total", "Events put into the stream", ["service"]
)
outbox_waiting = Gauge(
    "hazina_outbox_waiting", "Events that are not in the stream yet", ["service"]
)
job_seconds = Histogram(
    "hazina_job_seconds", "How long job runs took, by outcome", ["service", "job", "outcome"]
)
connections_in_use = Gauge(
    "hazina_database_connections_in_use", "Connections taken from a pool", ["application"]
)

_DETAIL = re.compile(r"DETAIL:.*")
_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


class Origin(Protocol):
    """What an outgoing call inherits from the work that makes it."""

    @property
    def request_id(self) -> str: ...
    @property
    def traceparent(self) -> str: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def authorization(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Background:
    """The origin of work that no call waits for: events and jobs."""

    request_id: str
    traceparent: str = ""
    deadline: float | None = None
    authorization: str = ""
    tenant_id: str = ""


current: ContextVar[Origin | None] = ContextVar("current", default=None)
"""The call, event or job that is being served."""


def traceparent() -> str:
    """The W3C trace context to hand on, or nothing."""
    if tracer is not None:
        return str(tracer.traceparent())
    origin = current.get()
    return origin.traceparent if origin is not None else ""


def is_traceparent(value: str) -> bool:
    """Whether a header is a W3C trace context of version 00."""
    return _TRACEPARENT.match(value) is not None


@contextlib.contextmanager
def continued(trace: str, *, request_id: str) -> Iterator[None]:
    """Serve an event or a job: its calls carry this request id and go on with this trace."""
    token = current.set(Background(request_id=request_id, traceparent=trace))
    try:
        yield
    finally:
        current.reset(token)


def new_request_id() -> str:
    """A fresh request id, for calls that came without one."""
    return secrets.token_hex(16)


class Outage:
    """Logs when work must wait for a part that is away, and when it goes on; not each try in between."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._since: float | None = None

    def note(self, error: BaseException) -> None:
        """A try failed."""
        if self._since is None:
            self._since = time.monotonic()
            log.warning(f"{self._work}_waits", fault=type(error).__name__)

    def over(self) -> None:
        """A try went well."""
        if self._since is not None:
            log.warning(f"{self._work}_goes_on", seconds=round(time.monotonic() - self._since, 1))
            self._since = None


class _Lines:
    """Collects lines and writes them together, 20 ms later at most."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._is_waiting = False

    def add(self, line: str) -> None:
        self._lines.append(line)
        if self._is_waiting:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._is_waiting = True
        loop.call_later(0.02, self.flush)

    def flush(self) -> None:
        self._is_waiting = False
        if self._lines:
            lines, self._lines = self._lines, []
            with contextlib.suppress(
                ValueError, OSError
            ):  # standard output is closed: nobody reads us any more
                self._stream.write("".join(lines))
                self._stream.flush()


_lines = _Lines(sys.stdout)
atexit.register(_lines.flush)


def flush() -> None:
    """Write what is still held back."""
    _lines.flush()


_second = 0
_second_text = ""


def _timestamp(now: float) -> str:
    """RFC 3339 with milliseconds; the part down to the second is formatted once a second."""
    global _second, _second_text
    second = int(now)
    if second != _second:
        _second, _second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_second_text}.{int((now - second) * 1000):03d}Z"


class _Outcome:
    """One way that calls of one RPC ended: how often and how fast, and its part of the log line."""

    __slots__ = ("counts", "labels", "line", "seconds")

    def __init__(self, labels: list[str], line: str) -> None:
        self.labels = labels
        self.line = line
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.seconds = 0.0


class _RpcSeconds(Collector):
    """`hazina_rpc_seconds`. Kept by hand because a counter behind a lock costs as much as a third of the wrapper."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, ...], _Outcome] = {}

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "hazina_rpc_seconds",
            "How long RPCs took, by outcome",
            labels=["service", "method", "code", "reason"],
        )
        for outcome in list(self.outcomes.values()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, _BUCKETS), "+Inf"), outcome.counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric(outcome.labels, buckets, sum_value=outcome.seconds)
        yield family


_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_rpc_seconds = _RpcSeconds()
REGISTRY.register(_rpc_seconds)


class RpcMeter:
    """Counts and logs the outcomes of one RPC; everything that can be prepared is."""

    def __init__(self, service: str, method: str, *, is_audited: bool) -> None:
        self._service = service
        self._method = method
        self._head = (
            f'"level":"info","event":"rpc","service":{json.dumps(service)},"method":{json.dumps(method)},'
            + ('"audited":true,' if is_audited else "")
        )
        self._outcomes: dict[tuple[str, str], _Outcome] = {}

    def done(
        self,
        code: str,
        reason: str,
        seconds: float,
        request_id: str,
        tenant_id: str,
        user_id: str,
        caller: str,
    ) -> None:
        """Note one outcome. The ids were checked before: none of them needs escaping."""
        outcome = self._outcomes.get((code, reason)) or self._outcome(code, reason)
        outcome.counts[bisect_left(_BUCKETS, seconds)] += 1
        outcome.seconds += seconds
        _lines.add(
            f'{{"time":"{_timestamp(time.time())}",{self._head}"request_id":"{request_id}","tenant":"{tenant_id}",'
            f'"user":"{user_id}","caller":"{caller}",{outcome.line}"duration_ms":{seconds * 1000:.2f}}}\n'
        )

    def _outcome(self, code: str, reason: str) -> _Outcome:
        labels = [self._service, self._method, code, reason]
        line = f'"code":{json.dumps(code)},"reason":{json.dumps(reason)},'
        # Two servers in one process (tests) share what they count, as they share the registry.
        outcome = _rpc_seconds.outcomes.setdefault(tuple(labels), _Outcome(labels, line))
        self._outcomes[code, reason] = outcome
        return outcome


def configure(config: ServiceConfig) -> None:
    """Set up logging and, if an OTLP endpoint is given, tracing. Once per process."""
    level = logging.getLevelNamesMapping().get(config.log_level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_request_id,
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            _withhold_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(config.name),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _withhold_values,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    if config.otlp_endpoint:
        from services.kit import (
            tracing,
        )  # the exporter is heavy: loaded only where spans are wanted

        global tracer  # noqa: PLW0603 - a process has one
        tracer = tracing.start(config)


tracer: Any = None
"""The process's tracer (`services.kit.tracing.Tracer`), or None: then there are no spans."""


class _LineLogger:
    """Writes finished lines in one order with the lines of RPCs."""

    def __init__(self, service: str) -> None:
        self._service = json.dumps(service)

    def msg(self, line: str) -> None:
        _lines.add(f'{{"service":{self._service},{line[1:]}\n')

    debug = info = warning = error = critical = exception = fatal = log = msg


def _add_request_id(_: Any, __: str, event: Any) -> Any:
    origin = current.get()
    if origin is not None:
        event.setdefault("request_id", origin.request_id)
    return event


def _withhold_values(_: Any, __: str, event: Any) -> Any:
    """Postgres explains violations with the values of the row, which may be somebody's phone number."""
    if "exception" in event:
        event["exception"] = _DETAIL.sub("DETAIL: (withheld)", event["exception"])
    return event
