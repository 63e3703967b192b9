"""The simulator speaks like Daraja: tokens, passwords, checks, results, and every fault on demand."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from simulators.mobile_money import server
from simulators.mobile_money.books import Books
from simulators.mobile_money.faults import Faults
from simulators.mobile_money.provider import Provider

PHONE = "254712345678"
ACCOUNT = server.Account("key", "secret", "174379", "passkey")


class World:
    """The simulator, and what it called back."""

    def __init__(self, file: Path | None = None) -> None:
        self.provider = Provider(Books(file), Faults(), delay_seconds=0.01)
        self.app: Starlette = server.build(self.provider, ACCOUNT)
        self.called_back: list[tuple[str, dict[str, Any]]] = []
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://daraja"
        )

        async def note(url: str, body: dict[str, Any]) -> str:
            self.called_back.append((url, body))
            return "HTTP 200"

        self.provider._post = note  # type: ignore[method-assign]

    async def token(self) -> None:
        """Get a token and use it from now on."""
        answer = await self.client.get(
            "/oauth/v1/generate?grant_type=client_credentials", auth=("key", "secret")
        )
        assert answer.json()["expires_in"] == "3599"
        self.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    async def push(self, **changes: Any) -> httpx.Response:
        """Ask a phone to pay 50 shillings."""
        timestamp = "20261120120000"
        body = {
            "BusinessShortCode": "174379",
            "Password": base64.b64encode(f"174379passkey{timestamp}".encode()).decode(),
            "Timestamp": timestamp,
            "Amount": 50,
            "PhoneNumber": PHONE,
            "CallBackURL": "http://us/callback",
            "AccountReference": "a-deposit",
            **changes,
        }
        return await self.client.post("/mpesa/stkpush/v1/processrequest", json=body)

    async def pay(self, **changes: Any) -> httpx.Response:
        """Pay a phone 50 shillings."""
        body = {
            "OriginatorConversationID": "ours",
            "InitiatorName": "i",
            "SecurityCredential": "c",
            "CommandID": "BusinessPayment",
            "Amount": 50,
            "PartyA": "174379",
            "PartyB": PHONE,
            "ResultURL": "http://us/result",
            "QueueTimeOutURL": "http://us/result",
            **changes,
        }
        return await self.client.post("/mpesa/b2c/v3/paymentrequest", json=body)

    async def ask_push(self, checkout_request_id: str) -> httpx.Response:
        """How did a push end?"""
        timestamp = "20261120120000"
        return await self.client.post(
            "/mpesa/stkpushquery/v1/query",
            json={
                "BusinessShortCode": "174379",
                "Password": base64.b64encode(f"174379passkey{timestamp}".encode()).decode(),
                "Timestamp": timestamp,
                "CheckoutRequestID": checkout_request_id,
            },
        )

    async def ask_status(self, conversation_id: str) -> dict[str, Any]:
        """How did a payment end? Answers the result that was called back."""
        before = len(self.called_back)
        answer = await self.client.post(
            "/mpesa/transactionstatus/v1/query",
            json={
                "PartyA": "174379",
                "OriginalConversationID": conversation_id,
                "ResultURL": "http://us/answer",
            },
        )
        assert answer.json()["ResponseCode"] == "0"
        await self.until(before + 1)
        result: dict[str, Any] = self.called_back[-1][1]["Result"]
        return result

    async def until(self, count: int) -> None:
        """Wait for so many callbacks."""
        for _ in range(300):
            if len(self.called_back) >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(self.called_back)} callbacks instead of {count}")

    async def fault(self, kind: str, **facts: Any) -> None:
        """Switch a fault on."""
        answer = await self.client.post("/_faults", json={"kind": kind, **facts})
        assert answer.status_code == 200, answer.text


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a result."""
    return {one["Key"]: one["Value"] for one in result["ResultParameters"]["ResultParameter"]}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A simulator with a token."""
    world = World()
    await world.token()
    yield world
    await world.provider.close()
    await world.client.aclose()


async def test_no_token_without_key_and_secret_and_no_request_without_a_token() -> None:
    world = World()
    answer = await world.client.get(
        "/oauth/v1/generate?grant_type=client_credentials", auth=("key", "wrong")
    )
    assert answer.status_code == 401
    answer = await world.push()
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "404.001.03")
    await world.provider.close()


async def test_a_push_succeeds_and_is_called_back_with_a_receipt(world: World) -> None:
    taken = (await world.push()).json()
    assert taken["ResponseCode"] == "0"
    assert (await world.ask_push(taken["CheckoutRequestID"])).json()["errorCode"] == "500.001.1001"
    await world.until(1)
    url, body = world.called_back[0]
    told = body["Body"]["stkCallback"]
    items = {one["Name"]: one["Value"] for one in told["CallbackMetadata"]["Item"]}
    assert url == "http://us/callback" and told["ResultCode"] == 0
    assert items["Amount"] == 50 and items["PhoneNumber"] == int(PHONE)
    asked = (await world.ask_push(taken["CheckoutRequestID"])).json()
    assert asked["ResultCode"] == "0" and "Amount" not in asked
    status = facts(await world.ask_status(taken["MerchantRequestID"]))
    assert status["ReceiptNo"] == items["MpesaReceiptNumber"]
    assert (status["TransactionStatus"], status["Amount"]) == ("Completed", 50)


async def test_a_payment_out_succeeds_and_its_id_is_taken_once(world: World) -> None:
    assert (await world.pay()).json()["ResponseCode"] == "0"
    again = await world.pay()
    assert again.status_code == 500 and "Duplicate" in again.json()["errorMessage"]
    await world.until(1)
    result = world.called_back[0][1]["Result"]
    assert result["ResultCode"] == 0 and result["OriginatorConversationID"] == "ours"
    assert facts(await world.ask_status("ours"))["TransactionStatus"] == "Completed"
    assert len(world.provider.books.all()) == 1


async def test_what_was_never_taken_is_not_known(world: World) -> None:
    assert (await world.ask_status("nothing"))["ResultCode"] != 0
    assert (await world.ask_push("nothing")).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"Amount": 0},
        {"Amount": 1.5},
        {"Amount": 250_001},
        {"PhoneNumber": "0712345678"},
        {"AccountReference": "x" * 13},
        {"CallBackURL": "nowhere"},
        {"BusinessShortCode": "1"},
        {"Timestamp": "today"},
    ],
)
async def test_requests_that_daraja_would_refuse_are_refused(
    world: World, changes: dict[str, Any]
) -> None:
    answer = await world.push(**changes)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "400.002.02")
    assert world.provider.books.all() == []


async def test_a_wrong_password_is_refused(world: World) -> None:
    assert (await world.push(Password="wrong")).json()["errorMessage"] == "Wrong credentials"


async def test_a_body_that_is_not_json_is_refused(world: World) -> None:
    answer = await world.client.post("/mpesa/b2c/v3/paymentrequest", content=b"{")
    assert answer.status_code == 400


@pytest.mark.parametrize("code", [1, 1032, 1037, 2001])
async def test_a_failure_has_its_code(world: World, code: int) -> None:
    await world.fault("failed", code=code)
    taken = (await world.push()).json()
    await world.until(1)
    told = world.called_back[0][1]["Body"]["stkCallback"]
    assert told["ResultCode"] == code and "CallbackMetadata" not in told
    assert (await world.ask_push(taken["CheckoutRequestID"])).json()["ResultCode"] == str(code)
    assert (
        facts(await world.ask_status(taken["MerchantRequestID"]))["TransactionStatus"] == "Failed"
    )


async def test_a_failure_may_turn_into_a_success(world: World) -> None:
    await world.fault("failed_then_success", seconds=0.05)
    await world.pay()
    await world.until(2)
    codes = [body["Result"]["ResultCode"] for _, body in world.called_back]
    assert codes == [1, 0]


async def test_a_callback_may_come_several_times(world: World) -> None:
    await world.fault("duplicate", copies=3)
    await world.push()
    await world.until(3)
    assert len({str(one) for one in world.called_back}) == 1


async def test_a_callback_may_overtake_the_answer(world: World) -> None:
    await world.fault("out_of_order")
    await world.push()
    assert len(world.called_back) == 1


async def test_another_amount_may_move(world: World) -> None:
    await world.fault("wrong_amount", amount=40)
    taken = (await world.push()).json()
    await world.until(1)
    assert facts(await world.ask_status(taken["MerchantRequestID"]))["Amount"] == 40


async def test_silence_lasts_until_it_is_ended(world: World) -> None:
    await world.fault("silent")
    taken = (await world.push()).json()
    await asyncio.sleep(0.05)
    assert world.called_back == []
    assert (await world.ask_push(taken["CheckoutRequestID"])).status_code == 500
    assert (await world.ask_status(taken["MerchantRequestID"]))["ResultCode"] != 0
    await world.client.post("/_speak")
    await world.until(2)
    assert (await world.ask_push(taken["CheckoutRequestID"])).json()["ResultCode"] == "0"


@pytest.mark.parametrize(("when", "count"), [("before", 0), ("after", 1)])
async def test_a_server_error_comes_before_or_after_the_request_was_taken(
    world: World, when: str, count: int
) -> None:
    await world.fault("server_error", when=when)
    assert (await world.pay()).status_code == 500
    assert len(world.provider.books.all()) == count


async def test_an_answer_may_come_late_and_a_payment_end_late(world: World) -> None:
    await world.fault("slow", seconds=0.05)
    await world.fault("late", seconds=0.1)
    assert (await world.pay()).status_code == 200
    assert world.called_back == []
    await world.until(1)


async def test_a_fault_meets_its_phone_its_operation_and_its_count_only(world: World) -> None:
    await world.fault("server_error", phone="254700000000")
    await world.fault("server_error", operation="b2c", count=1)
    assert (await world.push()).status_code == 200
    assert (await world.pay()).status_code == 500
    assert (await world.pay()).status_code == 200
    await world.client.delete("/_faults")
    assert (await world.client.get("/_faults")).json() == {"faults": []}


@pytest.mark.parametrize(
    "told",
    [
        {"kind": "fire"},
        {"kind": "late", "seconds": "2"},
        {"what": 1},
        {"kind": "late", "when": "x"},
    ],
)
async def test_what_is_no_fault_is_refused(world: World, told: dict[str, Any]) -> None:
    assert (await world.client.post("/_faults", json=told)).status_code == 400


async def test_the_statement_lists_what_moved(world: World) -> None:
    await world.push()
    await world.pay()
    await world.until(2)
    text = (await world.client.get("/statement.csv")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(one["operation"], one["amount"]) for one in rows] == [("stk", "50"), ("b2c", "-50")]
    assert all(one["receipt"] for one in rows)


async def test_a_restart_forgets_nothing_and_ends_what_was_pending(tmp_path: Path) -> None:
    file = tmp_path / "books.json"
    before = World(file)
    await before.token()
    await before.pay()
    await before.provider.close()
    after = World(file)
    await after.token()
    assert (await after.pay()).status_code == 500, "the id was taken before the restart"
    after.provider.resume()
    await after.until(1)
    assert facts(await after.ask_status("ours"))["TransactionStatus"] == "Completed"
    await after.provider.close()


async def test_a_lost_answer_is_never_whole(world: World) -> None:
    await world.fault("accept_then_drop")
    answer = await world.pay()
    assert int(answer.headers["content-length"]) > len(answer.content)
    assert len(world.provider.books.all()) == 1
