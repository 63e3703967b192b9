"""Logs and metrics."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from services.kit import telemetry
from services.kit.config import ServiceConfig

CONFIG = ServiceConfig(
    "probe", "development", "", "", "", "", "", Path(), Path(), b"", "", 1.0, "info", None, 1.0
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(telemetry, "_lines", telemetry._Lines(stream))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_json_with_its_service_and_fields(written: io.StringIO) -> None:
    telemetry.configure(CONFIG)
    telemetry.log.warning("something", amount=5)
    line = json.loads(written.getvalue())
    assert (line["service"], line["event"], line["level"], line["amount"]) == (
        "probe",
        "something",
        "warning",
        5,
    )
    assert line["time"].endswith("Z")


def test_a_line_carries_the_request_that_it_belongs_to(written: io.StringIO) -> None:
    telemetry.configure(CONFIG)
    with telemetry.continued("", request_id="req-1"):
        telemetry.log.info("inside")
    telemetry.log.info("outside")
    inside, outside = map(json.loads, written.getvalue().splitlines())
    assert inside["request_id"] == "req-1"
    assert "request_id" not in outside


def test_lines_below_the_level_are_not_written(written: io.StringIO) -> None:
    telemetry.configure(replace(CONFIG, log_level="error"))
    telemetry.log.info("quiet")
    assert written.getvalue() == ""


def test_a_stack_is_kept_and_the_values_in_it_are_not(written: io.StringIO) -> None:
    telemetry.configure(CONFIG)
    try:
        raise ValueError("duplicate key\nDETAIL:  Key (phone)=(+254700000001) already exists.")
    except ValueError as error:
        telemetry.log.error("failed", exc_info=error)
    line = json.loads(written.getvalue())
    assert "ValueError: duplicate key" in line["exception"]
    assert "+254700000001" not in written.getvalue()


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", False),
        ("", False),
        ("00-x", False),
        ('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"', False),
    ],
)
def test_only_a_trace_context_is_one(value: str, good: bool) -> None:
    assert telemetry.is_traceparent(value) is good


def test_outcomes_are_counted_in_buckets_that_add_up(written: io.StringIO) -> None:
    meter = telemetry.RpcMeter("probe", "/unit/Test", is_audited=False)
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        meter.done("OK", "", seconds, "r", "t", "u", "c")

    def sample(name: str, **more: str) -> float | None:
        labels = {"service": "probe", "method": "/unit/Test", "code": "OK", "reason": "", **more}
        return REGISTRY.get_sample_value(f"hazina_rpc_seconds_{name}", labels)

    assert sample("count") == 4
    assert sample("sum") == pytest.approx(99.3015)
    assert [sample("bucket", le=bound) for bound in ("0.001", "0.25", "0.5", "10.0", "+Inf")] == [
        2,
        2,
        3,
        3,
        4,
    ]


def test_an_audited_rpc_says_so_in_its_line(written: io.StringIO) -> None:
    telemetry.RpcMeter("probe", "/unit/Audited", is_audited=True).done(
        "OK", "", 0.1, "r", "t", "u", "c"
    )
    assert json.loads(written.getvalue())["audited"] is True


def test_an_outage_is_told_at_its_beginning_and_its_end(written: io.StringIO) -> None:
    telemetry.configure(CONFIG)
    outage = telemetry.Outage("relay")
    for _ in range(3):
        outage.note(OSError())
    for _ in range(3):
        outage.over()
    events = [json.loads(line)["event"] for line in written.getvalue().splitlines()]
    assert events == ["relay_waits", "relay_goes_on"]
