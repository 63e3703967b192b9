"""The RPCs: parse, call one operation, render. The wrapper has authorized and validated before."""

from uuid import UUID

from google.api import httpbody_pb2

from hazina.payments.v1 import (
    group_payment_service_pb2,
    hook_service_pb2,
    payment_service_pb2,
    review_service_pb2,
    transaction_pb2,
)
from services.kit.identity import Call
from services.kit.pages import Pages
from services.payments import convert
from services.payments.operations import group_orders, orders, provider, reading, review
from services.payments.operations.desk import Desk

__all__ = ["GroupPaymentHandlers", "HookHandlers", "PaymentHandlers", "ReviewHandlers"]


class PaymentHandlers:
    """`hazina.payments.v1.PaymentService`."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def ListRails(
        self, request: payment_service_pb2.ListRailsRequest, call: Call
    ) -> payment_service_pb2.ListRailsResponse:
        filters = {"currency": request.currency}
        size = Pages.size(request.page_size)
        position = self._pages.open(call, filters, request.page_token)
        rails = await reading.list_rails(self._desk, call, currency=request.currency)
        start = 0 if position is None else int(position["start"])
        end = start + size
        token = self._pages.seal(call, filters, {"start": end}) if len(rails) > end else ""
        return payment_service_pb2.ListRailsResponse(
            rails=[convert.rail(offer, rule) for offer, rule in rails[start:end]],
            next_page_token=token,
        )

    async def CreateDeposit(
        self, request: payment_service_pb2.CreateDepositRequest, call: Call
    ) -> payment_service_pb2.CreateDepositResponse:
        made = await orders.create_deposit(self._desk, call, convert.outside_order(request))
        transaction = convert.transaction(made, viewer_id=call.signed_in.id)
        return payment_service_pb2.CreateDepositResponse(transaction=transaction)

    async def PreviewTransfer(
        self, request: payment_service_pb2.PreviewTransferRequest, call: Call
    ) -> payment_service_pb2.PreviewTransferResponse:
        preview = await orders.preview_transfer(
            self._desk,
            call,
            convert.destination(request.destination),
            currency=request.amount.currency,
            amount_minor=request.amount.minor_units,
        )
        return convert.preview(preview)

    async def CreateTransfer(
        self, request: payment_service_pb2.CreateTransferRequest, call: Call
    ) -> payment_service_pb2.CreateTransferResponse:
        made = await orders.create_transfer(self._desk, call, convert.transfer_order(request))
        transaction = convert.transaction(made, viewer_id=call.signed_in.id)
        return payment_service_pb2.CreateTransferResponse(transaction=transaction)

    async def CreateWithdrawal(
        self, request: payment_service_pb2.CreateWithdrawalRequest, call: Call
    ) -> payment_service_pb2.CreateWithdrawalResponse:
        made = await orders.create_withdrawal(self._desk, call, convert.outside_order(request))
        transaction = convert.transaction(made, viewer_id=call.signed_in.id)
        return payment_service_pb2.CreateWithdrawalResponse(transaction=transaction)

    async def ListTransactions(
        self, request: payment_service_pb2.ListTransactionsRequest, call: Call
    ) -> payment_service_pb2.ListTransactionsResponse:
        filters = convert.page_filters(request)
        size = Pages.size(request.page_size)
        position = self._pages.open(call, filters, request.page_token)
        wallet_id, state, kind = convert.list_filters(request)
        found = await reading.list_transactions(
            self._desk,
            call,
            wallet_id=wallet_id,
            state=state,
            kind=kind,
            before_id=None if position is None else UUID(position["before"]),
            size=size + 1,
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.seal(call, filters, {"before": str(page[-1].id)})
        viewer_id = call.signed_in.id
        return payment_service_pb2.ListTransactionsResponse(
            transactions=[convert.transaction(one, viewer_id=viewer_id) for one in page],
            next_page_token=token,
        )

    async def GetTransaction(
        self, request: payment_service_pb2.GetTransactionRequest, call: Call
    ) -> transaction_pb2.Transaction:
        found = await reading.get_transaction(self._desk, call, UUID(request.transaction_id))
        return convert.transaction(found, viewer_id=call.signed_in.id)


class ReviewHandlers:
    """`hazina.payments.v1.ReviewService`."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def ListReviewCases(
        self, request: review_service_pb2.ListReviewCasesRequest, call: Call
    ) -> review_service_pb2.ListReviewCasesResponse:
        size = Pages.size(request.page_size)
        position = self._pages.open(call, {}, request.page_token)
        after_id = None if position is None else UUID(position["after"])
        found = await review.list_cases(self._desk, call, after_id=after_id, size=size + 1)
        page = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.seal(call, {}, {"after": str(page[-1].id)})
        return review_service_pb2.ListReviewCasesResponse(
            review_cases=[convert.review_case(one) for one in page], next_page_token=token
        )

    async def ResolveTransaction(
        self, request: review_service_pb2.ResolveTransactionRequest, call: Call
    ) -> review_service_pb2.ResolveTransactionResponse:
        made = await review.propose_outcome(
            self._desk,
            call,
            UUID(request.transaction_id),
            completed=request.outcome == transaction_pb2.Transaction.COMPLETED,
            note=request.note,
        )
        return review_service_pb2.ResolveTransactionResponse(review=convert.review(made))

    async def ReverseTransaction(
        self, request: review_service_pb2.ReverseTransactionRequest, call: Call
    ) -> review_service_pb2.ReverseTransactionResponse:
        made = await review.propose_reversal(
            self._desk, call, UUID(request.transaction_id), note=request.note
        )
        return review_service_pb2.ReverseTransactionResponse(review=convert.review(made))

    async def ConfirmReview(
        self, request: review_service_pb2.ConfirmReviewRequest, call: Call
    ) -> review_service_pb2.ConfirmReviewResponse:
        decided, after = await review.confirm_review(self._desk, call, UUID(request.review_id))
        return review_service_pb2.ConfirmReviewResponse(
            review=convert.review(decided),
            transaction=convert.transaction(after, viewer_id=None),
        )

    async def RejectReview(
        self, request: review_service_pb2.RejectReviewRequest, call: Call
    ) -> review_service_pb2.RejectReviewResponse:
        ended = await review.reject_review(
            self._desk, call, UUID(request.review_id), note=request.note
        )
        return review_service_pb2.RejectReviewResponse(review=convert.review(ended))

    async def ListFeeSchedules(
        self, request: review_service_pb2.ListFeeSchedulesRequest, call: Call
    ) -> review_service_pb2.ListFeeSchedulesResponse:
        size = Pages.size(request.page_size)
        position = self._pages.open(call, {}, request.page_token)
        after = None
        if position is not None:
            after = (position["rail"], position["kind"], position["currency"])
        found = await review.list_fees(self._desk, call, after=after, size=size + 1)
        page = found[:size]
        token = ""
        if len(found) > size:
            last = page[-1]
            position = {"rail": last.rail, "kind": last.kind, "currency": last.currency}
            token = self._pages.seal(call, {}, position)
        return review_service_pb2.ListFeeSchedulesResponse(
            fee_schedules=[convert.schedule(one) for one in page], next_page_token=token
        )

    async def SetFeeSchedule(
        self, request: review_service_pb2.SetFeeScheduleRequest, call: Call
    ) -> review_service_pb2.SetFeeScheduleResponse:
        schedule = convert.fee_schedule(request.fee_schedule)
        held = await review.set_fee(self._desk, call, schedule)
        return review_service_pb2.SetFeeScheduleResponse(fee_schedule=convert.schedule(held))


