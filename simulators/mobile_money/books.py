"""What the simulated provider knows: every request it took and what became of it."""

from __future__ import annotations

import json
import os
import secrets
import string
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PENDING, COMPLETED, FAILED = "Pending", "Completed", "Failed"


@dataclass
class Payment:
    """One request to move money. Amounts in shillings."""

    operation: str  # "stk" or "b2c"
    conversation_id: str  # MerchantRequestID, or our caller's OriginatorConversationID
    request_id: str  # CheckoutRequestID, or ConversationID
    phone: str
    amount: int
    reference: str
    callback_url: str
    take_time: str
    moved: int = 0
    charge: int = 0
    status: str = PENDING
    code: int = 0
    words: str = ""
    receipt: str = ""
    end_time: str = ""
    is_silent: bool = False
    callbacks: list[str] = field(default_factory=list)  # how delivering each one ended


class Books:
    """All payments, in memory; also in a file if there is one, so that a restart forgets nothing."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._payments: dict[str, Payment] = {}
        if file is not None and file.exists():
            for told in json.loads(file.read_text()):
                payment = Payment(**told)
                self._payments[payment.request_id] = payment

    def add(self, payment: Payment) -> None:
        """Take a request."""
        self._payments[payment.request_id] = payment
        self.write()

    def by_request(self, request_id: str) -> Payment | None:
        """The payment with this CheckoutRequestID or ConversationID."""
        return self._payments.get(request_id)

    def by_conversation(self, conversation_id: str) -> Payment | None:
        """The payment with this MerchantRequestID or OriginatorConversationID."""
        return next(
            (one for one in self._payments.values() if one.conversation_id == conversation_id), None
        )

    def by_receipt(self, receipt: str) -> Payment | None:
        """The payment with this receipt number."""
        return next((one for one in self._payments.values() if one.receipt == receipt), None)

    def pending(self) -> list[Payment]:
        """Payments that have not come to their end."""
        return [one for one in self._payments.values() if one.status == PENDING]

    def all(self) -> list[Payment]:
        """Every payment, oldest first."""
        return list(self._payments.values())

    def listed(self) -> list[dict[str, Any]]:
        """Every payment as JSON."""
        return [asdict(one) for one in self._payments.values()]

    def write(self) -> None:
        """Keep the file true."""
        if self._file is None:
            return
        temporary = self._file.with_name(f".{self._file.name}.new")
        temporary.write_text(json.dumps(self.listed()))
        os.replace(temporary, self._file)


def new_receipt() -> str:
    """A receipt number such as `TKX4B7Q2ZD`."""
    letters = string.ascii_uppercase + string.digits
    return "T" + "".join(secrets.choice(letters) for _ in range(9))
