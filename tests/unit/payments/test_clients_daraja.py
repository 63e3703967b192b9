"""The M-Pesa adapter against the real API's words: what is believed, what is not, what never counts as a failure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import Clock
from services.payments.clients.addresses import HookAddresses
from services.payments.clients.daraja import Daraja, Settings
from services.payments.domain import Flow, Notice, Observation, State, Transaction, Word
from services.payments.errors import ProviderSilent
from tests.unit.payments.test_domain import made

SETTINGS = Settings(
    "https://daraja.example", "key", "secret", "174379", "passkey", "initiator", "credential"
)
ADDRESSES = HookAddresses("https://us/hooks/v1/daraja/s", hook_secret="s", sealing_secret=b"k")
Handler = Callable[[httpx.Request], httpx.Response]


def deposit(**facts: Any) -> Transaction:
    """A deposit of KES 215.00, fee included."""
    return made(Flow.IN, State.PROCESSING, phone="254712345678", **facts)


def withdrawal(**facts: Any) -> Transaction:
    """A withdrawal of KES 200.00."""
    return made(Flow.OUT, State.PROCESSING, phone="254712345678", **facts)


class Api:
    """Answers as the test says, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: Any = None, *, raw: bytes | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tokens = 0
        self._status = status
        self._content = json.dumps(body).encode() if raw is None else raw

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/v1/generate":
            self.tokens += 1
            expected = base64.b64encode(b"key:secret").decode()
            assert request.headers["authorization"] == f"Basic {expected}"
            return httpx.Response(200, json={"access_token": "t", "expires_in": "3599"})
        assert request.headers["authorization"] == "Bearer t"
        self.asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(self._status, content=self._content)


def daraja(api: Handler) -> Daraja:
    """The adapter, speaking to the API of the test."""
    return Daraja(SETTINGS, ADDRESSES, Clock(), httpx.MockTransport(api))


TAKEN = {"MerchantRequestID": "m", "CheckoutRequestID": "c", "ResponseCode": "0"}


async def test_a_push_asks_for_amount_and_fee_in_whole_shillings() -> None:
    api = Api(body=TAKEN)
    transaction = deposit()
    reply = await daraja(api).send(transaction)
    [(path, body)] = api.asked
    assert path == "/mpesa/stkpush/v1/processrequest" and body["Amount"] == 215
    assert base64.b64decode(body["Password"]).decode() == f"174379passkey{body['Timestamp']}"
    assert len(body["AccountReference"]) <= 12 and body["PhoneNumber"] == "254712345678"
    assert body["CallBackURL"] == ADDRESSES.for_callback(transaction.id)
    assert reply.acceptance is not None and not reply.acceptance.is_refused
    assert (reply.acceptance.request_id, reply.acceptance.conversation_id) == ("c", "m")


async def test_a_payment_out_carries_our_id_and_leaves_the_fee_here() -> None:
    api = Api(body={"ConversationID": "a", "OriginatorConversationID": "o", "ResponseCode": "0"})
    transaction = withdrawal()
    await daraja(api).send(transaction)
    [(path, body)] = api.asked
    assert path == "/mpesa/b2c/v3/paymentrequest" and body["Amount"] == 200
    assert body["OriginatorConversationID"] == str(transaction.id)


async def test_the_token_is_fetched_once() -> None:
    api = Api(body=TAKEN)
    adapter = daraja(api)
    await adapter.prepare()
    await adapter.send(deposit())
    await adapter.send(deposit())
    assert api.tokens == 1


async def test_a_token_that_is_refused_at_the_door_is_replaced_and_the_request_made_once() -> None:
    taken: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/v1/generate":
            token = f"t{len(taken)}"
            return httpx.Response(200, json={"access_token": token, "expires_in": "3599"})
        taken.append(request.headers["authorization"])
        if len(taken) == 1:
            return httpx.Response(401, json={"errorCode": "404.001.03"})
        return httpx.Response(200, json=TAKEN)

    reply = await daraja(api).send(deposit())
    assert taken == ["Bearer t0", "Bearer t1"] and reply.acceptance is not None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"errorCode": "400.002.02", "errorMessage": "Bad Request - Invalid PhoneNumber"}),
        (200, {"ResponseCode": "1", "ResponseDescription": "Rejected"}),
    ],
)
async def test_a_clear_refusal_is_a_refusal(status: int, body: dict[str, str]) -> None:
    reply = await daraja(Api(status, body)).send(withdrawal())
    assert reply.acceptance is not None and reply.acceptance.is_refused
    assert reply.acceptance.reason == "PROVIDER_DECLINED" and reply.acceptance.message


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, b'{"errorCode":"500.003.1001"}'),
        (500, b'{"errorCode":"500.002.1001","errorMessage":"Duplicate"}'),
        (502, b"<html>"),
        (200, b""),
        (200, b"{"),
        (200, b"[]"),
        (302, b""),
        (429, b'{"errorCode":"429"}'),
        (200, b"[" * 70_000),
    ],
)
async def test_an_answer_that_does_not_say_whether_it_was_taken_is_silence(
    status: int, raw: bytes
) -> None:
    with pytest.raises(ProviderSilent):
        await daraja(Api(status, raw=raw)).send(withdrawal())


async def test_a_lost_connection_is_silence() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    with pytest.raises(ProviderSilent):
        await daraja(lost).prepare()
    with pytest.raises(ProviderSilent):
        await daraja(lost).send(withdrawal())


# Questions


