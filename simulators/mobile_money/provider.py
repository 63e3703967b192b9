"""The simulated provider: takes requests, ends them after a moment, tells the caller, and answers questions."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from simulators.mobile_money import messages
from simulators.mobile_money.books import COMPLETED, FAILED, Books, Payment, new_receipt
from simulators.mobile_money.faults import Fault, Faults

_CALLBACK_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered; `is_lost` closes the connection instead."""

    status: int
    body: dict[str, Any]
    is_lost: bool = False


class Provider:
    """Moves simulated money."""

    def __init__(
        self, books: Books, faults: Faults, *, delay_seconds: float, charge: int = 0
    ) -> None:
        self.books = books
        self.faults = faults
        self._delay_seconds = delay_seconds
        self._charge = charge
        self._client = httpx.AsyncClient(
            timeout=_CALLBACK_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop; what has not ended stays pending in the books."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def resume(self) -> None:
        """After a restart: end what was pending."""
        for payment in self.books.pending():
            self._spawn(self._end(payment, {}))

    # Requests

    async def push(self, told: Mapping[str, Any]) -> Answer:
        """Ask a phone to pay."""
        payment = Payment(
            operation="stk",
            conversation_id=f"{secrets.token_hex(4)}-{secrets.randbelow(10**8):08d}-1",
            request_id=f"ws_CO_{_now()}{secrets.randbelow(10**10):010d}",
            phone=str(told["PhoneNumber"]),
            amount=int(told["Amount"]),
            reference=str(told["AccountReference"]),
            callback_url=str(told["CallBackURL"]),
            take_time=_now(),
        )
        return await self._take(payment, messages.push_taken)

    async def pay(self, told: Mapping[str, Any]) -> Answer:
        """Pay a phone. The same OriginatorConversationID is refused the second time."""
        conversation_id = str(told["OriginatorConversationID"])
        if self.books.by_conversation(conversation_id) is not None:
            words = "Duplicate OriginatorConversationID."
            return Answer(500, messages.error("500.002.1001", words, secrets.token_hex(8)))
        payment = Payment(
            operation="b2c",
            conversation_id=conversation_id,
            request_id=f"AG_{_now()}_{secrets.token_hex(10)}",
            phone=str(told["PartyB"]),
            amount=int(told["Amount"]),
            reference=str(told.get("Occasion") or ""),
            callback_url=str(told["ResultURL"]),
            take_time=_now(),
            charge=self._charge,
        )
        return await self._take(payment, messages.pay_taken)

    async def _take(self, payment: Payment, answer: Callable[[Payment], dict[str, Any]]) -> Answer:
        met = self.faults.take(payment.operation, payment.phone)
        broken = messages.error("500.003.1001", "Internal Server Error", secrets.token_hex(8))
        error = met.get("server_error")
        if error is not None and error.when == "before":
            return Answer(500, broken)
        payment.is_silent = "silent" in met
        self.books.add(payment)
        if "out_of_order" in met:
            await self._end(payment, met)  # the callback overtakes the answer
        else:
            self._spawn(self._end(payment, met))
        if "slow" in met:
            await asyncio.sleep(met["slow"].seconds)
        if error is not None:
            return Answer(500, broken)
        return Answer(200, answer(payment), is_lost="accept_then_drop" in met)

    async def _end(self, payment: Payment, met: Mapping[str, Fault]) -> None:
        await asyncio.sleep(met["late"].seconds if "late" in met else self._delay_seconds)
        failing = met.get("failed") or met.get("failed_then_success")
        if failing is None:
            self._complete(payment, met)
        else:
            payment.status, payment.code = FAILED, failing.code
            payment.words = messages.WORDS.get(failing.code, "The request failed.")
            payment.end_time = _now()
            self.books.write()
        await self._tell(payment, copies=met["duplicate"].copies if "duplicate" in met else 1)
        if "failed_then_success" in met:
            await asyncio.sleep(met["failed_then_success"].seconds)
            self._complete(payment, met)
            await self._tell(payment, copies=1)

    def _complete(self, payment: Payment, met: Mapping[str, Fault]) -> None:
        payment.status, payment.code, payment.words = COMPLETED, 0, messages.WORDS[0]
        payment.moved = met["wrong_amount"].amount if "wrong_amount" in met else payment.amount
        payment.receipt = new_receipt()
        payment.end_time = _now()
        self.books.write()

    async def _tell(self, payment: Payment, *, copies: int) -> None:
        for _ in range(copies):
            if payment.is_silent:
                return
            outcome = await self._post(payment.callback_url, messages.callback(payment))
            payment.callbacks.append(outcome)

    def speak(self) -> None:
        """End the silence: the books tell everything again, and what ended is called back now."""
        for payment in self.books.all():
            if payment.is_silent:
                payment.is_silent = False
                self.books.write()
                if payment.end_time:
                    self._spawn(self._tell(payment, copies=1))

    # Questions

    def ask_push(self, checkout_request_id: str) -> Answer:
        """How an STK push ended."""
        payment = self.books.by_request(checkout_request_id)
        request_id = secrets.token_hex(8)
        if payment is None or payment.operation != "stk":
            words = "Bad Request - Invalid CheckoutRequestID"
            return Answer(400, messages.error("400.002.02", words, request_id))
        if payment.is_silent or not payment.end_time:
            words = "The transaction is being processed"
            return Answer(500, messages.error("500.001.1001", words, request_id))
        return Answer(200, messages.push_result(payment))

    def ask_status(self, told: Mapping[str, Any]) -> Answer:
        """How a payment ended; the result goes to the ResultURL."""
        conversation_id = str(told.get("OriginalConversationID") or "")
        receipt = str(told.get("TransactionID") or "")
        payment = (
            self.books.by_receipt(receipt)
            if receipt
            else self.books.by_conversation(conversation_id)
        )
        is_told = payment is not None and not payment.is_silent
        body = (
            messages.status(payment)
            if payment is not None and is_told
            else messages.unknown_status(conversation_id)
        )
        self._spawn(self._answer(str(told["ResultURL"]), body))
        return Answer(
            200,
            {
                "OriginatorConversationID": secrets.token_hex(16),
                "ConversationID": f"AG_{_now()}_{secrets.token_hex(10)}",
                "ResponseCode": "0",
                "ResponseDescription": "Accept the service request successfully.",
            },
        )

    async def _answer(self, url: str, body: dict[str, Any]) -> None:
        await asyncio.sleep(min(0.1, self._delay_seconds))
        await self._post(url, body)

    async def _post(self, url: str, body: dict[str, Any]) -> str:
        """Call the caller back, once, as the real one does. Answers how it went."""
        try:
            answer = await self._client.post(url, json=body)
        except httpx.HTTPError as fault:
            return type(fault).__name__
        return f"HTTP {answer.status_code}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S")
