"""Money that people see, by `hazina.payments.v1.GroupPaymentService`. Ids make repeating harmless."""

from collections.abc import Awaitable
from typing import Any

from hazina.payments.v1 import (
    group_payment_service_pb2,
    group_payment_service_pb2_grpc,
    payment_service_pb2,
    transaction_pb2,
)
from hazina.type.v1 import money_pb2
from services.groups.domain import Contribution, Destination, Group, Told, Withdrawal
from services.kit import telemetry
from services.kit.channels import Channels
from services.kit.errors import RemoteRefusal, ServiceUnavailable

__all__ = ["PaymentsClient", "told"]

_DOMAIN = "payments.hazina"
_PASSING = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"})


class PaymentsClient:
    """Has contributions and payouts moved."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(group_payment_service_pb2_grpc.GroupPaymentServiceStub)

    async def contribute(self, group: Group, contribution: Contribution) -> Told:
        """Have a member's contribution moved."""
        request = group_payment_service_pb2.CreateContributionRequest(
            tenant_id=contribution.tenant_id,
            transaction_id=str(contribution.id),
            user_id=str(contribution.user_id),
            group_wallet_id=str(group.wallet_id),
            amount=_money(contribution.currency, contribution.amount_minor),
        )
        if contribution.source_wallet_id is not None:
            request.source_wallet_id = str(contribution.source_wallet_id)
        else:
            request.mobile_money.phone = contribution.phone
        return await _told(self._stub.CreateContribution(request))

    async def check_payout(self, group: Group, amount_minor: int, destination: Destination) -> Told:
        """Whether a payout could be carried out at all: FAILED with the reason if not."""
        request = group_payment_service_pb2.PreviewGroupPayoutRequest(
            tenant_id=group.tenant_id,
            group_wallet_id=str(group.wallet_id),
            amount=_money(group.currency, amount_minor),
        )
        if destination.wallet_id is not None:
            request.destination_wallet_id = str(destination.wallet_id)
        else:
            request.mobile_money.CopyFrom(payment_service_pb2.MobileMoney(phone=destination.phone))
        return await _told(self._stub.PreviewGroupPayout(request))

    async def pay_out(self, group: Group, withdrawal: Withdrawal) -> Told:
        """Have what was held paid out."""
        request = group_payment_service_pb2.CreateGroupPayoutRequest(
            tenant_id=withdrawal.tenant_id,
            transaction_id=str(withdrawal.id),
            user_id=str(withdrawal.requester_id),
            group_wallet_id=str(group.wallet_id),
            hold_id=str(withdrawal.hold_id),
            amount=_money(withdrawal.currency, withdrawal.amount_minor),
        )
        if withdrawal.destination.wallet_id is not None:
            request.destination_wallet_id = str(withdrawal.destination.wallet_id)
        else:
            request.mobile_money.phone = withdrawal.destination.phone
        return await _told(self._stub.CreateGroupPayout(request))


async def _told(answering: Awaitable[Any]) -> Told:
    """The answer, or a refusal for good as FAILED. Raises ServiceUnavailable for what may pass."""
    try:
        answer = await answering
    except RemoteRefusal as refusal:
        if refusal.domain != _DOMAIN or refusal.code in _PASSING:
            raise
        if refusal.reason == "TRANSACTION_EXISTS":
            telemetry.log.error("transaction_exists")
            raise ServiceUnavailable from refusal
        return Told("FAILED", 0, refusal.reason, refusal.message)
    if isinstance(answer, group_payment_service_pb2.PreviewGroupPayoutResponse):
        return Told("PENDING", 0)
    return told(answer.transaction)


def told(transaction: transaction_pb2.Transaction) -> Told:
    """What a transaction of payments says."""
    return Told(
        transaction_pb2.Transaction.State.Name(transaction.state),
        transaction.amount.minor_units,
        transaction.failure_reason,
    )


def _money(currency: str, minor_units: int) -> money_pb2.Money:
    return money_pb2.Money(currency=currency, minor_units=minor_units)