class HookHandlers:
    """`hazina.payments.v1.HookService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ReceiveCallback(
        self, request: hook_service_pb2.ReceiveCallbackRequest, call: Call
    ) -> httpbody_pb2.HttpBody:
        await provider.receive_callback(
            self._desk, provider=request.provider, secret=request.secret, body=request.body.data
        )
        return convert.accepted()


class GroupPaymentHandlers:
    """`hazina.payments.v1.GroupPaymentService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def CreateContribution(
        self, request: group_payment_service_pb2.CreateContributionRequest, call: Call
    ) -> group_payment_service_pb2.CreateContributionResponse:
        made = await group_orders.create(self._desk, call, convert.contribution_order(request))
        transaction = convert.transaction(made, viewer_id=None)
        return group_payment_service_pb2.CreateContributionResponse(transaction=transaction)

    async def PreviewGroupPayout(
        self, request: group_payment_service_pb2.PreviewGroupPayoutRequest, call: Call
    ) -> group_payment_service_pb2.PreviewGroupPayoutResponse:
        order = convert.payout_order(request)
        fee_minor = await group_orders.preview_payout(self._desk, order)
        fee = convert.money(order.currency, fee_minor)
        return group_payment_service_pb2.PreviewGroupPayoutResponse(fee=fee)

    async def CreateGroupPayout(
        self, request: group_payment_service_pb2.CreateGroupPayoutRequest, call: Call
    ) -> group_payment_service_pb2.CreateGroupPayoutResponse:
        made = await group_orders.create(self._desk, call, convert.payout_order(request))
        transaction = convert.transaction(made, viewer_id=None)
        return group_payment_service_pb2.CreateGroupPayoutResponse(transaction=transaction)
