"""`hazina.groups.v1.WithdrawalService`."""

from uuid import UUID

from hazina.groups.v1 import withdrawal_service_pb2
from services.groups import convert
from services.groups.operations import withdrawals
from services.groups.operations.desk import Desk
from services.kit.identity import Call
from services.kit.pages import Pages

__all__ = ["WithdrawalHandlers"]


class WithdrawalHandlers:
    """`hazina.groups.v1.WithdrawalService`."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def CreateWithdrawal(
        self, request: withdrawal_service_pb2.CreateWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.CreateWithdrawalResponse:
        order = convert.withdrawal_order(request)
        made = await withdrawals.create_withdrawal(self._desk, call, order)
        return withdrawal_service_pb2.CreateWithdrawalResponse(withdrawal=convert.withdrawal(made))

    async def ListWithdrawals(
        self, request: withdrawal_service_pb2.ListWithdrawalsRequest, call: Call
    ) -> withdrawal_service_pb2.ListWithdrawalsResponse:
        filters = {"group_id": request.group_id, "state": str(request.state)}
        size = Pages.size(request.page_size)
        before_id = convert.before_id(self._pages.open(call, filters, request.page_token))
        found = await withdrawals.list_withdrawals(
            self._desk,
            call,
            UUID(request.group_id),
            state=convert.state_filter(request.state),
            before_id=before_id,
            size=size + 1,
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.seal(call, filters, {"before": str(page[-1].withdrawal.id)})
        return withdrawal_service_pb2.ListWithdrawalsResponse(
            withdrawals=[convert.withdrawal(one) for one in page], next_page_token=token
        )

    async def GetWithdrawal(
        self, request: withdrawal_service_pb2.GetWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.Withdrawal:
        found = await withdrawals.get_withdrawal(
            self._desk, call, UUID(request.group_id), UUID(request.withdrawal_id)
        )
        return convert.withdrawal(found)

    async def ApproveWithdrawal(
        self, request: withdrawal_service_pb2.ApproveWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.ApproveWithdrawalResponse:
        after = await withdrawals.approve_withdrawal(
            self._desk, call, UUID(request.group_id), UUID(request.withdrawal_id)
        )
        return withdrawal_service_pb2.ApproveWithdrawalResponse(
            withdrawal=convert.withdrawal(after)
        )

    async def RejectWithdrawal(
        self, request: withdrawal_service_pb2.RejectWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.RejectWithdrawalResponse:
        after = await withdrawals.reject_withdrawal(
            self._desk, call, UUID(request.group_id), UUID(request.withdrawal_id)
        )
        return withdrawal_service_pb2.RejectWithdrawalResponse(withdrawal=convert.withdrawal(after))

    async def ExecuteWithdrawal(
        self, request: withdrawal_service_pb2.ExecuteWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.ExecuteWithdrawalResponse:
        after = await withdrawals.execute_withdrawal(
            self._desk, call, UUID(request.group_id), UUID(request.withdrawal_id)
        )
        return withdrawal_service_pb2.ExecuteWithdrawalResponse(
            withdrawal=convert.withdrawal(after)
        )

    async def CancelWithdrawal(
        self, request: withdrawal_service_pb2.CancelWithdrawalRequest, call: Call
    ) -> withdrawal_service_pb2.CancelWithdrawalResponse:
        after = await withdrawals.cancel_withdrawal(
            self._desk, call, UUID(request.group_id), UUID(request.withdrawal_id)
        )
        return withdrawal_service_pb2.CancelWithdrawalResponse(withdrawal=convert.withdrawal(after))
