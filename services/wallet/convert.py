"""Protobuf to domain and back. What the contract's own rules cannot say about a field is said here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.type.v1 import money_pb2
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, wallet_pb2, wallet_service_pb2
from services.kit.errors import FieldViolation, ValidationFailed
from services.kit.money import INT64_MAX, Money
from services.wallet import domain
from services.wallet.domain import (
    Account,
    AccountKey,
    AccountKind,
    BalanceLine,
    Booked,
    Heartbeat,
    StatementLine,
    Step,
    StepKind,
    StreamEnd,
    TrialBalance,
    Verdict,
)
from services.wallet.errors import AmountOverflow
from services.wallet.events import timestamp, transfer_message

_STEP_KINDS = {ledger_pb2.Transfer.Kind.Value(kind.value): kind for kind in StepKind}
_ACCOUNT_KINDS = {ledger_pb2.Account.Kind.Value(kind.value): kind for kind in AccountKind}
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # replaced by the database when the account is made


# From the wire


def steps(request: ledger_service_pb2.CreateTransfersRequest) -> list[Step]:
    """The steps of a call. Raises ValidationFailed for times that are none."""
    return [_step(transfer, index) for index, transfer in enumerate(request.transfers)]


def _step(transfer: ledger_pb2.Transfer, index: int) -> Step:
    path = f"transfers[{index}]"
    has_amount = transfer.HasField("amount")
    return Step(
        id=UUID(transfer.id),
        kind=_STEP_KINDS[transfer.kind],
        code=transfer.code,
        transaction_id=UUID(transfer.transaction_id),
        debit=_key(transfer.debit) if transfer.HasField("debit") else None,
        credit=_key(transfer.credit) if transfer.HasField("credit") else None,
        amount=Money(transfer.amount.currency, transfer.amount.minor_units) if has_amount else None,
        hold_id=UUID(transfer.hold_id) if transfer.hold_id else None,
        expire_time=moment(transfer.expire_time, f"{path}.expireTime")
        if transfer.HasField("expire_time")
        else None,
        linked=transfer.linked,
        reference=transfer.reference,
        effective_time=moment(transfer.effective_time, f"{path}.effectiveTime")
        if transfer.HasField("effective_time")
        else None,
    )


def _key(reference: ledger_pb2.AccountReference) -> AccountKey:
    if reference.WhichOneof("reference") == "account_id":
        return UUID(reference.account_id)
    return reference.code


def moment(time: Timestamp, path: str) -> datetime:
    """A moment, to the microsecond. Raises ValidationFailed when the message is no valid time."""
    try:
        if not 0 <= time.nanos < 1_000_000_000:
            raise ValueError("nanos")
        return time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        violation = FieldViolation(path, "is not a time", "timestamp.valid")
        raise ValidationFailed(field_violations=[violation]) from error


def new_account(request: ledger_service_pb2.CreateAccountRequest) -> Account:
    """The account that is asked for."""
    return domain.owned_account(
        UUID(request.account_id),
        _ACCOUNT_KINDS[request.kind],
        UUID(request.owner_id),
        request.currency,
        request.name,
        _NO_TIME,
    )


def seen_version(cursor: str) -> int | None:
    """The version that a cursor stands for; None for an empty cursor or one that is not ours."""
    return int(cursor) if cursor.isascii() and cursor.isdigit() else None


# To the wire


def closed_period(end: datetime) -> ledger_service_pb2.ClosePeriodResponse:
    """The closed period."""
    return ledger_service_pb2.ClosePeriodResponse(end_time=timestamp(end))


def account(one: Account) -> ledger_pb2.Account:
    """An account as other services see it."""
    return ledger_pb2.Account(
        id=str(one.id),
        currency=one.currency,
        kind=ledger_pb2.Account.Kind.Value(one.kind.value),
        owner_id="" if one.owner_id is None else str(one.owner_id),
        code=one.code or "",
        name=one.name,
        debits_posted=one.debits_posted,
        credits_posted=one.credits_posted,
        debits_pending=one.debits_pending,
        credits_pending=one.credits_pending,
        protected=one.protected,
        frozen=one.frozen,
        create_time=timestamp(one.create_time),
    )


def accounts(tenant_id: str, found: Iterable[Account]) -> list[ledger_pb2.Account]:
    """Accounts of one tenant as other services see them."""
    return [tenant_account(tenant_id, one) for one in found]


def tenant_account(tenant_id: str, one: Account) -> ledger_pb2.Account:
    """An account with its tenant."""
    message = account(one)
    message.tenant_id = tenant_id
    return message


def verdict(tenant_id: str, one: Verdict) -> ledger_pb2.Verdict:
    """What became of a step."""
    message = ledger_pb2.Verdict(
        transfer_id=str(one.transfer_id),
        result=ledger_pb2.Verdict.Result.Value(one.result.value),
        reason="" if one.refusal is None else one.refusal.value,
        field=one.field,
    )
    if one.debit_account is not None and one.credit_account is not None:
        message.debit_account.CopyFrom(tenant_account(tenant_id, one.debit_account))
        message.credit_account.CopyFrom(tenant_account(tenant_id, one.credit_account))
    return message


def booked_transfer(one: Booked) -> ledger_service_pb2.BookedTransfer:
    """A step as it stands in the books."""
    state = "HOLD_STATE_UNSPECIFIED" if one.hold_state is None else one.hold_state.value
    return ledger_service_pb2.BookedTransfer(
        transfer=transfer_message(one.transfer),
        seq=one.seq,
        create_time=timestamp(one.transfer.book_time),
        hold_state=ledger_service_pb2.BookedTransfer.HoldState.Value(state),
    )


def trial_balance(one: TrialBalance) -> ledger_service_pb2.TrialBalance:
    """The books by currency. Raises AmountOverflow when a sum does not fit into the contract's int64."""
    by_currency: dict[str, list[BalanceLine]] = defaultdict(list)
    for line in one.lines:
        by_currency[line.currency].append(line)
    return ledger_service_pb2.TrialBalance(
        currencies=[_currency_balance(code, by_currency[code]) for code in sorted(by_currency)],
        time=timestamp(one.time),
    )


