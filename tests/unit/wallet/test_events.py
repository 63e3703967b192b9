"""Events are built from what is booked."""

from hazina.wallet.v1 import wallet_events_pb2
from services.wallet import events
from services.wallet.domain import Booked
from tests.factories.wallet_books import START, Memory, id_at, step, wallet


def test_an_event_has_the_step_resolved_and_the_same_id_each_time() -> None:
    memory = Memory()
    payer = wallet(1, funds=100)
    memory.open(payer)
    held = step("HOLD", 1, debit=payer.id, credit="EXTERNAL:mpesa", amount=70)
    ending = step("POST_HOLD", 2, hold_id=held.id)
    memory.post(held, ending)
    booked = Booked(memory.transfers[ending.id], 8, "user:asha", None)
    envelope = events.transfer_booked("default", booked)
    payload = wallet_events_pb2.TransferBooked()
    assert envelope.payload.Unpack(payload)
    assert (envelope.type, envelope.aggregate_id) == ("wallet.transfer.booked", str(ending.id))
    assert envelope.actor == "user:asha" and payload.seq == 8
    assert payload.transfer.amount.minor_units == 70, "the whole hold"
    assert payload.debit_account_id == payload.transfer.debit.account_id == str(payer.id)
    assert payload.credit_account_id == str(memory.by_code("EXTERNAL:mpesa").id)
    assert events.transfer_booked("default", booked).event_id == envelope.event_id
    assert events.transfer_booked("umoja", booked).event_id != envelope.event_id


def test_the_time_of_an_event_is_that_of_the_booking() -> None:
    assert events.timestamp(START).seconds == int(START.timestamp())
    assert id_at(START, 1) != id_at(START, 2)
