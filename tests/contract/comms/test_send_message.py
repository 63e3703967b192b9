"""MessageService.SendMessage: a message goes out once, or the caller learns why not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from hazina.comms.v1.message_service_pb2_grpc import MessageServiceStub
from simulators.sms.exchange import Fault
from tests.factories import comms
from tests.factories.comms import Receivers
from tests.harness import Harness, Running, assert_refused


@pytest.fixture
async def running(harness: Harness, receivers: Receivers) -> AsyncIterator[Running]:
    async with comms.comms(harness, receivers) as running:
        yield running


@pytest.fixture
def messages(running: Running) -> Any:
    return running.stub(MessageServiceStub, through_mesh_as="auth")


def code(**fields: Any) -> SendMessageRequest:
    """A sign-up code by email, unless told otherwise."""
    values: dict[str, Any] = {
        "tenant_id": "default",
        "message_id": str(uuid4()),
        "template": SendMessageRequest.SIGN_UP_CODE,
        "locale": "en",
        "variables": {"code": "123456", "minutes": "10"},
        **fields,
    }
    if "phone" not in values:
        values.setdefault("email", "asha@example.com")
    return SendMessageRequest(**values)


async def test_a_code_arrives_by_email(messages: Any, receivers: Receivers) -> None:
    answer = await messages.SendMessage(code())
    assert not answer.already_sent
    [mail] = receivers.mails("asha@example.com")
    assert mail.subject == "Your Hazina code is 123456"
    assert "Your code is 123456. It is good for 10 minutes." in mail.body


async def test_a_code_arrives_by_sms_in_swahili(messages: Any, receivers: Receivers) -> None:
    await messages.SendMessage(code(phone="+254712345678", locale="sw"))
    [text] = receivers.sms("+254712345678")
    assert text.body == "Hazina: nambari yako ni 123456, kwa dakika 10. Usimpe mtu yeyote."
    assert text.subject == ""


async def test_a_repeated_message_id_sends_nothing_twice(
    messages: Any, receivers: Receivers
) -> None:
    request = code()
    await messages.SendMessage(request)
    again = await messages.SendMessage(request)
    assert again.already_sent
    assert len(receivers.mails()) == 1


async def test_twenty_calls_at_once_with_one_id_send_one_message(
    messages: Any, receivers: Receivers
) -> None:
    request = code()
    answers = await asyncio.gather(*(messages.SendMessage(request) for _ in range(20)))
    assert [answer.already_sent for answer in answers].count(False) == 1
    assert len(receivers.mails()) == 1


async def test_the_words_of_a_secret_template_are_not_stored(
    messages: Any, harness: Harness
) -> None:
    await messages.SendMessage(code())
    await messages.SendMessage(code(template=SendMessageRequest.IDENTIFIER_TAKEN, variables={}))
    place = await harness.database("comms")
    admin = await asyncpg.connect(place.admin_url)
    try:
        rows = await admin.fetch("SELECT * FROM comms.message ORDER BY create_time")
    finally:
        await admin.close()
    secret, plain = rows
    assert (secret["subject"], secret["body"]) == (None, None)
    assert "123456" not in str(dict(secret))
    assert plain["body"] is not None
    assert {secret["state"], plain["state"]} == {"SENT"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"code": "123456"}, "minutes"),
        ({"code": "123456", "minutes": "10", "link": "x"}, "link"),
        ({"code": " ", "minutes": "10"}, "code"),
    ],
)
async def test_variables_that_do_not_fit_the_template_are_refused(
    messages: Any, receivers: Receivers, variables: dict[str, str], named: str
) -> None:
    with assert_refused("INVALID_ARGUMENT", "TEMPLATE_VARIABLE_MISMATCH") as refusal:
        await messages.SendMessage(code(variables=variables))
    assert refusal.domain == "comms.hazina"
    assert refusal.metadata["variable"] == named
    assert not receivers.mails()


@pytest.mark.parametrize(
    "other",
    [
        {"email": "brian@example.com"},
        {"variables": {"code": "654321", "minutes": "10"}},
        {"locale": "sw"},
        {"template": SendMessageRequest.RECOVERY_CODE},
    ],
)
async def test_a_message_id_cannot_be_used_for_another_message(
    messages: Any, receivers: Receivers, other: dict[str, Any]
) -> None:
    message_id = str(uuid4())
    await messages.SendMessage(code(message_id=message_id))
    with assert_refused("ABORTED", "MESSAGE_EXISTS"):
        await messages.SendMessage(code(message_id=message_id, **other))
    assert len(receivers.mails()) == 1


async def test_a_mail_server_that_is_busy_makes_the_channel_unavailable_and_a_repeat_sends(
    messages: Any, receivers: Receivers
) -> None:
    receivers.mail.faults.temporary = 1
    request = code()
    with assert_refused("UNAVAILABLE", "CHANNEL_UNAVAILABLE") as refusal:
        await messages.SendMessage(request)
    assert refusal.retry_after_seconds
    answer = await messages.SendMessage(request)
    assert not answer.already_sent
    assert len(receivers.mails()) == 1


async def test_a_recipient_that_the_mail_server_refuses_is_refused_for_good(
    messages: Any, receivers: Receivers
) -> None:
    receivers.mail.faults.refused = frozenset({"asha@example.com"})
    request = code()
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "RECIPIENT_REFUSED") as refusal:
            await messages.SendMessage(request)
    assert "asha" not in refusal.message


@pytest.mark.parametrize("fault", ["InsufficientBalance", "broken", "GatewayError"])
async def test_an_sms_provider_in_trouble_makes_the_channel_unavailable(
    messages: Any, receivers: Receivers, fault: str
) -> None:
    receivers.text_faults.on.append(Fault(fault, remaining=1))
    request = code(phone="+254712345678")
    with assert_refused("UNAVAILABLE", "CHANNEL_UNAVAILABLE"):
        await messages.SendMessage(request)
    await messages.SendMessage(request)
    assert len(receivers.sms()) == 1


async def test_a_number_on_the_provider_s_blacklist_is_refused_for_good(
    messages: Any, receivers: Receivers
) -> None:
    receivers.text_faults.on.append(Fault("UserInBlacklist"))
    with assert_refused("FAILED_PRECONDITION", "RECIPIENT_REFUSED"):
        await messages.SendMessage(code(phone="+254712345678"))


async def test_a_provider_that_is_not_there_makes_the_channel_unavailable(
    harness: Harness, receivers: Receivers
) -> None:
    nowhere = {
        "HAZINA_SMTP_URL": "smtp://127.0.0.1:9",
        "HAZINA_AFRICASTALKING_URL": "http://127.0.0.1:9",
    }
    async with comms.comms(harness, receivers, variables=nowhere) as running:
        messages = running.stub(MessageServiceStub, through_mesh_as="auth")
        for request in (code(), code(phone="+254712345678")):
            with assert_refused("UNAVAILABLE", "CHANNEL_UNAVAILABLE"):
                await messages.SendMessage(request)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tenant_id": "Not A Tenant"}, "tenantId"),
        ({"message_id": "seven"}, "messageId"),
        ({"template": 0}, "template"),
        ({"template": 99}, "template"),
        ({"locale": "fr"}, "locale"),
        ({"email": "a" * 255}, "email"),
        ({"email": "no address"}, "email"),
        ({"phone": "0712345678"}, "phone"),
        ({"phone": "+254\x00712345678"}, "phone"),
        ({"variables": {"code": "1" * 513, "minutes": "10"}}, None),
    ],
)
async def test_bad_input_is_refused_with_its_field(
    messages: Any, receivers: Receivers, fields: dict[str, Any], path: str | None
) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", path):
        await messages.SendMessage(code(**fields))
    assert not receivers.mails() and not receivers.sms()


async def test_a_message_without_a_recipient_is_refused(messages: Any) -> None:
    request = code()
    request.ClearField("email")
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED"):
        await messages.SendMessage(request)


async def test_only_auth_and_groups_may_send(running: Running) -> None:
    for caller in ("payments", "wallet", "ops"):
        with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await running.stub(MessageServiceStub, through_mesh_as=caller).SendMessage(code())
    with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
        await running.stub(MessageServiceStub).SendMessage(code())
    await running.stub(MessageServiceStub, identity="groups").SendMessage(code())
