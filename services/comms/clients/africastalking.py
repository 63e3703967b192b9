"""Sends text messages through Africa's Talking: POST /version1/messaging, a form with an `apiKey` header."""

import json
from typing import Any

import httpx

from services.comms.clients.http import read_json
from services.comms.domain import Delivery
from services.comms.errors import ChannelUnavailable, RecipientRefused

__all__ = ["AfricasTalking"]

_ANSWER_BYTES_MAX = 64 * 1024

# Codes about the number: this one will never be reached. Others in the 4xx and 5xx are about us or about now.
_FINAL = {
    401: "RiskHold",
    403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType",
    406: "UserInBlacklist",
    407: "CouldNotRoute",
    409: "DoNotDisturbRejection",
    502: "RejectedByGateway",
}


class AfricasTalking:
    """The SMS account. `sender` is the registered sender id or short code; empty uses the shared one.

    A number that cannot be reached is RecipientRefused; no money, no answer and anything odd is ChannelUnavailable.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        username: str,
        api_key: str,
        sender: str = "",
        timeout_seconds: float = 6.0,
    ) -> None:
        self._http = http
        self._url = url.rstrip("/") + "/version1/messaging"
        self._username = username
        self._headers = {"apiKey": api_key, "Accept": "application/json"}
        self._sender = sender
        self._timeout = httpx.Timeout(timeout_seconds, connect=2.0)

    async def send(self, delivery: Delivery) -> str:
        """Hand a text over; answers the provider's message id."""
        form = {
            "username": self._username,
            "to": delivery.recipient.address,
            "message": delivery.text.body,
            "bulkSMSMode": "1",
        }
        if self._sender:
            form["from"] = self._sender
        try:
            status, answer = await read_json(
                self._http,
                self._http.build_request(
                    "POST", self._url, data=form, headers=self._headers, timeout=self._timeout
                ),
                bytes_max=_ANSWER_BYTES_MAX,
            )
        except (httpx.HTTPError, TimeoutError) as error:
            raise ChannelUnavailable("SMS_UNREACHABLE") from error
        except ValueError as error:
            raise ChannelUnavailable("SMS_ANSWER_UNREADABLE") from error
        if status not in (200, 201):
            raise ChannelUnavailable(f"SMS_HTTP_{status}")
        return _message_id(answer)


def _message_id(answer: Any) -> str:
    """The id from the one recipient of an answer. Raises ChannelUnavailable or RecipientRefused."""
    try:
        recipients = answer["SMSMessageData"]["Recipients"]
        recipient = recipients[0] if recipients else None
        code = 0 if recipient is None else int(recipient["statusCode"])
        message_id = "" if recipient is None else str(recipient["messageId"])
    except (KeyError, TypeError, ValueError, IndexError, json.JSONDecodeError) as error:
        raise ChannelUnavailable("SMS_ANSWER_UNREADABLE") from error
    if recipient is None:  # what it answers for a sender id that is not ours, among others
        raise ChannelUnavailable("SMS_NO_RECIPIENT")
    if 100 <= code <= 102:
        return message_id
    if code in _FINAL:
        raise RecipientRefused(f"SMS_{code}_{_FINAL[code]}")
    raise ChannelUnavailable(f"SMS_{code}")
