"""BatchGetTransfers."""

from datetime import UTC, datetime, timedelta

from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from tests.factories.wallet import OUTSIDE, Bank, hold, new_id, post, post_hold, void_hold
from tests.harness import assert_refused

State = ledger_service_pb2.BookedTransfer.HoldState


def _request(*ids: str, tenant: str = "default") -> ledger_service_pb2.BatchGetTransfersRequest:
    return ledger_service_pb2.BatchGetTransfersRequest(tenant_id=tenant, transfer_ids=ids)


async def test_it_answers_steps_as_they_were_booked(bank: Bank) -> None:
    wallet = await bank.wallet()
    payment = post(OUTSIDE, wallet, 70, reference="SGR7X1", code="DEPOSIT")
    [verdict] = await bank.book(payment)
    [booked] = (await bank.payments.BatchGetTransfers(_request(payment.id))).transfers
    assert booked.transfer.debit.account_id == verdict.debit_account.id
    assert booked.transfer.credit.account_id == wallet
    assert (booked.transfer.code, booked.transfer.reference) == ("DEPOSIT", "SGR7X1")
    assert booked.transfer.amount == payment.amount
    assert booked.transfer.effective_time == booked.create_time
    assert booked.seq > 0 and booked.hold_state == State.HOLD_STATE_UNSPECIFIED


async def test_places_rise_in_the_order_of_steps(bank: Bank) -> None:
    payments = [post(OUTSIDE, "SYSTEM:FEES", 1) for _ in range(20)]
    await bank.book(*payments)
    answer = await bank.payments.BatchGetTransfers(_request(*(one.id for one in payments)))
    seqs = {one.transfer.id: one.seq for one in answer.transfers}
    ordered = [seqs[one.id] for one in payments]
    assert ordered == sorted(ordered) and len(set(ordered)) == 20


async def test_it_tells_what_has_become_of_holds(bank: Bank) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    held, posted, voided = (hold(OUTSIDE, "SYSTEM:FEES", 9, expire_time=soon) for _ in range(3))
    part = post_hold(posted.id, amount=4)
    await bank.book(held, posted, voided, part, void_hold(voided.id))
    ids = [held.id, posted.id, voided.id, part.id]
    answer = await bank.payments.BatchGetTransfers(_request(*ids))
    found = {one.transfer.id: one for one in answer.transfers}
    assert [found[one].hold_state for one in ids] == [
        State.HELD,
        State.POSTED,
        State.VOIDED,
        State.HOLD_STATE_UNSPECIFIED,
    ]
    assert found[part.id].transfer.kind == ledger_pb2.Transfer.POST_HOLD
    assert found[part.id].transfer.amount.minor_units == 4
    assert found[held.id].transfer.expire_time.seconds == int(soon.timestamp())


async def test_unknown_transfers_and_those_of_other_tenants_are_left_out(bank: Bank) -> None:
    payment = post(OUTSIDE, "SYSTEM:FEES", 1)
    await bank.of("umoja").book(payment)
    answer = await bank.payments.BatchGetTransfers(_request(payment.id, new_id()))
    assert not answer.transfers
    answer = await bank.payments.BatchGetTransfers(_request(payment.id, tenant="umoja"))
    assert len(answer.transfers) == 1


async def test_bad_ids_are_refused(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transferIds[0]"):
        await bank.payments.BatchGetTransfers(_request("x"))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "transferIds"):
        await bank.payments.BatchGetTransfers(_request())
