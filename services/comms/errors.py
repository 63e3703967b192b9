"""Every refusal of the comms service. The reasons are those of `hazina.comms.v1.ErrorReason`."""

from services.kit.errors import ServiceError

__all__ = [
    "ChannelUnavailable",
    "CommsError",
    "ContactUnknown",
    "MessageExists",
    "RecipientRefused",
    "TemplateVariableMismatch",
]


class CommsError(ServiceError):
    """The comms service refused."""

    domain = "comms.hazina"


class TemplateVariableMismatch(CommsError):
    """The template lacks a variable that was given, or needs one that was not."""

    code, reason = "INVALID_ARGUMENT", "TEMPLATE_VARIABLE_MISMATCH"


class MessageExists(CommsError):
    """The message id was used for another message."""

    code, reason = "ABORTED", "MESSAGE_EXISTS"


class ChannelUnavailable(CommsError):
    """The provider of the channel cannot be reached now; repeat with the same message id."""

    code, reason = "UNAVAILABLE", "CHANNEL_UNAVAILABLE"

    def __init__(self, fault: str = "", *, retry_after_seconds: float = 1.0) -> None:
        """`fault` is a short word for the log and the message row, such as `SMTP_451`; callers do not see it."""
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.fault = fault


class RecipientRefused(CommsError):
    """The provider refuses this recipient for good."""

    code, reason = "FAILED_PRECONDITION", "RECIPIENT_REFUSED"

    def __init__(self, fault: str = "") -> None:
        """`fault` is a short word for the log and the message row, such as `SMTP_550`; callers do not see it."""
        super().__init__()
        self.fault = fault


class ContactUnknown(Exception):
    """An event came for a person whose address has not come yet; it is tried again, then parked. Never seen by callers."""
