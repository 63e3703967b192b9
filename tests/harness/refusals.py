"""Asserting a refusal by what the contract promises: code, reason, fields, metadata."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from services.kit import refusals
from services.kit.errors import ServiceError


@dataclass
class Refusal:
    """What was refused; filled when the block has ended."""

    code: str = ""
    reason: str = ""
    domain: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None


@contextmanager
def assert_refused(code: str, reason: str, field: str | None = None) -> Iterator[Refusal]:
    """The block must end in a refusal with this gRPC code and reason, and blame `field` (JSON path) if one is given.

    Works for calls through a stub and for operations called directly.
    """
    found = Refusal()
    try:
        yield found
    except grpc.aio.AioRpcError as error:
        refusal = refusals.from_call_error(error)
        trailers = {key for key, _ in error.trailing_metadata() or ()}
        if refusals.DETAILS not in trailers:
            raise AssertionError(
                f"the refusal has no details: {error.code().name} {error.details()}"
            ) from error
    except ServiceError as error:
        refusal = error
    else:
        raise AssertionError(f"expected {code} / {reason}, but the call succeeded")
    found.code, found.reason, found.domain = refusal.code, refusal.reason, refusal.domain
    found.message, found.metadata = refusal.message, refusal.metadata
    found.fields = {one.field: one.reason for one in refusal.field_violations}
    found.retry_after_seconds = refusal.retry_after_seconds
    assert (found.code, found.reason) == (code, reason), f"{found}"
    if field is not None:
        assert field in found.fields, f"no violation names {field}: {found.fields}"
