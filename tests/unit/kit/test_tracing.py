"""Spans: one trace from the edge through a service to its database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from services.kit import telemetry, tracing
from services.kit.config import ServiceConfig
from services.kit.tracing import Tracer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracer]:
    config = ServiceConfig(
        "probe",
        "development",
        "",
        "",
        "",
        "",
        "",
        Path(),
        Path(),
        b"",
        "http://127.0.0.1:4317",
        1.0,
        "info",
        None,
        1.0,
    )
    tracer = tracing.start(config, exporter)
    monkeypatch.setattr(telemetry, "tracer", tracer)
    token = otel_context.attach(otel_context.Context())
    yield tracer
    otel_context.detach(token)
    tracer.close()


def finished(tracer: Tracer, exporter: InMemorySpanExporter) -> dict[str, Any]:
    tracer._provider.force_flush()
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_call_goes_on_with_the_callers_trace(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    span = tracer.start_rpc("/a.B/C", PARENT)
    onward = telemetry.traceparent()
    with tracer.client_span("/d.E/F"):
        pass
    tracer.end_rpc(span, "NOT_FOUND", "NOT_FOUND")
    spans = finished(tracer, exporter)
    assert onward.split("-")[1] == TRACE
    assert format(spans["a.B/C"].context.trace_id, "032x") == TRACE
    assert spans["d.E/F"].parent.span_id == spans["a.B/C"].context.span_id
    assert spans["a.B/C"].attributes["hazina.reason"] == "NOT_FOUND"
    assert spans["a.B/C"].status.is_unset, "a refusal is not a fault"


def test_a_fault_is_marked(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    tracer.end_rpc(tracer.start_rpc("/a.B/C", PARENT), "INTERNAL", "INTERNAL")
    assert not finished(tracer, exporter)["a.B/C"].status.is_ok


def test_a_callers_choice_not_to_sample_is_kept(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    span = tracer.start_rpc("/a.B/C", NOT_SAMPLED)
    assert telemetry.traceparent().endswith("-00")
    tracer.end_rpc(span, "OK", "")
    assert finished(tracer, exporter) == {}


def test_a_statement_is_a_span_without_its_values(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    span = tracer.start_rpc("/a.B/C", PARENT)
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("SELECT :secret"), {"secret": "254700000001"})
        with pytest.raises(OperationalError):
            connection.execute(text("DELETE FROM nowhere"))
    tracer.end_rpc(span, "OK", "")
    spans = finished(tracer, exporter)
    assert spans["SELECT"].parent.span_id == spans["a.B/C"].context.span_id
    assert "254700000001" not in str(spans["SELECT"].attributes)
    assert not spans["DELETE"].status.is_ok
