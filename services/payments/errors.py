"""Every refusal of the payments service. The reasons are those of `payments_errors.proto`."""

from services.kit.errors import ServiceError, ServiceUnavailable

__all__ = [
    "AmountNotPayable",
    "AmountOutOfRange",
    "AmountOverflow",
    "CurrencyMismatch",
    "FeeScheduleInvalid",
    "HoldExpired",
    "InsufficientFunds",
    "PaymentsError",
    "PhoneInvalid",
    "ProviderSilent",
    "RailNotAvailable",
    "RecipientIsSource",
    "RecipientNotFound",
    "ReviewAlreadyProposed",
    "ReviewClosed",
    "SecondPersonRequired",
    "TransactionExists",
    "TransactionNotInReview",
    "TransactionNotReversible",
    "TransactionTooOld",
    "WalletFrozen",
    "WalletNotFound",
    "refusal_of",
]


class PaymentsError(ServiceError):
    """The payments service refused."""

    domain = "payments.hazina"


class InsufficientFunds(PaymentsError):
    """The wallet holds too little for amount and fee."""

    code, reason = "FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"


class WalletNotFound(PaymentsError):
    """There is no such wallet."""

    code, reason = "NOT_FOUND", "WALLET_NOT_FOUND"


class WalletFrozen(PaymentsError):
    """The wallet is frozen."""

    code, reason = "FAILED_PRECONDITION", "WALLET_FROZEN"


class RecipientNotFound(PaymentsError):
    """Nobody here can be paid under this name."""

    code, reason = "NOT_FOUND", "RECIPIENT_NOT_FOUND"


class RecipientIsSource(PaymentsError):
    """A wallet cannot pay itself."""

    code, reason = "INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"


class CurrencyMismatch(PaymentsError):
    """The amount is not in the currency of the wallet."""

    code, reason = "INVALID_ARGUMENT", "CURRENCY_MISMATCH"


class AmountNotPayable(PaymentsError):
    """The rail cannot move this amount."""

    code, reason = "INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE"


class AmountOutOfRange(PaymentsError):
    """The amount is outside the limits of the rail."""

    code, reason = "INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"


class AmountOverflow(PaymentsError):
    """Amount and fee together are too large."""

    code, reason = "OUT_OF_RANGE", "AMOUNT_OVERFLOW"


class RailNotAvailable(PaymentsError):
    """This way in or out is not installed here."""

    code, reason = "UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"


class PhoneInvalid(PaymentsError):
    """Mobile money does not reach this phone number."""

    code, reason = "INVALID_ARGUMENT", "PHONE_INVALID"


class HoldExpired(PaymentsError):
    """The held money was released before it was paid out."""

    code, reason = "FAILED_PRECONDITION", "HOLD_EXPIRED"


class TransactionTooOld(PaymentsError):
    """The transaction could not be carried out within a day and was given up; nothing moved."""

    code, reason = "FAILED_PRECONDITION", "TRANSACTION_TOO_OLD"


class TransactionExists(PaymentsError):
    """The id belongs to another transaction."""

    code, reason = "ALREADY_EXISTS", "TRANSACTION_EXISTS"


class TransactionNotInReview(PaymentsError):
    """The transaction does not wait for a person."""

    code, reason = "FAILED_PRECONDITION", "TRANSACTION_NOT_IN_REVIEW"


class TransactionNotReversible(PaymentsError):
    """Only a completed transaction that was not undone can be reversed."""

    code, reason = "FAILED_PRECONDITION", "TRANSACTION_NOT_REVERSIBLE"


class ReviewAlreadyProposed(PaymentsError):
    """Another proposal for this transaction waits for confirmation."""

    code, reason = "FAILED_PRECONDITION", "REVIEW_ALREADY_PROPOSED"


class SecondPersonRequired(PaymentsError):
    """Who proposed cannot confirm; a second person must."""

    code, reason = "PERMISSION_DENIED", "SECOND_PERSON_REQUIRED"


class ReviewClosed(PaymentsError):
    """The proposal was confirmed, rejected or overtaken."""

    code, reason = "FAILED_PRECONDITION", "REVIEW_CLOSED"


class FeeScheduleInvalid(PaymentsError):
    """The minimum of a fee is above its maximum."""

    code, reason = "INVALID_ARGUMENT", "FEE_SCHEDULE_INVALID"


class ProviderSilent(ServiceUnavailable):
    """The provider gave no answer that says whether it took the request."""


_LEDGER_REFUSALS: dict[str, type[PaymentsError]] = {
    refusal.reason: refusal
    for refusal in (
        InsufficientFunds,
        WalletFrozen,
        WalletNotFound,
        RecipientNotFound,
        RecipientIsSource,
        CurrencyMismatch,
        AmountOverflow,
        HoldExpired,
        TransactionTooOld,
    )
}


def refusal_of(reason: str) -> PaymentsError:
    """The refusal that a transaction failed with; repeats of the call get the same one."""
    return _LEDGER_REFUSALS[reason]()
