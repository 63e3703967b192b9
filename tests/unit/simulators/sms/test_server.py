"""The SMS simulator over HTTP."""

import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs

import httpx
import pytest

from simulators.received import Mailbox
from simulators.sms import server
from simulators.sms.exchange import Faults

FORM = {"username": "sandbox", "to": "+254712345678", "message": "Hello", "from": "HAZINA"}
KEY = {"apiKey": "hush"}


def client(**settings: str) -> httpx.AsyncClient:
    app = server.build(Mailbox(), Faults(), **settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sms")


@pytest.fixture
async def sms() -> AsyncIterator[httpx.AsyncClient]:
    async with client(api_key="hush") as http:
        yield http


async def test_a_message_is_taken_and_shown(sms: httpx.AsyncClient) -> None:
    answer = await sms.post("/version1/messaging", data=FORM, headers=KEY)
    assert answer.status_code == 201
    [recipient] = answer.json()["SMSMessageData"]["Recipients"]
    assert recipient["status"] == "Success"
    [message] = (await sms.get("/messages", params={"recipient": "+254712345678"})).json()[
        "messages"
    ]
    assert (message["body"], message["reference"]) == ("Hello", recipient["messageId"])


async def test_a_wrong_key_is_refused(sms: httpx.AsyncClient) -> None:
    for headers in ({}, {"apiKey": "loud"}):
        answer = await sms.post("/version1/messaging", data=FORM, headers=headers)
        assert answer.status_code == 401
    assert (await sms.get("/messages")).json() == {"messages": []}


@pytest.mark.parametrize("missing", ["username", "to", "message"])
async def test_a_missing_field_is_named(sms: httpx.AsyncClient, missing: str) -> None:
    form = {name: value for name, value in FORM.items() if name != missing}
    answer = await sms.post("/version1/messaging", data=form, headers=KEY)
    assert (answer.status_code, missing in answer.text) == (400, True)


async def test_a_status_can_be_switched_on_and_off(sms: httpx.AsyncClient) -> None:
    await sms.post("/_faults", json={"fault": "InsufficientBalance"})
    answer = await sms.post("/version1/messaging", data=FORM, headers=KEY)
    assert answer.json()["SMSMessageData"]["Recipients"][0]["statusCode"] == 405
    assert (await sms.get("/messages")).json() == {"messages": []}
    assert (await sms.delete("/_faults")).json() == {"faults": []}
    answer = await sms.post("/version1/messaging", data=FORM, headers=KEY)
    assert answer.json()["SMSMessageData"]["Recipients"][0]["statusCode"] == 101


async def test_a_broken_server_answers_500(sms: httpx.AsyncClient) -> None:
    await sms.post("/_faults", json={"fault": "broken", "count": 1})
    assert (await sms.post("/version1/messaging", data=FORM, headers=KEY)).status_code == 500
    assert (await sms.post("/version1/messaging", data=FORM, headers=KEY)).status_code == 201


async def test_a_slow_server_answers_late(sms: httpx.AsyncClient) -> None:
    await sms.post("/_faults", json={"fault": "slow", "delaySeconds": 0.3, "count": 1})
    started = time.monotonic()
    assert (await sms.post("/version1/messaging", data=FORM, headers=KEY)).status_code == 201
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("body", ["", "[", '{"fault": "flood"}'])
async def test_odd_faults_are_refused(sms: httpx.AsyncClient, body: str) -> None:
    assert (await sms.post("/_faults", content=body)).status_code == 400


@pytest.fixture
def reports() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A place for delivery reports: its URL, and what came."""
    came: list[dict[str, list[str]]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(parse_qs(body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Quiet."""

    taker = HTTPServer(("127.0.0.1", 0), Taker)
    thread = Thread(target=taker.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{taker.server_port}/reports", came
    taker.shutdown()
    thread.join()
    taker.server_close()


async def test_delivery_is_reported_as_a_form(
    reports: tuple[str, list[dict[str, list[str]]]],
) -> None:
    url, came = reports
    async with client(report_url=url) as sms:
        answer = await sms.post("/version1/messaging", data=FORM, headers=KEY)
    message_id = answer.json()["SMSMessageData"]["Recipients"][0]["messageId"]
    [report] = came
    assert (report["id"], report["status"]) == ([message_id], ["Success"])
    assert report["phoneNumber"] == ["+254712345678"]
