"""Between the contract and the domain: parsing of what validation cannot express, and rendering."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from google.api import httpbody_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from hazina.payments.v1 import (
    group_payment_service_pb2,
    payment_service_pb2,
    review_service_pb2,
    transaction_pb2,
)
from hazina.type.v1 import money_pb2
from services.payments import domain
from services.payments.domain import (
    Destination,
    FeeRule,
    FeeSchedule,
    GroupOrder,
    Kind,
    Method,
    Offer,
    OutsideOrder,
    Preview,
    Review,
    ReviewCase,
    State,
    Transaction,
    TransferOrder,
)
from services.payments.events import render

ACCEPTED = b'{"ResultCode":0,"ResultDesc":"Accepted"}'

_METHODS = {
    "mobile_money": Method.MOBILE_MONEY,
    "card": Method.CARD,
    "lightning": Method.LIGHTNING,
}
_TransactionState = transaction_pb2.Transaction.State
_TransactionKind = transaction_pb2.Transaction.Kind


# --- in ---------------------------------------------------------------------------------------------------------------


def destination(message: payment_service_pb2.Destination) -> Destination:
    """Who is to be paid."""
    if message.WhichOneof("target") == "wallet_id":
        return Destination(wallet_id=UUID(message.wallet_id))
    return Destination(identifier=message.identifier)


def transfer_order(request: payment_service_pb2.CreateTransferRequest) -> TransferOrder:
    """A transfer that somebody wants."""
    return TransferOrder(
        source_wallet_id=UUID(request.source_wallet_id),
        destination=destination(request.destination),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        note=request.note,
    )


def outside_order(
    request: payment_service_pb2.CreateDepositRequest | payment_service_pb2.CreateWithdrawalRequest,
) -> OutsideOrder:
    """A deposit or withdrawal that somebody wants. Raises PhoneInvalid."""
    chosen = request.WhichOneof("method")
    assert chosen is not None, "the contract requires a method"
    method = _METHODS[chosen]
    phone = ""
    if method is Method.MOBILE_MONEY:
        phone = domain.mobile_money_phone(request.mobile_money.phone)
    return OutsideOrder(
        wallet_id=UUID(request.wallet_id),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        method=method,
        phone=phone,
    )


def contribution_order(
    request: group_payment_service_pb2.CreateContributionRequest,
) -> GroupOrder:
    """A member's payment into a group. Raises PhoneInvalid."""
    return GroupOrder(
        tenant_id=request.tenant_id,
        transaction_id=UUID(request.transaction_id),
        kind=Kind.CONTRIBUTION,
        user_id=UUID(request.user_id),
        group_wallet_id=UUID(request.group_wallet_id),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        wallet_id=UUID(request.source_wallet_id) if request.source_wallet_id else None,
        phone=_phone(request, "source"),
    )


def payout_order(
    request: group_payment_service_pb2.CreateGroupPayoutRequest
    | group_payment_service_pb2.PreviewGroupPayoutRequest,
) -> GroupOrder:
    """A group's payment; of a preview without ids. Raises PhoneInvalid."""
    target = request.destination_wallet_id
    order = GroupOrder(
        tenant_id=request.tenant_id,
        transaction_id=UUID(int=0),
        kind=Kind.GROUP_PAYOUT,
        user_id=UUID(int=0),
        group_wallet_id=UUID(request.group_wallet_id),
        currency=request.amount.currency,
        amount_minor=request.amount.minor_units,
        wallet_id=UUID(target) if target else None,
        phone=_phone(request, "destination"),
    )
    if isinstance(request, group_payment_service_pb2.PreviewGroupPayoutRequest):
        return order
    return replace(
        order,
        transaction_id=UUID(request.transaction_id),
        user_id=UUID(request.user_id),
        hold_id=UUID(request.hold_id),
    )


def _phone(request: Any, choice: str) -> str:
    if request.WhichOneof(choice) != "mobile_money":
        return ""
    return domain.mobile_money_phone(request.mobile_money.phone)


def list_filters(
    request: payment_service_pb2.ListTransactionsRequest,
) -> tuple[UUID | None, State | None, Kind | None]:
    """Wallet, state and kind, where they are given."""
    return (
        UUID(request.wallet_id) if request.wallet_id else None,
        State(_TransactionState.Name(request.state)) if request.state else None,
        Kind(_TransactionKind.Name(request.kind)) if request.kind else None,
    )


