"""Transactions as the contract shows them."""

from dataclasses import replace

from hazina.payments.v1.transaction_pb2 import Transaction
from services.payments.domain import Flow, Kind, State
from services.payments.events import render
from tests.unit.payments.test_domain import ASHA, BRIAN, NOW, made


def test_every_kind_and_state_has_a_name_in_the_contract() -> None:
    for kind in Kind:
        assert Transaction.Kind.Value(kind)
    for state in State:
        assert Transaction.State.Value(state)


def test_a_transfer_shows_both_wallets_and_its_times() -> None:
    message = render(made(Flow.INSIDE, State.COMPLETED), counterparty_name="B****")
    assert message.source_wallet_id == str(ASHA.wallet_id)
    assert message.destination_wallet_id == str(BRIAN.wallet_id)
    assert (message.amount.minor_units, message.fee.minor_units) == (20_000, 1_500)
    assert message.total.minor_units == 21_500 and message.counterparty_name == "B****"
    assert message.complete_time.ToDatetime().hour == NOW.hour


def test_what_is_open_has_no_end() -> None:
    message = render(made(Flow.IN, State.PROCESSING))
    assert not message.HasField("complete_time") and message.source_wallet_id == ""


def test_a_reversal_that_is_not_done_is_not_shown_at_what_it_undoes() -> None:
    original = made(Flow.INSIDE, State.COMPLETED)
    named = replace(original, reversal_transaction_id=original.id)
    assert render(named).reversal_transaction_id == ""
    undone = replace(named, state=State.REVERSED)
    assert render(undone).reversal_transaction_id == str(original.id)
