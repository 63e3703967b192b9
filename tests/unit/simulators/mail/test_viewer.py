"""The development mail server over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulators.mail import smtp, viewer
from simulators.received import Mailbox


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def receiver(mailbox: Mailbox) -> smtp.Receiver:
    return smtp.Receiver(mailbox)


@pytest.fixture
async def http(mailbox: Mailbox, receiver: smtp.Receiver) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(viewer.build(mailbox, receiver))
    async with httpx.AsyncClient(transport=transport, base_url="http://mail") as http:
        yield http


async def test_messages_are_listed_for_a_recipient(
    http: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    for recipient in ("a@example.com", "b@example.com"):
        mailbox.add(recipient=recipient, subject="Hi", body="Hello", reference="<1@h>")
    answer = (await http.get("/messages", params={"recipient": "A@example.com"})).json()
    [message] = answer["messages"]
    assert (message["recipient"], message["subject"], message["body"]) == (
        "a@example.com",
        "Hi",
        "Hello",
    )


async def test_the_page_shows_messages_as_text(http: httpx.AsyncClient, mailbox: Mailbox) -> None:
    assert "Nothing yet." in (await http.get("/")).text
    mailbox.add(recipient="a@b", subject="<b>Hi</b>", body="<script>x</script>", reference="")
    page = (await http.get("/")).text
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page
    assert "<script>" not in page


async def test_faults_are_switched_on_and_off(
    http: httpx.AsyncClient, receiver: smtp.Receiver
) -> None:
    wanted = {"temporary": 2, "refused": ["A@b"], "delaySeconds": 1}
    assert (await http.post("/_faults", json=wanted)).json()["temporary"] == 2
    assert receiver.faults.refused == {"a@b"}
    assert (await http.delete("/_faults")).json() == {
        "temporary": 0,
        "refused": [],
        "delaySeconds": 0.0,
    }


async def test_odd_requests_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/_faults", content="[")).status_code == 400
    assert (await http.get("/messages", params={"limit": "x"})).status_code == 400
