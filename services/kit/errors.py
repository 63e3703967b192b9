"""Refusals: what a caller can be told, as classes.

A service declares a root class with its own `domain` and one class per reason below it. The RPC wrapper turns any
`ServiceError` into a gRPC status; every other exception becomes INTERNAL and tells nothing.
Standard library only: `domain.py` of any service may raise these.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

__all__ = [
    "AccessDenied",
    "CallerNotAllowed",
    "CredentialsMissing",
    "DeadlineExceeded",
    "FieldViolation",
    "IdempotencyKeyInFlight",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "KycTierTooLow",
    "MalformedRequest",
    "NotFound",
    "NotYetAvailable",
    "Overloaded",
    "PageTokenInvalid",
    "PermissionMissing",
    "RateLimited",
    "RemoteRefusal",
    "ServiceError",
    "ServiceUnavailable",
    "SessionEnded",
    "StepUpRequired",
    "TenantNotFound",
    "TokenExpired",
    "TokenInvalid",
    "TooManyStreams",
    "ValidationFailed",
]


class FieldViolation(NamedTuple):
    """One field that breaks a rule: its path as JSON callers write it, what is wrong, and the id of the rule."""

    field: str
    description: str
    reason: str = ""


class ServiceError(Exception):
    """The call was refused.

    `code` is the name of a gRPC code, `reason` a value of an `ErrorReason` of the contracts, `domain` who defines it.
    Keyword arguments become metadata: every varying word of the message, as text. Nothing secret belongs there.
    """

    code: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL"
    domain: ClassVar[str] = "hazina"

    def __init__(
        self,
        message: str | None = None,
        *,
        field_violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
        **metadata: str,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.field_violations = tuple(field_violations)
        self.retry_after_seconds = retry_after_seconds
        self.metadata = metadata
        super().__init__(self.message)


class ValidationFailed(ServiceError):
    """The request breaks a rule of the contract."""

    code, reason = "INVALID_ARGUMENT", "VALIDATION_FAILED"


class MalformedRequest(ServiceError):
    """The bytes are not a message of this RPC."""

    code, reason = "INVALID_ARGUMENT", "MALFORMED_REQUEST"


class PageTokenInvalid(ServiceError):
    """The page token was changed, or belongs to another list."""

    code, reason = "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"


class IdempotencyKeyRequired(ServiceError):
    """This call needs an Idempotency-Key."""

    code, reason = "INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"


class IdempotencyKeyInvalid(ServiceError):
    """The Idempotency-Key must be 1 to 255 printable ASCII characters."""

    code, reason = "INVALID_ARGUMENT", "IDEMPOTENCY_KEY_INVALID"


class IdempotencyKeyReused(ServiceError):
    """The Idempotency-Key was used before with other content."""

    code, reason = "ABORTED", "IDEMPOTENCY_KEY_REUSED"


class IdempotencyKeyInFlight(ServiceError):
    """The first call with this Idempotency-Key is still under way; repeat it."""

    code, reason = "UNAVAILABLE", "IDEMPOTENCY_KEY_IN_FLIGHT"


class CredentialsMissing(ServiceError):
    """Sign in first."""

    code, reason = "UNAUTHENTICATED", "CREDENTIALS_MISSING"


class TokenInvalid(ServiceError):
    """The access token is not valid."""

    code, reason = "UNAUTHENTICATED", "TOKEN_INVALID"


class TokenExpired(ServiceError):
    """The access token has expired; refresh it."""

    code, reason = "UNAUTHENTICATED", "TOKEN_EXPIRED"


class SessionEnded(ServiceError):
    """The session was ended; sign in again."""

    code, reason = "UNAUTHENTICATED", "SESSION_ENDED"


class PermissionMissing(ServiceError):
    """A permission is missing."""

    code, reason = "PERMISSION_DENIED", "PERMISSION_MISSING"


class CallerNotAllowed(ServiceError):
    """This identity may not call this RPC."""

    code, reason = "PERMISSION_DENIED", "CALLER_NOT_ALLOWED"


class AccessDenied(ServiceError):
    """This RPC is not reachable from here."""

    code, reason = "PERMISSION_DENIED", "ACCESS_DENIED"


class StepUpRequired(ServiceError):
    """Give a second factor again: the last one is more than 10 minutes old."""

    code, reason = "PERMISSION_DENIED", "STEP_UP_REQUIRED"


class KycTierTooLow(ServiceError):
    """A higher KYC tier is needed."""

    code, reason = "PERMISSION_DENIED", "KYC_TIER_TOO_LOW"


class NotFound(ServiceError):
    """There is no such thing."""

    code, reason = "NOT_FOUND", "NOT_FOUND"


class TenantNotFound(ServiceError):
    """There is no such tenant."""

    code, reason = "NOT_FOUND", "TENANT_NOT_FOUND"


class RateLimited(ServiceError):
    """Too many calls; wait and repeat."""

    code, reason = "RESOURCE_EXHAUSTED", "RATE_LIMITED"


class Overloaded(ServiceError):
    """The service does as much as it can; wait and repeat."""

    code, reason = "RESOURCE_EXHAUSTED", "OVERLOADED"


class DeadlineExceeded(ServiceError):
    """The deadline passed; repeat with the same key to learn the outcome."""

    code, reason = "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"


class ServiceUnavailable(ServiceError):
    """A part that is needed cannot be reached; repeat."""

    code, reason = "UNAVAILABLE", "SERVICE_UNAVAILABLE"


class NotYetAvailable(ServiceError):
    """This is in the contract and not yet available."""

    code, reason = "UNIMPLEMENTED", "NOT_YET_AVAILABLE"


class TooManyStreams(ServiceError):
    """Too many streams are open; close one."""

    code, reason = "RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS"


class RemoteRefusal(ServiceError):
    """Another service refused.

    `code`, `reason`, `domain` and `metadata` are the callee's. Raised on, it reaches the caller as it came, unless it
    speaks of us rather than of the caller (see `is_our_fault`).
    """

    def __init__(
        self,
        code: str,
        reason: str,
        metadata: dict[str, str] | None = None,
        *,
        domain: str = "hazina",
        message: str = "",
        field_violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(
            message or reason,
            field_violations=field_violations,
            retry_after_seconds=retry_after_seconds,
        )
        self.metadata = dict(metadata or {})  # not as keywords: the callee may use any name
        self.code = code  # type: ignore[misc]  # the one class whose code belongs to the instance
        self.reason = reason  # type: ignore[misc]
        self.domain = domain  # type: ignore[misc]

    @property
    def is_our_fault(self) -> bool:
        """Whether the callee complains about our call rather than about what the caller asked for."""
        return self.domain == "hazina" and self.reason in _FAULTS_OF_THE_CALLING_SERVICE


_FAULTS_OF_THE_CALLING_SERVICE = frozenset(
    {
        "ACCESS_DENIED",
        "CALLER_NOT_ALLOWED",
        "CREDENTIALS_MISSING",
        "IDEMPOTENCY_KEY_INVALID",
        "IDEMPOTENCY_KEY_REQUIRED",
        "INTERNAL",
        "MALFORMED_REQUEST",
        "VALIDATION_FAILED",
    }
)
