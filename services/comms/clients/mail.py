"""Sends mail by SMTP over a few connections that stay open."""

import asyncio
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.comms.domain import Delivery, is_mail_address
from services.comms.errors import ChannelUnavailable, RecipientRefused

__all__ = ["MailClient"]

_CONNECTIONS_MAX = 4
_IDLE_SECONDS_MAX = 60.0


class MailClient:
    """A mail server, by URL: `smtp://` (plain), or with user and password `smtp+starttls://` or `smtps://`.

    A 4xx answer, a timeout or an unreachable server is ChannelUnavailable; a 5xx answer about the recipient or the
    content is RecipientRefused.
    """

    def __init__(self, url: str, *, sender: str, timeout_seconds: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtp+starttls", "smtps") or not parts.hostname:
            raise ValueError("a mail server is smtp://host:port, smtp+starttls:// or smtps://")
        if parts.password and parts.scheme == "smtp":
            raise ValueError("a password for the mail server needs smtp+starttls:// or smtps://")
        self._sender = sender
        self._domain = parseaddr(sender)[1].rpartition("@")[2] or "hazina.localhost"
        self._host = parts.hostname
        self._port = parts.port or {"smtp": 25, "smtp+starttls": 587, "smtps": 465}[parts.scheme]
        self._scheme = parts.scheme
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(_CONNECTIONS_MAX)
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []

    async def send(self, delivery: Delivery) -> str:
        """Hand a mail over; answers its Message-ID, which is the same in every attempt."""
        mail = self._compose(delivery)
        async with self._places:
            connection = None
            try:
                connection = await self._open()
                await connection.send_message(mail, recipients=[delivery.recipient.address])
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                if connection is not None:
                    connection.close()
                raise _refusal(error) from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            self._idle.append((time.monotonic(), connection))
        return str(mail["Message-ID"])

    async def close(self) -> None:
        """Close the connections that are open."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _open(self) -> aiosmtplib.SMTP:
        """An open connection: the one used last if it still answers, else a new one."""
        while self._idle:
            used_at, connection = self._idle.pop()
            if time.monotonic() - used_at < _IDLE_SECONDS_MAX:
                try:
                    await connection.noop()
                except (aiosmtplib.SMTPException, OSError, TimeoutError):
                    pass
                else:
                    return connection
            connection.close()
        connection = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._scheme == "smtps",
            start_tls=self._scheme == "smtp+starttls",
            username=self._username,
            password=self._password,
            timeout=self._timeout_seconds,
        )
        await connection.connect()
        return connection

    def _compose(self, delivery: Delivery) -> EmailMessage:
        if not is_mail_address(delivery.recipient.address):
            raise RecipientRefused("ADDRESS_INVALID")
        mail = EmailMessage()
        mail["To"] = delivery.recipient.address
        mail["From"] = self._sender
        mail["Subject"] = delivery.text.subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{delivery.message_id}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(delivery.text.body)
        return mail


def _refusal(error: Exception) -> ChannelUnavailable | RecipientRefused:
    code = getattr(error, "code", None)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        code = error.recipients[0].code
    if code is None:
        return ChannelUnavailable("SMTP_UNREACHABLE")
    about_us = isinstance(
        error,
        aiosmtplib.SMTPAuthenticationError
        | aiosmtplib.SMTPSenderRefused
        | aiosmtplib.SMTPConnectError
        | aiosmtplib.SMTPHeloError,
    )
    if 500 <= code < 600 and not about_us:
        return RecipientRefused(f"SMTP_{code}")
    return ChannelUnavailable(f"SMTP_{code}")
