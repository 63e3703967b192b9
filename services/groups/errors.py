"""Refusals of the groups service. The reasons are those of `hazina.groups.v1.ErrorReason`."""

from services.kit.errors import ServiceError

__all__ = [
    "AlreadyDecided",
    "AlreadyMember",
    "AmountNotPayable",
    "AmountOutOfRange",
    "AmountOverflow",
    "ApprovalPolicyInvalid",
    "ContributionStateInvalid",
    "CurrencyMismatch",
    "EtagMismatch",
    "GroupsError",
    "HoldExpired",
    "InsufficientFunds",
    "InvitationClosed",
    "LastOwner",
    "MemberNotSettled",
    "PhoneInvalid",
    "RailNotAvailable",
    "RecipientIsSource",
    "RecipientNotFound",
    "RequesterRequired",
    "RoleNotAllowed",
    "TransactionTooOld",
    "WalletFrozen",
    "WalletNotFound",
    "WithdrawalNotApproved",
    "WithdrawalStateInvalid",
    "refusal_of",
]


class GroupsError(ServiceError):
    """The groups service refused."""

    domain = "groups.hazina"


class RoleNotAllowed(GroupsError):
    """Your role in the group does not allow this."""

    code, reason = "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"


class AlreadyMember(GroupsError):
    """The person belongs to the group already."""

    code, reason = "ALREADY_EXISTS", "ALREADY_MEMBER"


class InvitationClosed(GroupsError):
    """The invitation was accepted, declined, revoked or is too old."""

    code, reason = "FAILED_PRECONDITION", "INVITATION_CLOSED"


class LastOwner(GroupsError):
    """The last owner cannot leave or be changed; make another owner first."""

    code, reason = "FAILED_PRECONDITION", "LAST_OWNER"


class WithdrawalStateInvalid(GroupsError):
    """The withdrawal is not in a state that allows this move."""

    code, reason = "FAILED_PRECONDITION", "WITHDRAWAL_STATE_INVALID"


class WithdrawalNotApproved(GroupsError):
    """The withdrawal lacks approvals, or was executed before."""

    code, reason = "FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"


class HoldExpired(GroupsError):
    """The 24 hours of the withdrawal are over, and the money is free again."""

    code, reason = "FAILED_PRECONDITION", "HOLD_EXPIRED"


class AlreadyDecided(GroupsError):
    """You have approved or rejected it before."""

    code, reason = "FAILED_PRECONDITION", "ALREADY_DECIDED"


class RequesterRequired(GroupsError):
    """Only who asked for the withdrawal may do this."""

    code, reason = "PERMISSION_DENIED", "REQUESTER_REQUIRED"


class InsufficientFunds(GroupsError):
    """The wallet that would pay holds too little."""

    code, reason = "FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"


class CurrencyMismatch(GroupsError):
    """The amount is not in the currency of the group, or the wallet is not."""

    code, reason = "INVALID_ARGUMENT", "CURRENCY_MISMATCH"


class RecipientNotFound(GroupsError):
    """Nobody here can be paid under this name."""

    code, reason = "NOT_FOUND", "RECIPIENT_NOT_FOUND"


class RecipientIsSource(GroupsError):
    """The group's wallet cannot pay itself."""

    code, reason = "INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"


class ContributionStateInvalid(GroupsError):
    """The contribution does not wait for your confirmation."""

    code, reason = "FAILED_PRECONDITION", "CONTRIBUTION_STATE_INVALID"


class EtagMismatch(GroupsError):
    """The group changed since it was read; read it again."""

    code, reason = "ABORTED", "ETAG_MISMATCH"


class MemberNotSettled(GroupsError):
    """Something of the member is under way, or they have no wallet to be paid to."""

    code, reason = "FAILED_PRECONDITION", "MEMBER_NOT_SETTLED"


class ApprovalPolicyInvalid(GroupsError):
    """The rules of approval contradict themselves."""

    code, reason = "INVALID_ARGUMENT", "APPROVAL_POLICY_INVALID"


class WalletNotFound(GroupsError):
    """There is no such wallet of yours."""

    code, reason = "NOT_FOUND", "WALLET_NOT_FOUND"


class WalletFrozen(GroupsError):
    """The wallet that would pay is frozen."""

    code, reason = "FAILED_PRECONDITION", "WALLET_FROZEN"


class AmountNotPayable(GroupsError):
    """Mobile money cannot move this amount."""

    code, reason = "INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE"


class AmountOutOfRange(GroupsError):
    """The amount is outside the limits of mobile money."""

    code, reason = "INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"


class AmountOverflow(GroupsError):
    """The amount is too large."""

    code, reason = "OUT_OF_RANGE", "AMOUNT_OVERFLOW"


class RailNotAvailable(GroupsError):
    """Mobile money is not installed here, or not for this currency."""

    code, reason = "UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"


class PhoneInvalid(GroupsError):
    """Mobile money does not reach this phone number."""

    code, reason = "INVALID_ARGUMENT", "PHONE_INVALID"


class TransactionTooOld(GroupsError):
    """It could not be carried out within a day and was given up; nothing moved."""

    code, reason = "FAILED_PRECONDITION", "TRANSACTION_TOO_OLD"


_MONEY_REFUSALS: dict[str, type[GroupsError]] = {
    refusal.reason: refusal
    for refusal in (
        AmountNotPayable,
        AmountOutOfRange,
        AmountOverflow,
        CurrencyMismatch,
        HoldExpired,
        InsufficientFunds,
        PhoneInvalid,
        RailNotAvailable,
        RecipientIsSource,
        RecipientNotFound,
        TransactionTooOld,
        WalletFrozen,
        WalletNotFound,
    )
}


def refusal_of(reason: str, message: str | None = None) -> GroupsError | None:
    """The refusal that money of a group failed with; None for a failure that came later, such as a provider's."""
    known = _MONEY_REFUSALS.get(reason)
    return None if known is None else known(message)