def _currency_balance(
    currency: str, lines: list[BalanceLine]
) -> ledger_service_pb2.CurrencyBalance:
    debits = sum(line.debits_posted for line in lines)
    credits = sum(line.credits_posted for line in lines)  # noqa: A001 - the word of the trade
    return ledger_service_pb2.CurrencyBalance(
        currency=currency,
        lines=[
            ledger_service_pb2.BalanceLine(
                kind=ledger_pb2.Account.Kind.Value(line.kind.value),
                code=line.code,
                account_count=line.account_count,
                debits_posted=_fitting(line.debits_posted),
                credits_posted=_fitting(line.credits_posted),
                debits_pending=_fitting(line.debits_pending),
                credits_pending=_fitting(line.credits_pending),
            )
            for line in lines
        ],
        debits_posted=_fitting(debits),
        credits_posted=_fitting(credits),
        net=_fitting(credits - debits),
        consistent=not any(line.inconsistent_count for line in lines),
    )


def _fitting(amount: int) -> int:
    if abs(amount) > INT64_MAX:
        raise AmountOverflow
    return amount


def wallet(one: Account) -> wallet_pb2.Wallet:
    """An account as its owner sees it."""
    return wallet_pb2.Wallet(
        id=str(one.id),
        currency=one.currency,
        kind=wallet_pb2.Wallet.Kind.Value(one.kind.value),
        name=one.name,
        balance=_money(one.currency, one.balance),
        available=_money(one.currency, one.available),
        pending=_money(one.currency, one.debits_pending),
        frozen=one.frozen,
        create_time=timestamp(one.create_time),
    )


def entry(one: StatementLine) -> wallet_pb2.Entry:
    """A line of a statement."""
    return wallet_pb2.Entry(
        id=str(one.transfer_id),
        transaction_id=str(one.transaction_id),
        amount=_money(one.amount.currency, one.amount.minor_units),
        balance=_money(one.balance.currency, one.balance.minor_units),
        code=one.code,
        create_time=timestamp(one.book_time),
        effective_time=timestamp(one.effective_time),
    )


def watched(
    one: Account | Heartbeat | StreamEnd, cursor: str
) -> wallet_service_pb2.WatchWalletResponse:
    """A message of a stream, with the cursor that resumes it."""
    message = wallet_service_pb2.WatchWalletResponse(cursor=cursor)
    if isinstance(one, Account):
        message.wallet.CopyFrom(wallet(one))
    elif isinstance(one, Heartbeat):
        message.heartbeat.time.CopyFrom(timestamp(one.time))
    else:
        message.end.cause = wallet_service_pb2.StreamEnd.Cause.Value(one.cause.value)
    return message


def _money(currency: str, minor_units: int) -> money_pb2.Money:
    return money_pb2.Money(currency=currency, minor_units=minor_units)
