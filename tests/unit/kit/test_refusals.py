"""Refusals on the wire."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from hazina.type.v1 import status_pb2 as our_status_pb2
from services.kit import refusals
from services.kit.errors import (
    DeadlineExceeded,
    FieldViolation,
    NotFound,
    RateLimited,
    RemoteRefusal,
    ServiceError,
    ServiceUnavailable,
    ValidationFailed,
)


def call_error(
    code: grpc.StatusCode, trailer: bytes | None = None, details: str = ""
) -> grpc.aio.AioRpcError:
    trailers = [] if trailer is None else [(refusals.DETAILS, trailer)]
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)


def sent(error: ServiceError) -> bytes:
    return refusals.to_trailer(error, request_id="r", path="/a.B/C")


def test_a_refusal_survives_the_way_there_and_back() -> None:
    error = ValidationFailed(
        "Bad.",
        field_violations=[FieldViolation("a.b", "is bad", "rule")],
        retry_after_seconds=1.5,
        word="x",
    )
    back = refusals.from_call_error(
        call_error(grpc.StatusCode.INVALID_ARGUMENT, sent(error), "Bad.")
    )
    assert isinstance(back, RemoteRefusal)
    assert (back.code, back.reason, back.domain, back.message) == (
        "INVALID_ARGUMENT",
        "VALIDATION_FAILED",
        "hazina",
        "Bad.",
    )
    assert back.field_violations == error.field_violations
    assert (back.retry_after_seconds, back.metadata) == (
        1.5,
        {"word": "x", "retryAfterSeconds": "2"},
    )


def test_every_grpc_client_reads_it_as_a_status() -> None:
    status = status_pb2.Status.FromString(sent(RateLimited(retry_after_seconds=2)))
    kinds = [detail.type_url.rpartition(".")[2] for detail in status.details]
    assert (status.code, kinds) == (8, ["ErrorInfo", "RetryInfo"])
    retry = error_details_pb2.RetryInfo()
    status.details[1].Unpack(retry)
    assert retry.retry_delay.ToSeconds() == 2


def test_the_flat_fields_say_the_same_as_the_details() -> None:
    flat = our_status_pb2.Status.FromString(
        sent(ValidationFailed(field_violations=[FieldViolation("a", "b", "c")]))
    )
    bad_request = error_details_pb2.BadRequest()
    assert flat.details[1].Unpack(bad_request)
    [one], [other] = flat.field_violations, bad_request.field_violations
    assert (
        (one.field, one.description, one.reason)
        == (other.field, other.description, other.reason)
        == ("a", "b", "c")
    )


def test_no_refusal_is_too_large_for_a_trailer() -> None:
    """Clients drop trailers beyond 8 KiB, and with them the reason."""
    long = "é" * 10_000
    error = ValidationFailed(
        long,
        field_violations=[FieldViolation(f"items[{n}].{long}", long, long) for n in range(1000)],
        **{f"note{n}": long for n in range(100)},  # type: ignore[arg-type]
    )
    assert len(sent(error)) <= 4500
    ascii_error = ValidationFailed(
        field_violations=[
            FieldViolation(
                f"lineItems[{n}].itemName", "must be at most 140 characters", "string.max_len"
            )
            for n in range(1000)
        ]
    )
    assert len(sent(ascii_error)) <= 4500
    assert len(our_status_pb2.Status.FromString(sent(ascii_error)).field_violations) == 10


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServiceUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    ],
)
def test_a_failure_without_details_is_a_fault_of_the_moment(
    code: grpc.StatusCode, refusal: type[ServiceError]
) -> None:
    assert type(refusals.from_call_error(call_error(code))) is refusal


def test_any_other_failure_without_details_is_ours() -> None:
    error = refusals.from_call_error(call_error(grpc.StatusCode.UNIMPLEMENTED))
    assert isinstance(error, RemoteRefusal) and error.is_our_fault


def test_a_trailer_that_is_no_status_is_not_believed() -> None:
    error = refusals.from_call_error(call_error(grpc.StatusCode.UNAVAILABLE, b"\xff\xff"))
    assert type(error) is ServiceUnavailable


def test_the_domain_of_a_service_is_kept() -> None:
    class Elsewhere(NotFound):
        """Gone."""

        domain = "wallet.hazina"

    flat = our_status_pb2.Status.FromString(sent(Elsewhere()))
    assert (flat.domain, flat.message) == ("wallet.hazina", "Gone.")
