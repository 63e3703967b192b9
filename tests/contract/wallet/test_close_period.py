"""ClosePeriod."""

from datetime import UTC, datetime, timedelta

from hazina.wallet.v1 import ledger_service_pb2
from tests.factories.wallet import OUTSIDE, Bank, post, told
from tests.harness import assert_refused


def _request(end: datetime, tenant: str = "default") -> ledger_service_pb2.ClosePeriodRequest:
    request = ledger_service_pb2.ClosePeriodRequest(tenant_id=tenant)
    request.end_time.FromDatetime(end)
    return request


def _ago(**delta: float) -> datetime:
    return datetime.now(UTC) - timedelta(**delta)


async def test_a_closed_period_takes_nothing_any_more(bank: Bank) -> None:
    end = _ago(days=1)
    answer = await bank.ops.ClosePeriod(_request(end))
    assert answer.end_time == _request(end).end_time
    late = post(OUTSIDE, "SYSTEM:FEES", 1, effective_time=end - timedelta(microseconds=1))
    assert [told(one) for one in await bank.transfers(late)] == ["PERIOD_CLOSED"]
    assert [told(one) for one in await bank.of("umoja").transfers(late)] == ["CREATED"]


async def test_repeating_it_and_closing_more_are_fine(bank: Bank) -> None:
    end = _ago(days=2)
    await bank.ops.ClosePeriod(_request(end))
    await bank.ops.ClosePeriod(_request(end))
    await bank.ops.ClosePeriod(_request(_ago(days=1)))


async def test_a_period_cannot_end_in_the_future_or_be_opened_again(bank: Bank) -> None:
    await bank.ops.ClosePeriod(_request(_ago(days=1)))
    for end in (_ago(days=-1), _ago(days=2)):
        with assert_refused("FAILED_PRECONDITION", "PERIOD_END_INVALID"):
            await bank.ops.ClosePeriod(_request(end))


async def test_it_needs_a_time(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "endTime"):
        await bank.ops.ClosePeriod(ledger_service_pb2.ClosePeriodRequest(tenant_id="default"))
    request = _request(_ago(days=1))
    request.end_time.nanos = -1
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED"):
        await bank.ops.ClosePeriod(request)


async def test_only_operators_may(bank: Bank) -> None:
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await bank.payments.ClosePeriod(_request(_ago(days=1)))
