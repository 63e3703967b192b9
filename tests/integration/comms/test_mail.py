"""The mail adapter against a real SMTP server that behaves and misbehaves."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from mesh.stack.certificates import Certificates
from services.comms.clients.mail import MailClient
from services.comms.domain import Channel, Delivery, Recipient, Text
from services.comms.errors import ChannelUnavailable, RecipientRefused
from simulators.mail import smtp
from simulators.received import Mailbox
from tests.harness import free_port


class Server:
    """A mail server on a free port."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.receiver = smtp.Receiver(self.mailbox)
        self.port = free_port()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await smtp.listen(server.receiver, "127.0.0.1", server.port)
    yield server
    listening.close()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for every connection that is opened."""
    opened: list[object] = []
    connect = aiosmtplib.SMTP.connect

    async def counted(self: aiosmtplib.SMTP, *args: Any, **kwargs: Any) -> Any:
        opened.append(self)
        return await connect(self, *args, **kwargs)

    monkeypatch.setattr(aiosmtplib.SMTP, "connect", counted)
    return opened


@pytest.fixture
async def client(server: Server) -> AsyncIterator[MailClient]:
    client = MailClient(
        f"smtp://127.0.0.1:{server.port}",
        sender="Hazina <hello@hazina.example>",
        timeout_seconds=1.0,
    )
    yield client
    await client.close()


def delivery(address: str = "asha@example.com", subject: str = "Habari ñ") -> Delivery:
    return Delivery(uuid4(), Recipient(Channel.EMAIL, address), Text(subject, "Line ✓\n"))


async def test_a_mail_arrives_with_an_id_made_from_its_message(
    server: Server, client: MailClient
) -> None:
    mail = delivery()
    assert await client.send(mail) == f"<{mail.message_id}@hazina.example>"
    [received] = server.mailbox.list()
    assert (received.recipient, received.subject) == ("asha@example.com", "Habari ñ")
    assert (received.body, received.reference) == ("Line ✓", f"<{mail.message_id}@hazina.example>")


async def test_one_connection_carries_many_mails(
    server: Server, client: MailClient, connections: list[object]
) -> None:
    for _ in range(5):
        await client.send(delivery())
    assert (len(connections), len(server.mailbox.list())) == (1, 5)


async def test_many_mails_at_once_share_a_few_connections(
    server: Server, client: MailClient, connections: list[object]
) -> None:
    await asyncio.gather(*(client.send(delivery()) for _ in range(20)))
    assert len(server.mailbox.list()) == 20
    assert len(connections) <= 4


async def test_a_restarted_server_gets_the_next_mail(server: Server, client: MailClient) -> None:
    await client.send(delivery())
    client._idle[0][1].close()  # as the server's end would look
    await client.send(delivery())
    assert len(server.mailbox.list()) == 2


async def test_a_busy_server_is_for_later(server: Server, client: MailClient) -> None:
    server.receiver.faults.temporary = 1
    with pytest.raises(ChannelUnavailable) as refusal:
        await client.send(delivery())
    assert refusal.value.fault == "SMTP_451"


async def test_a_refused_recipient_is_refused_and_the_next_mail_goes_out(
    server: Server, client: MailClient
) -> None:
    server.receiver.faults.refused = frozenset({"nobody@example.com"})
    with pytest.raises(RecipientRefused) as refusal:
        await client.send(delivery("nobody@example.com"))
    assert refusal.value.fault == "SMTP_550"
    await client.send(delivery())
    assert len(server.mailbox.list()) == 1


async def test_a_server_that_is_too_slow_is_for_later(server: Server, client: MailClient) -> None:
    server.receiver.faults.delay_seconds = 3
    with pytest.raises(ChannelUnavailable) as refusal:
        await client.send(delivery())
    assert refusal.value.fault == "SMTP_UNREACHABLE"


async def test_no_server_is_for_later() -> None:
    client = MailClient("smtp://127.0.0.1:9", sender="hello@hazina.example")
    with pytest.raises(ChannelUnavailable) as refusal:
        await client.send(delivery())
    assert refusal.value.fault == "SMTP_UNREACHABLE"


@pytest.mark.parametrize(
    "address",
    [
        "asha@example.com\r\nBcc: all@example.com",
        "asha@example.com, brian@example.com",
        "Asha <asha@example.com>",
        "asha@",
        "<>",
    ],
)
async def test_what_is_not_one_plain_address_is_refused(
    server: Server, client: MailClient, address: str
) -> None:
    with pytest.raises(RecipientRefused):
        await client.send(delivery(address))
    assert not server.mailbox.list()


async def test_letters_beyond_ascii_in_an_address_are_sent_or_refused_and_never_break(
    server: Server, client: MailClient
) -> None:
    await client.send(delivery("añu@example.com"))
    assert server.mailbox.list()[0].recipient == "añu@example.com"


@pytest.mark.parametrize(
    "url", ["http://mail", "smtp://", "mail.example:25", "smtp://user:hush@mail.example"]
)
def test_a_url_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ValueError):
        MailClient(url, sender="hello@hazina.example")


@pytest.fixture
def contexts(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> tuple[ssl.SSLContext, Path]:
    """A certificate for `localhost`, and the authorities that signed it."""
    folder = certificates.directory("comms")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "authorities.pem"


def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    """Take user `comms` with password `hush`."""
    is_right = (data.login, data.password) == (b"comms", b"hush")
    return AuthResult(success=is_right, handled=is_right)


@pytest.fixture(params=["smtps", "smtp+starttls"])
async def secured(
    request: pytest.FixtureRequest, contexts: tuple[ssl.SSLContext, Path]
) -> AsyncIterator[tuple[str, int, Mailbox]]:
    """A server that speaks TLS and wants a login: its scheme, port and mailbox."""
    scheme: str = request.param
    mailbox, port = Mailbox(), free_port()
    context, _ = contexts
    settings: dict[str, Any] = {"authenticator": login, "auth_required": True}
    if scheme == "smtps":
        settings["auth_require_tls"] = False  # it knows only the TLS that it began itself
    else:
        settings |= {"tls_context": context, "require_starttls": True}
    listening = await asyncio.get_running_loop().create_server(
        lambda: SMTP(smtp.Receiver(mailbox), hostname="localhost", **settings),
        "127.0.0.1",
        port,
        ssl=context if scheme == "smtps" else None,
    )
    yield scheme, port, mailbox
    listening.close()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize(
    ("password", "is_trusted", "fault"),
    [("hush", True, ""), ("wrong", True, "SMTP_535"), ("hush", False, "SMTP_UNREACHABLE")],
)
async def test_tls_is_checked_and_logins_are_sent_inside_it(
    secured: tuple[str, int, Mailbox],
    contexts: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    is_trusted: bool,
    fault: str,
) -> None:
    scheme, port, mailbox = secured
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(contexts[1]))
    client = MailClient(f"{scheme}://comms:{password}@localhost:{port}", sender="a@hazina.example")
    try:
        await client.send(delivery())
        found = ""
    except ChannelUnavailable as refusal:
        found = refusal.fault
    await client.close()
    assert found == fault
    assert len(mailbox.list()) == (0 if fault else 1)
