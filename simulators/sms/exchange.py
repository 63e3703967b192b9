"""How Africa's Talking answers: statuses, costs, and the faults that can be switched on."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

_PHONE = re.compile(r"^\+[1-9][0-9]{6,14}$")
_SEGMENT_COST = 0.8

STATUSES = {
    "Processed": 100,
    "Success": 101,
    "Queued": 102,
    "RiskHold": 401,
    "InvalidSenderId": 402,
    "InvalidPhoneNumber": 403,
    "UnsupportedNumberType": 404,
    "InsufficientBalance": 405,
    "UserInBlacklist": 406,
    "CouldNotRoute": 407,
    "DoNotDisturbRejection": 409,
    "InternalServerError": 500,
    "GatewayError": 501,
    "RejectedByGateway": 502,
}
"""Status of a recipient in an answer, and its code. 1xx were taken."""

# Faults beside the statuses above: no answer at all, an answer that comes late, and HTTP 500.
SILENT, SLOW, BROKEN = "silent", "slow", "broken"


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong, for one number or for all, a number of times or until it is cleared."""

    name: str
    recipient: str = ""
    remaining: int | None = None
    delay_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As the simulator shows it."""
        return {
            "fault": self.name,
            "recipient": self.recipient,
            "count": self.remaining,
            "delaySeconds": self.delay_seconds,
        }


def parse_fault(wanted: object) -> Fault:
    """A fault from JSON: `fault` (silent, slow, broken, or the name of a status), `recipient`, `count`, `delaySeconds`.

    Raises ValueError.
    """
    if not isinstance(wanted, dict) or set(wanted) - {
        "fault",
        "recipient",
        "count",
        "delaySeconds",
    }:
        raise ValueError("a fault is an object of fault, recipient, count and delaySeconds")
    name, recipient, count = wanted.get("fault"), wanted.get("recipient", ""), wanted.get("count")
    delay = wanted.get("delaySeconds", 3)
    if name not in {SILENT, SLOW, BROKEN, *STATUSES}:
        raise ValueError(f"fault is one of silent, slow, broken, {', '.join(STATUSES)}")
    if not isinstance(recipient, str):
        raise ValueError("recipient is a phone number")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError("count is a number of messages")
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 600:
        raise ValueError("delaySeconds lies between 0 and 600")
    return Fault(str(name), recipient, count, float(delay))


class Faults:
    """Those that are on. The first one that fits a message is used."""

    def __init__(self) -> None:
        self.on: list[Fault] = []

    def take(self, recipient: str) -> Fault | None:
        """The fault of a message to this number, counted down."""
        for fault in self.on:
            if fault.recipient in ("", recipient):
                if fault.remaining is not None:
                    fault.remaining -= 1
                    if fault.remaining == 0:
                        self.on.remove(fault)
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Recipient:
    """The answer for one number."""

    number: str
    status: str
    message_id: str
    cost: str

    @property
    def is_taken(self) -> bool:
        """Whether the message is on its way."""
        return STATUSES[self.status] < 400

    def to_json(self) -> dict[str, Any]:
        """As Africa's Talking spells it."""
        return {
            "statusCode": STATUSES[self.status],
            "number": self.number,
            "status": self.status,
            "cost": self.cost,
            "messageId": self.message_id,
        }


def answer_for(number: str, text: str, fault: Fault | None) -> Recipient:
    """Take a message to a number, unless the number is none or a fault says otherwise."""
    status = "Success" if _PHONE.match(number) else "InvalidPhoneNumber"
    if fault is not None and fault.name in STATUSES:
        status = fault.name
    if STATUSES[status] >= 400:
        return Recipient(number, status, "None", "0")
    cost = f"KES {segments(text) * _SEGMENT_COST:.4f}"
    return Recipient(number, status, f"ATXid_{secrets.token_hex(16)}", cost)


def segments(text: str) -> int:
    """How many parts a text is sent in: 160 characters, or 70 when a letter outside ASCII is among them."""
    single, joined = (160, 153) if text.isascii() else (70, 67)
    return 1 if len(text) <= single else -(-len(text) // joined)


def summary(recipients: list[Recipient]) -> str:
    """The sentence above the recipients."""
    taken = [recipient for recipient in recipients if recipient.is_taken]
    total = sum(float(recipient.cost.split()[-1]) for recipient in taken)
    return f"Sent to {len(taken)}/{len(recipients)} Total Cost: KES {total:.4f}"
