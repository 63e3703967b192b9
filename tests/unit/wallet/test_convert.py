"""Protobuf to domain and back."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, wallet_service_pb2
from services.kit.money import Money
from services.wallet import convert
from services.wallet.domain import (
    AccountKind,
    BalanceLine,
    Heartbeat,
    Step,
    StepKind,
    StreamCause,
    StreamEnd,
    TrialBalance,
)
from services.wallet.errors import AmountOverflow
from tests.factories.wallet import OUTSIDE, new_id, post, post_hold
from tests.factories.wallet_books import START, wallet
from tests.harness import assert_refused


def _steps(*transfers: ledger_pb2.Transfer) -> list[Step]:
    return convert.steps(ledger_service_pb2.CreateTransfersRequest(transfers=transfers))


def test_what_is_unset_is_none() -> None:
    hold_id = new_id()
    [ending] = _steps(post_hold(hold_id))
    assert ending.kind is StepKind.POST_HOLD and str(ending.hold_id) == hold_id
    unset = (ending.debit, ending.credit, ending.amount, ending.expire_time, ending.effective_time)
    assert unset == (None,) * 5


def test_accounts_are_named_by_id_or_code() -> None:
    receiver = new_id()
    [posting] = _steps(post(OUTSIDE, receiver, 5))
    assert posting.debit == OUTSIDE and str(posting.credit) == receiver
    assert posting.amount == Money("KES", 5)


def test_times_are_cut_to_the_microsecond() -> None:
    time = Timestamp(seconds=1_700_000_000, nanos=123_456_789)
    assert convert.moment(time, "t") == datetime.fromtimestamp(1_700_000_000, UTC).replace(
        microsecond=123_456
    )


@pytest.mark.parametrize(("seconds", "nanos"), [(10**12, 0), (-(10**12), 0), (0, -1), (0, 10**9)])
def test_what_is_no_time_is_named(seconds: int, nanos: int) -> None:
    transfer = post(OUTSIDE, "SYSTEM:FEES", 1)
    transfer.expire_time.CopyFrom(Timestamp(seconds=seconds, nanos=nanos))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transfers[1].expireTime"):
        _steps(post(OUTSIDE, "SYSTEM:FEES", 1), transfer)


@pytest.mark.parametrize(
    ("cursor", "version"), [("7", 7), ("", None), ("x", None), ("-1", None), ("²", None)]
)
def test_a_cursor_is_a_version_or_nothing(cursor: str, version: int | None) -> None:
    assert convert.seen_version(cursor) == version


def test_a_wallet_shows_balance_available_and_pending() -> None:
    message = convert.wallet(wallet(1, funds=500, debits_posted=100, debits_pending=30))
    amounts = (message.balance, message.available, message.pending)
    assert [one.minor_units for one in amounts] == [400, 370, 30]


def test_messages_of_a_stream_carry_the_cursor() -> None:
    beat = convert.watched(Heartbeat(START), "7")
    assert beat.heartbeat.time.ToDatetime(tzinfo=UTC) == START and beat.cursor == "7"
    for cause in StreamCause:
        end = convert.watched(StreamEnd(cause), "7").end.cause
        assert wallet_service_pb2.StreamEnd.Cause.Name(end) == cause.value


def test_a_trial_balance_is_consistent_when_every_account_is() -> None:
    def line(kind: AccountKind, debits: int, credits: int, wrong: int = 0) -> BalanceLine:  # noqa: A002
        return BalanceLine("KES", kind, "", 1, debits, credits, 0, 0, wrong)

    good = (line(AccountKind.USER, 0, 9), line(AccountKind.EXTERNAL, 9, 0))
    [shillings] = convert.trial_balance(TrialBalance(START, good)).currencies
    assert (shillings.net, shillings.consistent) == (0, True)
    bad = (*good, line(AccountKind.SYSTEM, 0, 1, wrong=1))
    [shillings] = convert.trial_balance(TrialBalance(START, bad)).currencies
    assert (shillings.net, shillings.consistent) == (1, False)
    huge = (line(AccountKind.USER, 0, 2**63),)
    with pytest.raises(AmountOverflow):
        convert.trial_balance(TrialBalance(START, huge))
