"""The Africa's Talking adapter against answers as the real one gives them."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import httpx
import pytest

from services.comms.clients.africastalking import AfricasTalking
from services.comms.domain import Channel, Delivery, Recipient, Text
from services.comms.errors import ChannelUnavailable, RecipientRefused

DELIVERY = Delivery(uuid4(), Recipient(Channel.SMS, "+254712345678"), Text("", "Habari ñ"))


def answering(answer: Callable[[httpx.Request], httpx.Response], sender: str = "") -> Any:
    """The adapter in front of a server that answers so."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return AfricasTalking(
        http, "https://api.example/", username="sandbox", api_key="hush", sender=sender
    )


def recipient(code: int, status: str = "Success") -> httpx.Response:
    return httpx.Response(
        201,
        json={
            "SMSMessageData": {
                "Message": "Sent to 1/1 Total Cost: KES 0.8000",
                "Recipients": [
                    {
                        "statusCode": code,
                        "number": "+254712345678",
                        "status": status,
                        "cost": "KES 0.8000",
                        "messageId": "ATXid_1",
                    }
                ],
            }
        },
    )


async def test_a_message_is_a_form_with_the_key_in_a_header() -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return recipient(101)

    assert await answering(take, sender="HAZINA").send(DELIVERY) == "ATXid_1"
    [request] = seen
    assert str(request.url) == "https://api.example/version1/messaging"
    assert request.headers["apikey"] == "hush"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode()) == {
        "username": ["sandbox"],
        "to": ["+254712345678"],
        "message": ["Habari ñ"],
        "bulkSMSMode": ["1"],
        "from": ["HAZINA"],
    }


@pytest.mark.parametrize("code", [100, 101, 102])
async def test_processed_sent_and_queued_are_taken(code: int) -> None:
    assert await answering(lambda _: recipient(code)).send(DELIVERY) == "ATXid_1"


@pytest.mark.parametrize("code", [401, 403, 404, 406, 407, 409, 502])
async def test_a_number_that_cannot_be_reached_is_refused(code: int) -> None:
    with pytest.raises(RecipientRefused) as refusal:
        await answering(lambda _: recipient(code, "X")).send(DELIVERY)
    assert refusal.value.fault.startswith(f"SMS_{code}")


@pytest.mark.parametrize("code", [402, 405, 500, 501, 999])
async def test_trouble_of_the_account_or_the_provider_is_for_later(code: int) -> None:
    with pytest.raises(ChannelUnavailable) as refusal:
        await answering(lambda _: recipient(code, "X")).send(DELIVERY)
    assert refusal.value.fault == f"SMS_{code}"


def _endless(_: httpx.Request) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 4096

    return httpx.Response(201, content=body())


def _broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def _late(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late", request=request)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda _: httpx.Response(500), "SMS_HTTP_500"),
        (
            lambda _: httpx.Response(401, text="The supplied authentication is invalid"),
            "SMS_HTTP_401",
        ),
        (
            lambda _: httpx.Response(302, headers={"location": "http://169.254.169.254/"}),
            "SMS_HTTP_302",
        ),
        (lambda _: httpx.Response(201, text="<html>"), "SMS_ANSWER_UNREADABLE"),
        (lambda _: httpx.Response(201, json=[]), "SMS_ANSWER_UNREADABLE"),
        (
            lambda _: httpx.Response(201, json={"SMSMessageData": {"Recipients": [{}]}}),
            "SMS_ANSWER_UNREADABLE",
        ),
        (
            lambda _: httpx.Response(
                201, json={"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}
            ),
            "SMS_NO_RECIPIENT",
        ),
        (_endless, "SMS_ANSWER_UNREADABLE"),
        (_broken, "SMS_UNREACHABLE"),
        (_late, "SMS_UNREACHABLE"),
    ],
)
async def test_an_odd_answer_or_none_is_for_later(
    answer: Callable[[httpx.Request], httpx.Response], fault: str
) -> None:
    with pytest.raises(ChannelUnavailable) as refusal:
        await answering(answer).send(DELIVERY)
    assert refusal.value.fault == fault
