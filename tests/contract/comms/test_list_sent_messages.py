"""DevelopmentService.ListSentMessages: what the receivers really got."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest

from hazina.comms.v1.development_service_pb2 import ListSentMessagesRequest, SentMessage
from hazina.comms.v1.development_service_pb2_grpc import DevelopmentServiceStub
from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from hazina.comms.v1.message_service_pb2_grpc import MessageServiceStub
from tests.factories import comms
from tests.factories.comms import Receivers
from tests.harness import Harness, Running, assert_refused


@pytest.fixture
async def running(harness: Harness, receivers: Receivers) -> AsyncIterator[Running]:
    async with comms.comms(harness, receivers) as running:
        yield running


@pytest.fixture
def development(running: Running) -> Any:
    return running.stub(DevelopmentServiceStub)


async def send(running: Running, code: str, **recipient: str) -> None:
    """Send a sign-up code."""
    messages = running.stub(MessageServiceStub, through_mesh_as="auth")
    await messages.SendMessage(
        SendMessageRequest(
            tenant_id="default",
            message_id=str(uuid4()),
            template=SendMessageRequest.SIGN_UP_CODE,
            locale="en",
            variables={"code": code, "minutes": "10"},
            **recipient,
        )
    )


def codes(messages: list[SentMessage]) -> list[str]:
    """The codes in messages, in their order."""
    return [message.body.partition(" is ")[2][:3] for message in messages]


async def test_both_channels_are_listed_newest_first(running: Running, development: Any) -> None:
    await send(running, "111", email="asha@example.com")
    await send(running, "222", phone="+254712345678")
    await send(running, "333", email="asha@example.com")
    answer = await development.ListSentMessages(ListSentMessagesRequest())
    assert codes(answer.messages) == ["333", "222", "111"]
    mail, text, _ = answer.messages
    assert (mail.channel, mail.recipient) == ("EMAIL", "asha@example.com")
    assert mail.subject == "Your Hazina code is 333"
    assert (text.channel, text.recipient, text.subject) == ("SMS", "+254712345678", "")
    assert mail.sent_time.ToDatetime() > text.sent_time.ToDatetime()
    assert answer.next_page_token == ""


@pytest.mark.parametrize(
    "spelling", ["0712345678", "+254712345678", "254712345678", "0712 345 678"]
)
async def test_a_phone_number_is_found_in_any_usual_spelling(
    running: Running, development: Any, spelling: str
) -> None:
    await send(running, "111", phone="+254712345678")
    await send(running, "222", phone="+254700000000")
    answer = await development.ListSentMessages(ListSentMessagesRequest(recipient=spelling))
    assert codes(answer.messages) == ["111"]


async def test_an_email_address_is_found_whatever_its_case(
    running: Running, development: Any
) -> None:
    await send(running, "111", email="asha@example.com")
    await send(running, "222", email="brian@example.com")
    answer = await development.ListSentMessages(
        ListSentMessagesRequest(recipient=" Asha@Example.com ")
    )
    assert codes(answer.messages) == ["111"]


async def test_pages_show_every_message_once_and_are_not_moved_by_new_ones(
    running: Running, development: Any
) -> None:
    for number in range(5):
        recipient = {"email": "a@b.example"} if number % 2 else {"phone": "+254712345678"}
        await send(running, str(100 + number), **recipient)
    first = await development.ListSentMessages(ListSentMessagesRequest(page_size=2))
    await send(running, "999", email="a@b.example")
    second = await development.ListSentMessages(
        ListSentMessagesRequest(page_size=2, page_token=first.next_page_token)
    )
    third = await development.ListSentMessages(
        ListSentMessagesRequest(page_size=2, page_token=second.next_page_token)
    )
    seen = [*first.messages, *second.messages, *third.messages]
    assert codes(seen) == ["104", "103", "102", "101", "100"]
    assert third.next_page_token == ""


async def test_page_sizes_are_fifty_by_default_and_a_hundred_at_most(
    receivers: Receivers, development: Any
) -> None:
    for number in range(105):
        receivers.mailbox.add(
            recipient="a@b.example", subject="", body=f"{number}", reference=f"{number}"
        )
    for size, shown in ((0, 50), (100, 100), (5000, 100)):
        answer = await development.ListSentMessages(ListSentMessagesRequest(page_size=size))
        assert len(answer.messages) == shown
        assert answer.next_page_token


async def test_a_page_token_of_another_list_is_refused(running: Running, development: Any) -> None:
    await send(running, "111", email="a@b.example")
    await send(running, "222", email="a@b.example")
    first = await development.ListSentMessages(ListSentMessagesRequest(page_size=1))
    for recipient, token in (
        ("a@b.example", first.next_page_token),
        ("", first.next_page_token[:-2] + "xx"),
        ("", "nonsense"),
    ):
        with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
            await development.ListSentMessages(
                ListSentMessagesRequest(recipient=recipient, page_size=1, page_token=token)
            )


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (ListSentMessagesRequest(recipient="nobody"), "recipient"),
        (ListSentMessagesRequest(recipient="12"), "recipient"),
        (ListSentMessagesRequest(recipient="@"), "recipient"),
        (ListSentMessagesRequest(recipient="a" * 255), "recipient"),
        (ListSentMessagesRequest(recipient="a@b\x00.example"), "recipient"),
        (ListSentMessagesRequest(page_size=-1), "pageSize"),
        (ListSentMessagesRequest(page_token="x" * 2049), "pageToken"),
    ],
)
async def test_bad_input_is_refused_with_its_field(
    development: Any, request_: ListSentMessagesRequest, path: str
) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", path):
        await development.ListSentMessages(request_)


async def test_simulators_that_are_not_there_are_named_unavailable(
    harness: Harness, receivers: Receivers
) -> None:
    nowhere = {"HAZINA_SMS_VIEWER_URL": "http://127.0.0.1:9"}
    async with comms.comms(harness, receivers, variables=nowhere) as running:
        with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
            await running.stub(DevelopmentServiceStub).ListSentMessages(ListSentMessagesRequest())


async def test_the_production_profile_does_not_serve_it(
    harness: Harness, receivers: Receivers
) -> None:
    production = {"HAZINA_PROFILE": "production"}
    async with comms.comms(harness, receivers, variables=production) as running:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await running.stub(DevelopmentServiceStub).ListSentMessages(ListSentMessagesRequest())
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
