"""Contract to domain and back."""

from collections.abc import Sequence
from uuid import UUID

import phonenumbers
from google.protobuf.timestamp_pb2 import Timestamp

from hazina.auth.v1 import auth_events_pb2
from hazina.comms.v1 import development_service_pb2, message_service_pb2
from hazina.payments.v1 import payments_events_pb2, transaction_pb2
from hazina.type.v1 import money_pb2
from services.comms.clients.viewers import Arrival
from services.comms.domain import (
    LOCALES,
    Channel,
    Contact,
    Movement,
    Recipient,
    is_mail_address,
)
from services.kit.errors import FieldViolation, ValidationFailed
from services.kit.money import Money

__all__ = ["contact", "movement", "recipient", "sent_messages", "template", "wanted"]

HOME_REGION = "KE"
"""Numbers without a country are Kenyan."""

PersonEvent = (
    auth_events_pb2.UserVerified | auth_events_pb2.UserUpdated | auth_events_pb2.MemberAdded
)


def template(request: message_service_pb2.SendMessageRequest) -> str:
    """The name of the template that is asked for."""
    return message_service_pb2.SendMessageRequest.Template.Name(request.template)


def recipient(request: message_service_pb2.SendMessageRequest) -> Recipient:
    """Where a message goes. Raises ValidationFailed for an address that cannot be one."""
    if request.WhichOneof("recipient") == "email":
        return Recipient(Channel.EMAIL, _email(request.email, "email"))
    return Recipient(Channel.SMS, request.phone)


def wanted(text: str) -> tuple[tuple[Channel, ...], str]:
    """The channels to look into and the address in its usual spelling. Raises ValidationFailed."""
    text = text.strip()
    if not text:
        return (Channel.EMAIL, Channel.SMS), ""
    if "@" in text:
        return (Channel.EMAIL,), _email(text, "recipient")
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise _violation(
            "recipient", "must be an email address or a phone number", "recipient.known"
        )
    return (Channel.SMS,), phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def sent_messages(arrivals: Sequence[Arrival]) -> list[development_service_pb2.SentMessage]:
    """Render what arrived."""
    rendered = []
    for arrival in arrivals:
        time = Timestamp()
        time.FromDatetime(arrival.arrive_time)
        rendered.append(
            development_service_pb2.SentMessage(
                channel=arrival.channel.value,
                recipient=arrival.recipient,
                subject=arrival.subject,
                body=arrival.body,
                sent_time=time,
            )
        )
    return rendered


def contact(event: PersonEvent, *, version: int) -> Contact:
    """How to reach the person of an event."""
    return Contact(
        user_id=UUID(event.user_id),
        display_name=event.display_name,
        email=event.email,
        phone=event.phone,
        locale=event.locale if event.locale in LOCALES else LOCALES[0],
        version=version,
    )


def movement(event: payments_events_pb2.TransactionChanged) -> Movement:
    """What an event says of a transaction."""
    transaction = event.transaction
    kinds, states = transaction_pb2.Transaction.Kind, transaction_pb2.Transaction.State
    amount = _money(transaction.amount)
    return Movement(
        kind=kinds.Name(transaction.kind),
        state=states.Name(transaction.state),
        amount=amount,
        fee=_money(transaction.fee) if transaction.fee.currency else Money(amount.currency, 0),
        payer_id=UUID(event.payer_user_id) if event.payer_user_id else None,
        payee_id=UUID(event.payee_user_id) if event.payee_user_id else None,
        payer_name=event.payer_name,
        payee_name=event.payee_name,
        receipt=transaction.provider_receipt,
        note=transaction.note,
    )


def _email(text: str, field: str) -> str:
    text = text.strip()
    if not is_mail_address(text):
        raise _violation(field, "must be an email address", "email.form")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def _money(value: money_pb2.Money) -> Money:
    return Money(value.currency, value.minor_units)


def _violation(field: str, description: str, reason: str) -> ValidationFailed:
    return ValidationFailed(field_violations=[FieldViolation(field, description, reason)])
