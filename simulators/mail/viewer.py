"""The HTTP side: what was received, and what shall go wrong."""

from __future__ import annotations

import html
import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from simulators.mail.smtp import Faults, Receiver, parse_faults
from simulators.received import Mailbox, Received, listing

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Development mail</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #1c1917 }}
article {{ border-top: 1px solid #d6d3d1; padding: .75rem 0 }}
h2 {{ font-size: 1rem; margin: 0 }} p {{ margin: 0; color: #57534e; font-size: .875rem }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .5rem 0 0 }}
</style></head>
<body><h1>Development mail</h1><p>The last messages that this server took, newest first. None was delivered.</p>
{articles}</body></html>
"""


def build(mailbox: Mailbox, receiver: Receiver) -> Starlette:
    """The viewer of a mailbox, with the switches of its receiver."""

    async def page(_request: Request) -> Response:
        articles = "".join(_article(message) for message in mailbox.list(limit=100))
        return HTMLResponse(_PAGE.format(articles=articles or "<p>Nothing yet.</p>"))

    async def messages(request: Request) -> Response:
        try:
            return JSONResponse(listing(mailbox, request.query_params))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            receiver.faults = Faults()
        elif request.method == "POST":
            try:
                receiver.faults = parse_faults(json.loads(await request.body() or b"{}"))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(receiver.faults.to_json())

    return Starlette(
        routes=[
            Route("/", page),
            Route("/messages", messages),
            Route("/_faults", faults, methods=["GET", "POST", "DELETE"]),
        ]
    )


def _article(message: Received) -> str:
    return (
        f"<article><h2>{html.escape(message.subject) or '(no subject)'}</h2>"
        f"<p>{html.escape(message.recipient)} · {message.receive_time:%H:%M:%S} UTC</p>"
        f"<pre>{html.escape(message.body)}</pre></article>"
    )
