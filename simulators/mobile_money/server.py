"""The HTTP side: Daraja's paths with their checks, and a few of our own that begin with an underscore."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from simulators.mobile_money import messages
from simulators.mobile_money.provider import Answer, Provider

_TOKEN_SECONDS = 3599
_PHONE = re.compile(r"^254[17]\d{8}$", re.ASCII)
_TIMESTAMP = re.compile(r"^\d{14}$", re.ASCII)
_REFERENCE_LENGTH_MAX = 12


@dataclass(frozen=True, slots=True)
class Account:
    """The business that may call. Empty values are not checked."""

    consumer_key: str = ""
    consumer_secret: str = ""
    shortcode: str = ""
    passkey: str = ""


class _LostResponse(Response):
    """The request was taken, and the connection ends before the answer is whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1000"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


class _Refused(Exception):
    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.response = JSONResponse(
            messages.error(code, words, secrets.token_hex(8)), status_code=status
        )


class Server:
    """Checks requests and hands them to the provider."""

    def __init__(self, provider: Provider, account: Account) -> None:
        self._provider = provider
        self._account = account
        self._tokens: dict[str, float] = {}

    def routes(self) -> list[Route]:
        """Every path."""
        return [
            Route("/oauth/v1/generate", self.token),
            Route(
                "/mpesa/stkpush/v1/processrequest", self._authorized(self.push), methods=["POST"]
            ),
            Route(
                "/mpesa/stkpushquery/v1/query", self._authorized(self.ask_push), methods=["POST"]
            ),
            Route("/mpesa/b2c/v3/paymentrequest", self._authorized(self.pay), methods=["POST"]),
            Route(
                "/mpesa/transactionstatus/v1/query",
                self._authorized(self.ask_status),
                methods=["POST"],
            ),
            Route("/statement.csv", self.statement),
            Route("/_faults", self.list_faults),
            Route("/_faults", self.switch_on, methods=["POST"]),
            Route("/_faults", self.switch_off, methods=["DELETE"]),
            Route("/_speak", self.speak, methods=["POST"]),
            Route("/_state", self.state),
        ]

    # Daraja

    async def token(self, request: Request) -> Response:
        """A token for an hour, against key and secret."""
        if request.query_params.get("grant_type") != "client_credentials":
            raise _Refused(400, "400.008.02", "Invalid grant type passed")
        key, secret = _basic(request)
        account = self._account
        if (key, secret) != (account.consumer_key, account.consumer_secret):
            raise _Refused(401, "400.008.01", "Invalid Authentication passed")
        token = secrets.token_urlsafe(21)
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        return JSONResponse({"access_token": token, "expires_in": str(_TOKEN_SECONDS)})

    async def push(self, told: Mapping[str, Any]) -> Response:
        """STK push."""
        self._check_password(told)
        _check_phone(told, "PhoneNumber")
        _check_amount(told)
        if not 0 < len(str(told.get("AccountReference") or "")) <= _REFERENCE_LENGTH_MAX:
            raise _bad("AccountReference")
        _check_url(told, "CallBackURL")
        return _response(await self._provider.push(told))

    async def ask_push(self, told: Mapping[str, Any]) -> Response:
        """STK query."""
        self._check_password(told)
        return _response(self._provider.ask_push(str(told.get("CheckoutRequestID") or "")))

    async def pay(self, told: Mapping[str, Any]) -> Response:
        """B2C."""
        for name in (
            "OriginatorConversationID",
            "InitiatorName",
            "SecurityCredential",
            "CommandID",
        ):
            if not told.get(name):
                raise _bad(name)
        self._check_shortcode(told, "PartyA")
        _check_phone(told, "PartyB")
        _check_amount(told)
        _check_url(told, "ResultURL")
        _check_url(told, "QueueTimeOutURL")
        return _response(await self._provider.pay(told))

    async def ask_status(self, told: Mapping[str, Any]) -> Response:
        """Transaction status."""
        if not (told.get("OriginalConversationID") or told.get("TransactionID")):
            raise _bad("TransactionID")
        self._check_shortcode(told, "PartyA")
        _check_url(told, "ResultURL")
        return _response(self._provider.ask_status(told))

    async def statement(self, request: Request) -> Response:
        """Everything that moved, as CSV: in is positive, out and charges are negative."""
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(
            [
                "receipt",
                "time",
                "operation",
                "phone",
                "amount",
                "charge",
                "reference",
                "conversation",
            ]
        )
        for one in self._provider.books.all():
            if one.receipt:
                sign = 1 if one.operation == "stk" else -1
                rows.writerow(
                    [
                        one.receipt,
                        one.end_time,
                        one.operation,
                        one.phone,
                        sign * one.moved,
                        -one.charge,
                        one.reference,
                        one.conversation_id,
                    ]
                )
        return Response(text.getvalue(), media_type="text/csv")

    # Ours

    async def list_faults(self, request: Request) -> Response:
        """What is switched on."""
        return JSONResponse({"faults": self._provider.faults.listed()})

    async def switch_on(self, request: Request) -> Response:
        """Switch a fault on: the fields of `faults.Fault`."""
        try:
            self._provider.faults.switch_on(await _json(request))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"faults": self._provider.faults.listed()})

    async def switch_off(self, request: Request) -> Response:
        """Switch all faults off."""
        self._provider.faults.switch_off()
        return JSONResponse({"faults": []})

    async def speak(self, request: Request) -> Response:
        """End the silence about payments that met `silent`."""
        self._provider.speak()
        return JSONResponse({})

    async def state(self, request: Request) -> Response:
        """Every payment."""
        return JSONResponse({"payments": self._provider.books.listed()})

    # Checks

    def _authorized(
        self, handler: Callable[[Mapping[str, Any]], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or self._tokens.get(token, 0.0) < time.monotonic():
                raise _Refused(401, "404.001.03", "Invalid Access Token")
            return await handler(await _json(request))

        return guarded

    def _check_password(self, told: Mapping[str, Any]) -> None:
        self._check_shortcode(told, "BusinessShortCode")
        timestamp = str(told.get("Timestamp") or "")
        if not _TIMESTAMP.match(timestamp):
            raise _bad("Timestamp")
        text = f"{told.get('BusinessShortCode')}{self._account.passkey}{timestamp}"
        if told.get("Password") != base64.b64encode(text.encode()).decode():
            raise _Refused(500, "500.001.1001", "Wrong credentials")

    def _check_shortcode(self, told: Mapping[str, Any], name: str) -> None:
        if self._account.shortcode and str(told.get(name)) != self._account.shortcode:
            raise _bad(name)


def build(provider: Provider, account: Account) -> Starlette:
    """The application."""

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, _Refused)
        return error.response

    server = Server(provider, account)
    return Starlette(routes=server.routes(), exception_handlers={_Refused: refuse})


def _response(answer: Answer) -> Response:
    if answer.is_lost:
        return _LostResponse()
    return JSONResponse(answer.body, status_code=answer.status)


async def _json(request: Request) -> dict[str, Any]:
    try:
        told = await request.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise _Refused(400, "400.002.05", "Invalid Request Payload")
    return told


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    key, _, secret = text.partition(":")
    if scheme.lower() != "basic":
        raise _Refused(401, "400.008.01", "Invalid Authentication passed")
    return key, secret


def _bad(name: str) -> _Refused:
    return _Refused(400, "400.002.02", f"Bad Request - Invalid {name}")


def _check_phone(told: Mapping[str, Any], name: str) -> None:
    if not _PHONE.match(str(told.get(name) or "")):
        raise _bad(name)


def _check_amount(told: Mapping[str, Any]) -> None:
    amount = str(told.get("Amount") or "")
    if not (amount.isascii() and amount.isdigit() and 1 <= int(amount) <= 250_000):
        raise _bad("Amount")


def _check_url(told: Mapping[str, Any], name: str) -> None:
    if not re.match(r"^https?://[^\s]+$", str(told.get(name) or "")):
        raise _bad(name)
