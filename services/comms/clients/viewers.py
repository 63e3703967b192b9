"""Development only: asks the mail server and the SMS simulator what they received."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from services.comms.clients.http import read_json
from services.comms.domain import Channel
from services.kit.errors import ServiceUnavailable

__all__ = ["Arrival", "Viewers"]

_ANSWER_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as its receiver got it. `id` rises with every message of its channel."""

    id: int
    channel: Channel
    recipient: str
    subject: str
    body: str
    arrive_time: datetime


class Viewers:
    """Both viewers, by channel."""

    def __init__(self, http: httpx.AsyncClient, *, mail_url: str, sms_url: str) -> None:
        self._http = http
        self._urls = {Channel.EMAIL: mail_url.rstrip("/"), Channel.SMS: sms_url.rstrip("/")}

    async def list(
        self, channel: Channel, *, recipient: str, limit: int, before: int
    ) -> list[Arrival]:
        """Newest first, older than the message `before` (0: from the newest). Raises ServiceUnavailable."""
        request = self._http.build_request(
            "GET",
            f"{self._urls[channel]}/messages",
            params={"recipient": recipient, "limit": limit, "before": before},
            timeout=httpx.Timeout(3.0, connect=1.0),
        )
        try:
            status, answer = await read_json(self._http, request, bytes_max=_ANSWER_BYTES_MAX)
            if status != 200:
                raise ServiceUnavailable(f"The {channel} simulator answers {status}.")
            return [_arrival(channel, message) for message in answer["messages"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ServiceUnavailable(f"The {channel} simulator cannot be asked.") from error


def _arrival(channel: Channel, message: dict[str, Any]) -> Arrival:
    return Arrival(
        id=int(message["id"]),
        channel=channel,
        recipient=message["recipient"],
        subject=message["subject"],
        body=message["body"],
        arrive_time=datetime.fromisoformat(message["receiveTime"]).astimezone(UTC),
    )
