"""What a simulator received: the last 1,000 messages, in memory, newest first."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

KEPT = 1000
"""How many messages are remembered."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it arrived. `id` rises with every message, also over a restart of the simulator."""

    id: int
    recipient: str
    subject: str
    body: str
    receive_time: datetime
    reference: str

    def to_json(self) -> dict[str, Any]:
        """As the viewers answer it."""
        return {
            "id": str(self.id),
            "recipient": self.recipient,
            "subject": self.subject,
            "body": self.body,
            "receiveTime": self.receive_time.isoformat(timespec="microseconds"),
            "reference": self.reference,
        }


class Mailbox:
    """The last messages for everybody."""

    def __init__(self) -> None:
        self._messages: deque[Received] = deque(maxlen=KEPT)
        self._last_id = 0

    def add(self, *, recipient: str, subject: str, body: str, reference: str) -> Received:
        """Keep a message; `reference` is the sender's or the provider's id of it."""
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        message = Received(
            id=self._last_id,
            recipient=recipient,
            subject=subject,
            body=body,
            receive_time=datetime.now(UTC),
            reference=reference,
        )
        self._messages.append(message)
        return message

    def list(self, *, recipient: str = "", limit: int = 50, before: int = 0) -> list[Received]:
        """Newest first, for one address (empty: everybody), older than the message `before` (0: from the newest)."""
        wanted = recipient.casefold()
        found: list[Received] = []
        for message in reversed(self._messages):
            if len(found) == limit:
                break
            if before and message.id >= before:
                continue
            if not wanted or message.recipient.casefold() == wanted:
                found.append(message)
        return found


def listing(mailbox: Mailbox, query: Mapping[str, str]) -> dict[str, Any]:
    """The answer of `GET /messages?recipient=&limit=&before=`. Raises ValueError for a number that is none."""
    limit = int(query.get("limit") or 50)
    before = int(query.get("before") or 0)
    if not 1 <= limit <= KEPT or before < 0:
        raise ValueError(f"limit must lie between 1 and {KEPT}")
    messages = mailbox.list(recipient=query.get("recipient", ""), limit=limit, before=before)
    return {"messages": [message.to_json() for message in messages]}
