"""A group with money and holds in the fake ledger, as tests of its payments need it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hazina.payments.v1 import group_payment_service_pb2, payment_service_pb2
from hazina.wallet.v1 import ledger_pb2
from services.kit.clock import Clock
from tests.factories.payments import FakeLedger, money

clock = Clock()


def open_group(ledger: FakeLedger, balance: int = 0) -> UUID:
    """The wallet of a group."""
    group_id = clock.new_id()
    return ledger.open(group_id, balance=balance, kind=ledger_pb2.Account.GROUP, name="Umoja")


def hold(ledger: FakeLedger, group: UUID, amount: int, to: UUID | None = None) -> str:
    """Money held by the group for a payout; answers the id of the hold."""
    step = ledger_pb2.Transfer(
        id=str(clock.new_id()),
        kind=ledger_pb2.Transfer.HOLD,
        debit=ledger_pb2.AccountReference(account_id=str(group)),
        credit=ledger_pb2.AccountReference(code="EXTERNAL:mobile_money")
        if to is None
        else ledger_pb2.AccountReference(account_id=str(to)),
        amount=money(amount),
        code="GROUP_PAYOUT",
        transaction_id=str(clock.new_id()),
    )
    [verdict] = ledger._apply("default", [step])
    assert verdict.result == ledger_pb2.Verdict.CREATED, verdict
    return step.id


def free(ledger: FakeLedger, hold_id: str) -> None:
    """The hold ends before it is paid out."""
    step = ledger_pb2.Transfer(
        id=str(clock.new_id()),
        kind=ledger_pb2.Transfer.VOID_HOLD,
        hold_id=hold_id,
        code="EXPIRY",
        transaction_id=str(clock.new_id()),
    )
    ledger._apply("default", [step])


def old_id() -> str:
    """An id that the ledger refuses as too old."""

    class Yesterday(Clock):
        def now(self) -> Any:
            return super().now() - timedelta(hours=25)

    return str(Yesterday().new_id())


def contribution(
    user_id: UUID, group: UUID, amount: int = 10_000, **source: Any
) -> group_payment_service_pb2.CreateContributionRequest:
    """A member's payment; `source_wallet_id` or `phone`."""
    request = group_payment_service_pb2.CreateContributionRequest(
        tenant_id="default",
        transaction_id=source.pop("transaction_id", None) or str(clock.new_id()),
        user_id=str(user_id),
        group_wallet_id=str(group),
        amount=money(amount, source.pop("currency", "KES")),
    )
    if "phone" in source:
        request.mobile_money.phone = source["phone"]
    else:
        request.source_wallet_id = str(source["source_wallet_id"])
    return request


def payout(
    user_id: UUID, group: UUID, hold_id: str, amount: int = 10_000, **target: Any
) -> group_payment_service_pb2.CreateGroupPayoutRequest:
    """A group's payment; `destination_wallet_id` or `phone`."""
    request = group_payment_service_pb2.CreateGroupPayoutRequest(
        tenant_id="default",
        transaction_id=target.pop("transaction_id", None) or str(clock.new_id()),
        user_id=str(user_id),
        group_wallet_id=str(group),
        hold_id=hold_id,
        amount=money(amount, target.pop("currency", "KES")),
    )
    if "phone" in target:
        request.mobile_money.CopyFrom(payment_service_pb2.MobileMoney(phone=target["phone"]))
    else:
        request.destination_wallet_id = str(target["destination_wallet_id"])
    return request


def preview(
    group: UUID, amount: int = 10_000, **target: Any
) -> group_payment_service_pb2.PreviewGroupPayoutRequest:
    """A payout to look at; `destination_wallet_id` or `phone`."""
    request = group_payment_service_pb2.PreviewGroupPayoutRequest(
        tenant_id="default",
        group_wallet_id=str(group),
        amount=money(amount, target.pop("currency", "KES")),
    )
    if "phone" in target:
        request.mobile_money.phone = target["phone"]
    else:
        request.destination_wallet_id = str(target["destination_wallet_id"])
    return request
