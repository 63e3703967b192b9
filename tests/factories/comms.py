"""The comms service with what it talks to: a development mail server and an SMS simulator inside the test process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from services.comms import app, config
from simulators import serving
from simulators.mail import smtp
from simulators.mail import viewer as mail_viewer
from simulators.received import Mailbox, Received
from simulators.sms import exchange
from simulators.sms import server as sms_server
from tests.harness import Harness, Running, free_port

API_KEY = "test-api-key"


@dataclass
class Receivers:
    """Where messages arrive."""

    mailbox: Mailbox
    mail: smtp.Receiver
    texts: Mailbox
    text_faults: exchange.Faults
    variables: dict[str, str]

    def mails(self, recipient: str = "") -> list[Received]:
        """Mails that arrived, newest first."""
        return self.mailbox.list(recipient=recipient, limit=1000)

    def sms(self, recipient: str = "") -> list[Received]:
        """Text messages that arrived, newest first."""
        return self.texts.list(recipient=recipient, limit=1000)


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Both simulators, on free ports."""
    mailbox, texts, faults = Mailbox(), Mailbox(), exchange.Faults()
    receiver = smtp.Receiver(mailbox)
    smtp_port, viewer_port, sms_port = free_port(), free_port(), free_port()
    server = await smtp.listen(receiver, "127.0.0.1", smtp_port)
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(
            serving.serve(mail_viewer.build(mailbox, receiver), f"127.0.0.1:{viewer_port}", stop)
        ),
        asyncio.create_task(
            serving.serve(
                sms_server.build(texts, faults, api_key=API_KEY), f"127.0.0.1:{sms_port}", stop
            )
        ),
    ]
    for port in (viewer_port, sms_port):
        await _listening(port)
    try:
        yield Receivers(
            mailbox,
            receiver,
            texts,
            faults,
            {
                "HAZINA_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
                "HAZINA_MAIL_SENDER": "Hazina <hello@hazina.example>",
                "HAZINA_AFRICASTALKING_URL": f"http://127.0.0.1:{sms_port}",
                "HAZINA_AFRICASTALKING_USERNAME": "sandbox",
                "HAZINA_AFRICASTALKING_API_KEY": API_KEY,
                "HAZINA_AFRICASTALKING_SENDER": "HAZINA",
                "HAZINA_MAIL_VIEWER_URL": f"http://127.0.0.1:{viewer_port}",
                "HAZINA_SMS_VIEWER_URL": f"http://127.0.0.1:{sms_port}",
            },
        )
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        server.close()


@asynccontextmanager
async def comms(
    harness: Harness,
    receivers: Receivers,
    *,
    background: bool = False,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """The service, by default without consumer and jobs."""
    async with harness.service(
        "comms",
        app.build,
        config.load,
        variables={**receivers.variables, **(variables or {})},
        background=background,
    ) as running:
        yield running


async def until(condition: Any, *, seconds: float = 15.0) -> None:
    """Wait until a condition (plain or async) holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.05)


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)
