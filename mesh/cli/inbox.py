"""`hazina inbox`: what the development mail server and the SMS simulator received."""

from __future__ import annotations

import re
from typing import Any

import httpx
from rich.markup import escape

from mesh.cli.screen import console
from mesh.stack.environment import Stack
from mesh.stack.home import StackError


def show(recipient: str, *, channel: str, limit: int, code_only: bool) -> None:
    """Print messages, newest first, or only the newest code."""
    ports = Stack.from_environment().ports
    places = {"email": ports.mail_viewer, "sms": ports.sms}
    messages = [
        {**message, "channel": name}
        for name, port in places.items()
        if channel in (name, "all")
        for message in _received(port, recipient, limit)
    ]
    messages.sort(key=lambda message: str(message["receiveTime"]), reverse=True)
    if code_only:
        for message in messages:
            found = re.search(r"\b\d{6}\b", str(message["body"]))
            if found:
                console.print(found.group(), markup=False)
                return
        raise StackError(f"No code was sent to {recipient or 'anyone'} yet.")
    if not messages:
        console.print(f"Nothing was sent to {recipient or 'anyone'} yet.", markup=False)
    for message in messages[:limit]:
        time = str(message["receiveTime"])[11:19]
        console.print(
            f"[bold]{escape(str(message['recipient']))}[/] [dim]{message['channel']} {time}[/] "
            f"{escape(str(message['subject']))}"
        )
        console.print(_indented(str(message["body"])), markup=False, style="dim")


def _received(port: int, recipient: str, limit: int) -> list[dict[str, Any]]:
    query: dict[str, str | int] = {"limit": limit}
    if recipient:
        query["recipient"] = recipient
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/messages", params=query, timeout=5)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(
            f"The simulator on port {port} does not answer ({error}). Is the mesh running? `hazina status` shows it."
        ) from error
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
