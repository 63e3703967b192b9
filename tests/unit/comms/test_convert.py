"""Contract to domain and back."""

from uuid import uuid4

import pytest

from hazina.auth.v1.auth_events_pb2 import UserVerified
from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from hazina.payments.v1.payments_events_pb2 import TransactionChanged
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.type.v1.money_pb2 import Money as MoneyMessage
from services.comms import convert
from services.comms.domain import TEMPLATES, Channel, Recipient
from services.kit.errors import ValidationFailed
from services.kit.money import Money


def test_every_template_of_the_contract_has_words() -> None:
    names = {name for name in SendMessageRequest.Template.keys() if name != "TEMPLATE_UNSPECIFIED"}  # noqa: SIM118
    assert names <= set(TEMPLATES)


def test_the_domain_of_an_email_address_is_lower_case() -> None:
    request = SendMessageRequest(email=" Asha.W@Example.COM")
    assert convert.recipient(request) == Recipient(Channel.EMAIL, "Asha.W@example.com")


@pytest.mark.parametrize(
    "email",
    [
        "asha",
        "@example.com",
        "asha@",
        "a sha@example.com",
        "asha@example.com,brian@example.com",
        "Asha <asha@example.com>",
        "asha@example.com\r\nBcc:b@example.com",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(email: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        convert.recipient(SendMessageRequest(email=email))
    assert [violation.field for violation in refusal.value.field_violations] == ["email"]


@pytest.mark.parametrize(
    ("text", "channels", "address"),
    [
        ("", (Channel.EMAIL, Channel.SMS), ""),
        ("  ", (Channel.EMAIL, Channel.SMS), ""),
        ("asha@EXAMPLE.com", (Channel.EMAIL,), "asha@example.com"),
        ("0712 345 678", (Channel.SMS,), "+254712345678"),
        ("+255712345678", (Channel.SMS,), "+255712345678"),
    ],
)
def test_what_is_looked_for(text: str, channels: tuple[Channel, ...], address: str) -> None:
    assert convert.wanted(text) == (channels, address)


def test_a_contact_in_an_unknown_language_speaks_english() -> None:
    user_id = uuid4()
    event = UserVerified(user_id=str(user_id), display_name="Asha", email="a@b.c", locale="fr")
    contact = convert.contact(event, version=7)
    assert (contact.user_id, contact.locale, contact.version) == (user_id, "en", 7)


def test_a_transaction_keeps_what_people_are_told() -> None:
    payer = uuid4()
    movement = convert.movement(
        TransactionChanged(
            transaction=Transaction(
                kind=Transaction.WITHDRAWAL,
                state=Transaction.FAILED,
                amount=MoneyMessage(currency="KES", minor_units=20000),
                provider_receipt="R1",
                note="n",
            ),
            payer_user_id=str(payer),
            payer_name="Asha",
        )
    )
    assert (movement.kind, movement.state) == ("WITHDRAWAL", "FAILED")
    assert (movement.amount, movement.fee) == (Money("KES", 20000), Money("KES", 0))
    assert (movement.payer_id, movement.payee_id) == (payer, None)
    assert (movement.receipt, movement.note) == ("R1", "n")
