"""Every refusal of a whole call. What a single transfer is refused for is a value of `domain.Refusal`, told in its verdict."""

from services.kit.errors import ServiceError


class WalletError(ServiceError):
    """The wallet service refused."""

    domain = "wallet.hazina"


class AccountExists(WalletError):
    """An account of the same owner, kind and currency exists with another id."""

    code, reason = "ALREADY_EXISTS", "ACCOUNT_EXISTS"


class PeriodEndInvalid(WalletError):
    """The end of a period lies in the future, or before the end of the last closed one."""

    code, reason = "FAILED_PRECONDITION", "PERIOD_END_INVALID"


class AmountOverflow(WalletError):
    """A sum leaves the range of int64."""

    code, reason = "OUT_OF_RANGE", "AMOUNT_OVERFLOW"
