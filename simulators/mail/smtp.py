"""The SMTP side: an honest server that can be told to be a bad one."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from simulators.received import Mailbox

DATA_BYTES_MAX = 1024 * 1024


@dataclass(slots=True)
class Faults:
    """What goes wrong, until it is used up or cleared."""

    temporary: int = 0
    refused: frozenset[str] = field(default_factory=frozenset)
    delay_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As the viewer shows it."""
        return {
            "temporary": self.temporary,
            "refused": sorted(self.refused),
            "delaySeconds": self.delay_seconds,
        }


def parse_faults(wanted: object) -> Faults:
    """Faults from JSON: `temporary` messages answered 451, recipients `refused` with 550, `delaySeconds` before an answer.

    What is not named is off. Raises ValueError.
    """
    if not isinstance(wanted, dict) or set(wanted) - {"temporary", "refused", "delaySeconds"}:
        raise ValueError("faults are an object of temporary, refused and delaySeconds")
    temporary = wanted.get("temporary", 0)
    refused = wanted.get("refused", [])
    delay = wanted.get("delaySeconds", 0)
    if isinstance(temporary, bool) or not isinstance(temporary, int) or temporary < 0:
        raise ValueError("temporary is a count of messages")
    if not isinstance(refused, list) or not all(isinstance(item, str) for item in refused):
        raise ValueError("refused is a list of addresses")
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 600:
        raise ValueError("delaySeconds lies between 0 and 600")
    return Faults(temporary, frozenset(item.casefold() for item in refused), float(delay))


class Receiver:
    """What the SMTP server does with commands. aiosmtpd calls the methods by these names."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.faults = Faults()
        self._mailbox = mailbox

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse it for good."""
        if address.casefold() in self.faults.refused:
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Take the message, or ask to try again later."""
        if self.faults.delay_seconds:
            await asyncio.sleep(self.faults.delay_seconds)
        if self.faults.temporary:
            self.faults.temporary -= 1
            return "451 4.3.0 Try again later"
        content = envelope.content
        assert isinstance(content, bytes), "the server is told not to decode"
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage), "that is what the policy makes"
        for recipient in envelope.rcpt_tos:
            self._mailbox.add(
                recipient=recipient,
                subject=str(message.get("subject", "")),
                body=_text_of(message),
                reference=str(message.get("message-id", "")),
            )
        return "250 2.0.0 Taken"


async def listen(receiver: Receiver, host: str, port: int) -> asyncio.Server:
    """Open the SMTP port. Raises OSError when it is taken."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(
            receiver,
            hostname="mail.hazina.localhost",
            ident="Hazina development mail",
            data_size_limit=DATA_BYTES_MAX,
            enable_SMTPUTF8=True,
            timeout=600,
            loop=loop,
        ),
        host,
        port,
    )


def _text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    text: str = part.get_content()
    return text.replace("\r\n", "\n").strip()
