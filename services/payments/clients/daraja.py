"""M-Pesa by Safaricom's Daraja: STK push brings money in, B2C takes it out.

Written to the public API: OAuth token of an hour, whole shillings, passwords made of shortcode, passkey and time. Daraja
signs nothing, so a callback is only a reason to ask. Two questions give an answer that is believed: the STK query (at
once: did the payer confirm?) and the transaction status query, whose answer comes to an address that only the provider
knows and tells amount, receipt and charge. What a query does not find may still happen: it never counts as a failure.
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from services.kit.clock import Clock
from services.payments.clients.addresses import HookAddresses
from services.payments.domain import (
    Acceptance,
    Direction,
    Flow,
    Method,
    Notice,
    Observation,
    Offer,
    Reply,
    Transaction,
    Word,
    sent_minor,
)
from services.payments.errors import ProviderSilent

__all__ = ["Daraja", "Settings"]

_RAIL = "mpesa"
_SHILLING = 100
_OFFERS = tuple(
    Offer(
        _RAIL,
        Method.MOBILE_MONEY,
        direction,
        "KES",
        installed=True,
        amount_min=10 * _SHILLING,
        amount_max=250_000 * _SHILLING,
        amount_step=_SHILLING,
    )
    for direction in Direction
)
_NAIROBI = ZoneInfo("Africa/Nairobi")
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_ANSWER_BYTES_MAX = 65_536
_TOKEN_MARGIN_SECONDS = 60.0

_UNDER_WAY_ERRORS = {"500.001.1001"}  # "The transaction is being processed"
_UNDER_WAY_CODES = {"4999", "26"}
_CANCELLED_CODES = {"1032", "1037", "1019"}  # refused on the phone, no reply, expired
_FINISHED, _UNFINISHED = {"Completed"}, {"Pending", "Authorized", "Initiated"}
_DUPLICATE_CODES = {"15", "400.002.03"}  # "Duplicate OriginatorConversationID"


@dataclass(frozen=True, slots=True)
class Settings:
    """How Daraja is reached."""

    url: str
    consumer_key: str
    consumer_secret: str
    shortcode: str
    passkey: str
    initiator: str
    security_credential: str


class Daraja:
    """The rail `mpesa`."""

    id = _RAIL
    provider = "daraja"
    offers: Sequence[Offer] = _OFFERS

    def __init__(
        self,
        settings: Settings,
        addresses: HookAddresses,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._clock = clock
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._token = ""
        self._token_until = 0.0
        self._token_lock = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def prepare(self) -> None:
        """Have a token. Raises ProviderSilent."""
        await self._fresh_token()

    async def send(self, transaction: Transaction) -> Reply:
        """Ask the phone to pay, or pay the phone; called once for each transaction."""
        if transaction.flow is Flow.IN:
            return await self._push(transaction)
        return await self._pay(transaction)

    async def ask(self, transaction: Transaction) -> Reply:
        """Ask how it ended. Amount and receipt come later, to the address of this question."""
        if transaction.flow is Flow.OUT:
            return await self._ask_status(transaction, str(transaction.id))
        if not transaction.provider_request_id:
            return Reply(raw="no question: the provider's name for the request is not known")
        reply = await self._ask_push(transaction)
        said = reply.observation
        if said is None or said.word is not Word.SUCCEEDED:
            return reply
        status = await self._ask_status(transaction, transaction.provider_conversation_id)
        return Reply(raw=f"{reply.raw}\n{status.raw}")

    # Requests

    async def _push(self, transaction: Transaction) -> Reply:
        timestamp, password = self._password()
        return await self._request(
            "/mpesa/stkpush/v1/processrequest",
            {
                "BusinessShortCode": self._settings.shortcode,
                "Password": password,
                "Timestamp": timestamp,
                "TransactionType": "CustomerPayBillOnline",
                "Amount": _shillings(transaction),
                "PartyA": transaction.phone,
                "PartyB": self._settings.shortcode,
                "PhoneNumber": transaction.phone,
                "CallBackURL": self._addresses.for_callback(transaction.id),
                "AccountReference": transaction.id.hex[-12:],
                "TransactionDesc": "Deposit",
            },
            names=("CheckoutRequestID", "MerchantRequestID"),
        )

    async def _pay(self, transaction: Transaction) -> Reply:
        address = self._addresses.for_callback(transaction.id)
        return await self._request(
            "/mpesa/b2c/v3/paymentrequest",
            {
                "OriginatorConversationID": str(transaction.id),
                "InitiatorName": self._settings.initiator,
                "SecurityCredential": self._settings.security_credential,
                "CommandID": "BusinessPayment",
                "Amount": _shillings(transaction),
                "PartyA": self._settings.shortcode,
                "PartyB": transaction.phone,
                "Remarks": "Withdrawal",
                "QueueTimeOutURL": address,
                "ResultURL": address,
                "Occasion": "",
            },
            names=("ConversationID", "OriginatorConversationID"),
        )

    async def _request(
        self, path: str, body: Mapping[str, Any], *, names: tuple[str, str]
    ) -> Reply:
        """A request that moves money. Only an answer that clearly refuses it counts as a refusal."""
        status, raw, answer = await self._post(path, body)
        code = str(answer.get("ResponseCode", answer.get("errorCode", "")))
        if status == 200 and code == "0":
            request_id, conversation_id = (str(answer.get(name, "")) for name in names)
            return Reply(raw, Acceptance(request_id=request_id, conversation_id=conversation_id))
        is_refusal = code and (status == 200 or 400 <= status < 500)
        if not is_refusal or code in _DUPLICATE_CODES or status in (408, 429):
            raise ProviderSilent(f"HTTP {status}: {raw[:500]}")
        words = str(answer.get("errorMessage", answer.get("ResponseDescription", "")))
        return Reply(
            raw, Acceptance(is_refused=True, reason="PROVIDER_DECLINED", message=words[:200])
        )

    # Questions

    async def _ask_push(self, transaction: Transaction) -> Reply:
        timestamp, password = self._password()
        _, raw, answer = await self._post(
            "/mpesa/stkpushquery/v1/query",
            {
                "BusinessShortCode": self._settings.shortcode,
                "Password": password,
                "Timestamp": timestamp,
                "CheckoutRequestID": transaction.provider_request_id,
            },
        )
        if answer.get("errorCode") in _UNDER_WAY_ERRORS:
            return Reply(raw, observation=Observation(Word.UNDER_WAY))
        if "ResultCode" not in answer:
            return Reply(raw, observation=Observation(Word.NOT_FOUND))
        return Reply(raw, observation=_result(answer))

    async def _ask_status(self, transaction: Transaction, conversation_id: str) -> Reply:
        address = self._addresses.for_answer(transaction.id, transaction.ask_count)
        body = {
            "Initiator": self._settings.initiator,
            "SecurityCredential": self._settings.security_credential,
            "CommandID": "TransactionStatusQuery",
            "TransactionID": "",
            "OriginalConversationID": conversation_id,
            "PartyA": self._settings.shortcode,
            "IdentifierType": "4",
            "ResultURL": address,
            "QueueTimeOutURL": address,
            "Remarks": "Status",
            "Occasion": "",
        }
        _, raw, _ = await self._post("/mpesa/transactionstatus/v1/query", body)
        return Reply(raw)

    # Reading what was sent to us

    def read_notice(self, body: bytes) -> Notice:
        """What a callback calls our request; empty for what cannot be read."""
        content = _read(body)
        stk = _part(_part(content, "Body"), "stkCallback")
        if stk:
            return Notice(_name(stk, "CheckoutRequestID"), _name(stk, "MerchantRequestID"))
        result = _part(content, "Result")
        return Notice(_name(result, "ConversationID"), _name(result, "OriginatorConversationID"))

    def read_answer(self, transaction: Transaction, body: bytes) -> Observation:
        """The answer to a transaction status query."""
        result = _part(_read(body), "Result")
        if str(result.get("ResultCode", "")) != "0":
            return Observation(Word.NOT_FOUND)  # the question failed; the payment may not have
        facts = _parameters(result)
        status = str(facts.get("TransactionStatus", ""))
        if status in _UNFINISHED or not status:
            return Observation(Word.UNDER_WAY)
        if status not in _FINISHED:
            words = str(facts.get("ReasonType") or f"The provider says: {status}.")
            return Observation(Word.FAILED, reason="PROVIDER_DECLINED", message=words[:200])
        amount_minor = _minor(facts.get("Amount"))
        if amount_minor is None:
            return Observation(Word.UNDER_WAY)  # an answer without an amount says too little
        return Observation(
            Word.SUCCEEDED,
            amount_minor=amount_minor,
            receipt=str(facts.get("ReceiptNo", ""))[:64],
            charge_minor=_charge(facts) if transaction.flow is Flow.OUT else 0,
        )

    # HTTP

    async def _post(self, path: str, body: Mapping[str, Any]) -> tuple[int, str, dict[str, Any]]:
        """Status, text and JSON of an answer. Raises ProviderSilent when none came that can be read."""
        for _ in range(2):
            token = await self._fresh_token()
            status, text = await self._exchange(
                "POST", path, json=dict(body), headers={"authorization": f"Bearer {token}"}
            )
            if status != 401:
                break
            self._token_until = (
                0.0  # refused at the door, so nothing was done: a newer token may enter
            )
        return status, text, _object(text)

    async def _fresh_token(self) -> str:
        async with self._token_lock:
            if time.monotonic() < self._token_until:
                return self._token
            status, text = await self._exchange(
                "GET",
                "/oauth/v1/generate",
                params={"grant_type": "client_credentials"},
                auth=(self._settings.consumer_key, self._settings.consumer_secret),
            )
            answer = _object(text)
            token, seconds = answer.get("access_token"), str(answer.get("expires_in", ""))
            if status != 200 or not isinstance(token, str) or not seconds.isdigit():
                raise ProviderSilent(f"HTTP {status} instead of a token")
            self._token = token
            self._token_until = time.monotonic() + int(seconds) - _TOKEN_MARGIN_SECONDS
            return token

    async def _exchange(self, verb: str, path: str, **parts: Any) -> tuple[int, str]:
        try:
            async with asyncio.timeout(_TIMEOUT.read):
                async with self._client.stream(verb, path, **parts) as answer:
                    content = b""
                    async for chunk in answer.aiter_bytes():
                        content += chunk
                        if len(content) > _ANSWER_BYTES_MAX:
                            raise ProviderSilent("the answer is too large")
                    return answer.status_code, content.decode("utf-8", "replace")
        except (httpx.HTTPError, TimeoutError) as error:
            raise ProviderSilent(type(error).__name__) from error

    def _password(self) -> tuple[str, str]:
        """Timestamp (of Nairobi) and the password made with it."""
        timestamp = self._clock.now().astimezone(_NAIROBI).strftime("%Y%m%d%H%M%S")
        text = f"{self._settings.shortcode}{self._settings.passkey}{timestamp}"
        return timestamp, base64.b64encode(text.encode()).decode()


def _shillings(transaction: Transaction) -> int:
    shillings, cents = divmod(sent_minor(transaction), _SHILLING)
    assert cents == 0, "the offer takes whole shillings"
    return shillings


def _result(answer: Mapping[str, Any]) -> Observation:
    """What the STK query says. It knows no amount, so its success is not the last word."""
    code = str(answer["ResultCode"])
    if code == "0":
        return Observation(Word.SUCCEEDED)
    if code in _UNDER_WAY_CODES:
        return Observation(Word.UNDER_WAY)
    reason = "PAYER_CANCELLED" if code in _CANCELLED_CODES else "PROVIDER_DECLINED"
    return Observation(Word.FAILED, reason=reason, message=str(answer.get("ResultDesc", ""))[:200])


def _read(body: bytes) -> dict[str, Any]:
    return _object(body.decode("utf-8", "replace"))


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _part(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _name(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name, "")
    return value.replace("\0", "")[:128] if isinstance(value, str) else ""


def _parameters(result: Mapping[str, Any]) -> dict[str, Any]:
    """ResultParameters, a list of keys and values, as a dictionary."""
    listed = _part(result, "ResultParameters").get("ResultParameter")
    if not isinstance(listed, list):
        return {}
    pairs = [one for one in listed if isinstance(one, dict)]
    return {str(one.get("Key")): one.get("Value") for one in pairs}


def _minor(value: object) -> int | None:
    """Shillings such as 5000 or "5000.00" in cents; None for anything else."""
    whole, _, cents = str(value).partition(".")
    cents = cents.ljust(2, "0")
    if not (whole.isascii() and whole.isdigit() and cents.isascii() and cents.isdigit()):
        return None
    if len(cents.rstrip("0")) > 2 or len(whole) > 12:
        return None
    return int(whole) * _SHILLING + int(cents[:2])


def _charge(facts: Mapping[str, Any]) -> int:
    """What Daraja charged us: `Fee For B2C Payment|KES|15.00`."""
    return _minor(str(facts.get("DebitPartyCharges") or "").rpartition("|")[2]) or 0
