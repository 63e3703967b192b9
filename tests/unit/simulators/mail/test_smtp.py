"""The development mail server over SMTP."""

from collections.abc import AsyncIterator
from email.message import EmailMessage

import aiosmtplib
import pytest

from simulators.mail import smtp
from simulators.received import Mailbox
from tests.harness import free_port


class Server:
    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.receiver = smtp.Receiver(self.mailbox)
        self.port = free_port()

    async def send(self, *recipients: str, body: str = "Hello\n") -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = "hello@hazina.example", ", ".join(recipients)
        mail["Subject"], mail["Message-ID"] = "Habari ñ", "<1@hazina.example>"
        mail.set_content(body)
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=self.port)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await smtp.listen(server.receiver, "127.0.0.1", server.port)
    yield server
    listening.close()
    await listening.wait_closed()


async def test_a_mail_is_kept_as_people_read_it(server: Server) -> None:
    await server.send("asha@example.com", body="Line one ✓\nLine two\n")
    [mail] = server.mailbox.list()
    assert (mail.recipient, mail.subject) == ("asha@example.com", "Habari ñ")
    assert (mail.body, mail.reference) == ("Line one ✓\nLine two", "<1@hazina.example>")


async def test_each_recipient_gets_a_message(server: Server) -> None:
    await server.send("a@example.com", "b@example.com")
    assert [mail.recipient for mail in server.mailbox.list()] == ["b@example.com", "a@example.com"]


async def test_a_busy_server_asks_to_come_again(server: Server) -> None:
    server.receiver.faults = smtp.parse_faults({"temporary": 1})
    with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
        await server.send("asha@example.com")
    assert refusal.value.code == 451
    await server.send("asha@example.com")
    assert len(server.mailbox.list()) == 1


async def test_a_refused_recipient_gets_nothing(server: Server) -> None:
    server.receiver.faults = smtp.parse_faults({"refused": ["Nobody@example.com"]})
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await server.send("nobody@EXAMPLE.com")
    assert refusal.value.recipients[0].code == 550
    assert not server.mailbox.list()


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        {"temporary": -1},
        {"temporary": True},
        {"refused": "a@b"},
        {"delaySeconds": "1"},
        {"x": 1},
    ],
)
def test_odd_faults_are_refused(wanted: object) -> None:
    with pytest.raises(ValueError):
        smtp.parse_faults(wanted)