def page_filters(
    request: payment_service_pb2.ListTransactionsRequest,
) -> Mapping[str, str]:
    """What binds a page token to its list."""
    return {
        "wallet_id": request.wallet_id,
        "state": str(request.state),
        "kind": str(request.kind),
    }


def fee_schedule(message: review_service_pb2.FeeSchedule) -> FeeSchedule:
    """A fee to set."""
    return FeeSchedule(
        message.rail,
        Kind(_TransactionKind.Name(message.kind)),
        message.currency,
        FeeRule(message.fee.basis_points, message.fee.fee_min, message.fee.fee_max),
    )


# --- out --------------------------------------------------------------------------------------------------------------


def transaction(found: Transaction, *, viewer_id: UUID | None) -> transaction_pb2.Transaction:
    """A transaction as one of its parties sees it; None is for staff, who sees both sides' ids only."""
    other = ""
    if viewer_id is not None and found.kind is Kind.CONTRIBUTION:
        other = found.payee.masked_name  # the group
    elif (
        viewer_id is not None
        and found.kind is Kind.GROUP_PAYOUT
        and viewer_id == found.payee.user_id
    ):
        other = found.payer.masked_name
    elif viewer_id is not None and found.payer.user_id != found.payee.user_id:
        party = found.payee if found.payer.user_id == viewer_id else found.payer
        other = party.masked_name
    return render(found, counterparty_name=other)


def money(currency: str, minor_units: int) -> money_pb2.Money:
    """An amount."""
    return money_pb2.Money(currency=currency, minor_units=minor_units)


def preview(found: Preview) -> payment_service_pb2.PreviewTransferResponse:
    """What a transfer would be."""
    return payment_service_pb2.PreviewTransferResponse(
        recipient_name=found.recipient_name,
        fee=money(found.currency, found.fee_minor),
        total=money(found.currency, found.amount_minor + found.fee_minor),
    )


def fee_rule(rule: FeeRule) -> payment_service_pb2.FeeRule:
    """What a movement costs."""
    return payment_service_pb2.FeeRule(
        basis_points=rule.basis_points, fee_min=rule.fee_min, fee_max=rule.fee_max
    )


def rail(offer: Offer, rule: FeeRule) -> payment_service_pb2.Rail:
    """A way in or out."""
    message = payment_service_pb2.Rail
    return message(
        id=offer.rail,
        method=message.Method.Value(offer.method),
        direction=message.Direction.Value(offer.direction),
        currency=offer.currency,
        installed=offer.installed,
        amount_min=money(offer.currency, offer.amount_min),
        amount_max=money(offer.currency, offer.amount_max),
        amount_step=offer.amount_step,
        fee=fee_rule(rule),
    )


def schedule(found: FeeSchedule) -> review_service_pb2.FeeSchedule:
    """A fee that holds."""
    return review_service_pb2.FeeSchedule(
        rail=found.rail,
        kind=_TransactionKind.Value(found.kind),
        currency=found.currency,
        fee=fee_rule(found.rule),
    )


def review(found: Review) -> review_service_pb2.Review:
    """A proposal."""
    message = review_service_pb2.Review(
        id=str(found.id),
        transaction_id=str(found.transaction_id),
        action=review_service_pb2.Review.Action.Value(found.action),
        state=review_service_pb2.Review.State.Value(found.state),
        note=found.note,
        proposer_id=str(found.proposer_id),
        decider_id=str(found.decider_id) if found.decider_id else "",
        create_time=_timestamp(found.create_time),
    )
    if found.decide_time is not None:
        message.decide_time.FromDatetime(found.decide_time)
    return message


def review_case(found: ReviewCase) -> review_service_pb2.ReviewCase:
    """Something that waits for a person."""
    message = review_service_pb2.ReviewCase(
        id=str(found.id), reason=found.reason, create_time=_timestamp(found.create_time)
    )
    if found.transaction is not None:
        message.transaction.CopyFrom(transaction(found.transaction, viewer_id=None))
    if found.review is not None:
        message.review.CopyFrom(review(found.review))
    for one in found.evidence:
        message.evidence.add(
            source=review_service_pb2.Evidence.Source.Value(one.source),
            body=one.body,
            create_time=_timestamp(one.create_time),
        )
    return message


def accepted() -> httpbody_pb2.HttpBody:
    """What a provider is answered, whatever it sent."""
    return httpbody_pb2.HttpBody(content_type="application/json", data=ACCEPTED)


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
