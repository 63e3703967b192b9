"""`python -m simulators.mail`: the development mail server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from simulators.mail import smtp, viewer
from simulators.received import Mailbox
from simulators.serving import host_and_port, serve, stop_on_signals


async def run(environ: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve SMTP and HTTP until `stop` is set."""
    base = int(environ.get("HAZINA_PORT_BASE") or 8080)
    smtp_address = environ.get("HAZINA_MAIL_SMTP_ADDRESS") or f"127.0.0.1:{base + 6}"
    viewer_address = environ.get("HAZINA_MAIL_VIEWER_ADDRESS") or f"127.0.0.1:{base + 7}"
    mailbox = Mailbox()
    receiver = smtp.Receiver(mailbox)
    server = await smtp.listen(receiver, *host_and_port(smtp_address))
    try:
        await serve(viewer.build(mailbox, receiver), viewer_address, stop)
    finally:
        server.close()


async def _main() -> None:
    await run(os.environ, stop_on_signals())


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except (OSError, ValueError) as error:
        sys.exit(f"simulators.mail: {error}")