@pytest.mark.parametrize(
    ("status", "body", "word", "reason"),
    [
        (500, {"errorCode": "500.001.1001"}, Word.UNDER_WAY, ""),
        (200, {"ResultCode": "4999"}, Word.UNDER_WAY, ""),
        (400, {"errorCode": "400.002.02"}, Word.NOT_FOUND, ""),
        (200, {"ResultCode": "1032", "ResultDesc": "d"}, Word.FAILED, "PAYER_CANCELLED"),
        (200, {"ResultCode": "1037", "ResultDesc": "d"}, Word.FAILED, "PAYER_CANCELLED"),
        (200, {"ResultCode": "1", "ResultDesc": "d"}, Word.FAILED, "PROVIDER_DECLINED"),
        (200, {"ResultCode": 2001, "ResultDesc": "d"}, Word.FAILED, "PROVIDER_DECLINED"),
    ],
)
async def test_the_push_query_is_understood(
    status: int, body: dict[str, Any], word: Word, reason: str
) -> None:
    reply = await daraja(Api(status, body)).ask(deposit(provider_request_id="c"))
    assert reply.observation is not None
    assert (reply.observation.word, reply.observation.reason) == (word, reason)


async def test_a_paid_push_is_asked_for_its_amount_which_comes_to_our_address() -> None:
    api = Api(body={"ResultCode": "0", "ResponseCode": "0"})
    transaction = deposit(provider_request_id="c", provider_conversation_id="m", ask_count=3)
    reply = await daraja(api).ask(transaction)
    assert reply.observation is None
    path, body = api.asked[1]
    assert path == "/mpesa/transactionstatus/v1/query" and body["OriginalConversationID"] == "m"
    assert body["ResultURL"] == ADDRESSES.for_answer(transaction.id, 3)


async def test_nothing_is_asked_about_a_push_whose_name_is_not_known() -> None:
    api = Api()
    reply = await daraja(api).ask(deposit())
    assert reply.observation is None and api.asked == []


async def test_a_payment_out_is_asked_for_by_our_own_id() -> None:
    api = Api(body={"ResponseCode": "0"})
    transaction = withdrawal()
    assert (await daraja(api).ask(transaction)).observation is None
    assert api.asked[0][1]["OriginalConversationID"] == str(transaction.id)


# What is sent to us


def result(code: Any = 0, **facts: Any) -> bytes:
    """The result of a status query."""
    listed = [{"Key": key, "Value": value} for key, value in facts.items()]
    return json.dumps(
        {"Result": {"ResultCode": code, "ResultParameters": {"ResultParameter": listed}}}
    ).encode()


def read(body: bytes, transaction: Transaction | None = None) -> Observation:
    """What the adapter makes of an answer."""
    return daraja(Api()).read_answer(transaction or withdrawal(), body)


def test_a_completed_payment_tells_amount_receipt_and_charge() -> None:
    body = result(
        TransactionStatus="Completed",
        Amount="200.00",
        ReceiptNo="TKX1",
        DebitPartyCharges="Fee For B2C Payment|KES|15.00",
    )
    assert read(body) == Observation(
        Word.SUCCEEDED, amount_minor=20_000, receipt="TKX1", charge_minor=1_500
    )
    assert read(body, deposit()).charge_minor == 0


@pytest.mark.parametrize(
    ("amount", "minor"), [(200, 20_000), (90.5, 9_050), ("90.05", 9_005), ("5000", 500_000)]
)
def test_amounts_are_read_exactly(amount: Any, minor: int) -> None:
    assert read(result(TransactionStatus="Completed", Amount=amount)).amount_minor == minor


@pytest.mark.parametrize("amount", [None, "", "-5", "1e3", "5.001", "9" * 20, "\u0665", True, {}])
def test_an_answer_without_a_readable_amount_says_too_little(amount: Any) -> None:
    assert read(result(TransactionStatus="Completed", Amount=amount)).word is Word.UNDER_WAY


@pytest.mark.parametrize(
    "body", [result(2032), result("17"), b"", b"{}", b"[]", b"\xff", b'{"Result":1}']
)
def test_a_question_that_failed_says_nothing_about_the_payment(body: bytes) -> None:
    assert read(body).word is Word.NOT_FOUND


def test_only_a_payment_that_ended_badly_has_failed() -> None:
    assert read(result(TransactionStatus="Pending")).word is Word.UNDER_WAY
    failed = read(result(TransactionStatus="Failed", ReasonType="No such subscriber"))
    assert (failed.word, failed.reason) == (Word.FAILED, "PROVIDER_DECLINED")
    assert failed.message == "No such subscriber"


def test_callbacks_tell_only_names() -> None:
    adapter = daraja(Api())
    push = {"Body": {"stkCallback": {"CheckoutRequestID": "c", "MerchantRequestID": "m"}}}
    assert adapter.read_notice(json.dumps(push).encode()) == Notice("c", "m")
    pay = {"Result": {"ConversationID": "a", "OriginatorConversationID": "o", "ResultCode": 0}}
    assert adapter.read_notice(json.dumps(pay).encode()) == Notice("a", "o")


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda one: json.dumps(one).encode(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["Body", "stkCallback", "Result", "ResultCode", "x"]),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_anything_can_be_read_and_nothing_strange_moves_money(body: bytes) -> None:
    adapter = daraja(Api())
    adapter.read_notice(body)
    assert adapter.read_answer(replace(withdrawal()), body).word is not Word.SUCCEEDED
