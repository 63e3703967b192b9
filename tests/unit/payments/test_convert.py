"""Parsing and rendering."""

import pytest

from hazina.payments.v1 import payment_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from services.payments import convert
from services.payments.domain import Flow, Kind, Method, State
from services.payments.errors import PhoneInvalid
from tests.factories.payments import deposit_request, money, transfer_request
from tests.unit.payments.test_domain import ASHA, BRIAN, made


def test_a_transfer_is_parsed() -> None:
    assert ASHA.wallet_id is not None and BRIAN.wallet_id is not None
    order = convert.transfer_order(transfer_request(ASHA.wallet_id, BRIAN.wallet_id, 5, note="n"))
    assert order.destination.wallet_id == BRIAN.wallet_id and order.destination.identifier == ""
    assert (order.currency, order.amount_minor, order.note) == ("KES", 5, "n")
    by_name = convert.transfer_order(transfer_request(ASHA.wallet_id, "b@example.org", 5))
    assert by_name.destination.wallet_id is None
    assert by_name.destination.identifier == "b@example.org"


def test_a_phone_is_written_in_one_way_or_refused() -> None:
    assert ASHA.wallet_id is not None
    order = convert.outside_order(deposit_request(ASHA.wallet_id, phone="0712 345 678"))
    assert (order.phone, order.method) == ("254712345678", Method.MOBILE_MONEY)
    with pytest.raises(PhoneInvalid):
        convert.outside_order(deposit_request(ASHA.wallet_id, phone="12345678"))


@pytest.mark.parametrize("method", ["card", "lightning"])
def test_other_methods_have_no_phone(method: str) -> None:
    request = payment_service_pb2.CreateDepositRequest(
        wallet_id=str(ASHA.wallet_id), amount=money(5)
    )
    getattr(request, method).SetInParent()
    order = convert.outside_order(request)
    assert order.method.value.lower() == method and order.phone == ""


def test_filters_that_are_not_given_choose_everything() -> None:
    request = payment_service_pb2.ListTransactionsRequest()
    assert convert.list_filters(request) == (None, None, None)
    request = payment_service_pb2.ListTransactionsRequest(
        wallet_id=str(ASHA.wallet_id), state=Transaction.COMPLETED, kind=Transaction.TRANSFER
    )
    assert convert.list_filters(request) == (ASHA.wallet_id, State.COMPLETED, Kind.TRANSFER)


def test_each_side_sees_the_other_ones_masked_name() -> None:
    transfer = made(Flow.INSIDE, State.COMPLETED)
    for viewer, name in ((ASHA, "B****"), (BRIAN, "A***")):
        shown = convert.transaction(transfer, viewer_id=viewer.user_id)
        assert shown.counterparty_name == name
    assert convert.transaction(transfer, viewer_id=None).counterparty_name == ""


def test_the_world_outside_has_no_name() -> None:
    shown = convert.transaction(made(Flow.OUT), viewer_id=ASHA.user_id)
    assert shown.counterparty_name == ""
