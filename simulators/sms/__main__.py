"""`python -m simulators.sms`: the SMS simulator."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from simulators.received import Mailbox
from simulators.serving import serve, stop_on_signals
from simulators.sms import server
from simulators.sms.exchange import Faults


async def run(environ: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve HTTP until `stop` is set."""
    base = int(environ.get("HAZINA_PORT_BASE") or 8080)
    address = environ.get("HAZINA_SMS_ADDRESS") or f"127.0.0.1:{base + 8}"
    app = server.build(
        Mailbox(),
        Faults(),
        api_key=environ.get("HAZINA_AFRICASTALKING_API_KEY", ""),
        report_url=environ.get("HAZINA_SMS_REPORT_URL", ""),
    )
    await serve(app, address, stop)


async def _main() -> None:
    await run(os.environ, stop_on_signals())


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except (OSError, ValueError) as error:
        sys.exit(f"simulators.sms: {error}")
