"""The HTTP server: Africa's Talking's messaging path, what was received, and what shall go wrong."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from simulators.received import Mailbox, listing
from simulators.sms.exchange import (
    BROKEN,
    SILENT,
    SLOW,
    Faults,
    Recipient,
    answer_for,
    parse_fault,
    summary,
)

_BODY_BYTES_MAX = 64 * 1024
_SILENT_SECONDS = 60.0
_REPORT_SECONDS = 5.0


def build(
    mailbox: Mailbox, faults: Faults, *, api_key: str = "", report_url: str = ""
) -> Starlette:
    """The simulator. An empty `api_key` takes any; delivery reports go to `report_url` when there is one."""

    async def messaging(request: Request) -> Response:
        key = request.headers.get("apikey", "")
        if not key or (api_key and key != api_key):
            return PlainTextResponse("The supplied authentication is invalid", status_code=401)
        body = await request.body()
        if len(body) > _BODY_BYTES_MAX:
            return PlainTextResponse("Request too large", status_code=413)
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        for name in ("username", "to", "message"):
            if not form.get(name):
                return PlainTextResponse(f"Request is missing required form field '{name}'", 400)
        recipients: list[Recipient] = []
        for number in form["to"].split(","):
            fault = faults.take(number)
            name = "" if fault is None else fault.name
            if fault is not None and name == SLOW:
                await asyncio.sleep(fault.delay_seconds)
            if name == SILENT:
                await asyncio.sleep(_SILENT_SECONDS)
            if name in (SILENT, BROKEN):
                return PlainTextResponse("Internal Server Error", status_code=500)
            recipients.append(answer_for(number, form["message"], fault))
        for recipient in recipients:
            if recipient.is_taken:
                mailbox.add(
                    recipient=recipient.number,
                    subject="",
                    body=form["message"],
                    reference=recipient.message_id,
                )
        return JSONResponse(
            {
                "SMSMessageData": {
                    "Message": summary(recipients),
                    "Recipients": [recipient.to_json() for recipient in recipients],
                }
            },
            status_code=201,
            background=BackgroundTask(_report, report_url, recipients) if report_url else None,
        )

    async def messages(request: Request) -> Response:
        try:
            return JSONResponse(listing(mailbox, request.query_params))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    async def switches(request: Request) -> Response:
        if request.method == "DELETE":
            faults.on.clear()
        elif request.method == "POST":
            try:
                faults.on.append(parse_fault(json.loads(await request.body())))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"faults": [fault.to_json() for fault in faults.on]})

    return Starlette(
        routes=[
            Route("/version1/messaging", messaging, methods=["POST"]),
            Route("/messages", messages),
            Route("/_faults", switches, methods=["GET", "POST", "DELETE"]),
        ]
    )


async def _report(url: str, recipients: list[Recipient]) -> None:
    """Tell how each message fared, as a form; a report that nobody takes is lost, as with the real one."""
    for recipient in recipients:
        if recipient.is_taken:
            await asyncio.to_thread(_post, url, _report_form(recipient))


def _report_form(recipient: Recipient) -> dict[str, str]:
    return {
        "id": recipient.message_id,
        "status": "Success",
        "phoneNumber": recipient.number,
        "networkCode": "63902",
        "retryCount": "0",
    }


def _post(url: str, form: dict[str, str]) -> None:
    request = urllib.request.Request(url, data=urllib.parse.urlencode(form).encode())
    try:
        with urllib.request.urlopen(request, timeout=_REPORT_SECONDS) as answer:
            answer.read(1024)
    except OSError:
        return
