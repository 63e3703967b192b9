"""`python -m simulators.mobile_money`: the mobile money simulator."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from simulators.mobile_money import server
from simulators.mobile_money.books import Books
from simulators.mobile_money.faults import Faults
from simulators.mobile_money.provider import Provider
from simulators.serving import serve, stop_on_signals


async def run(environ: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve HTTP until `stop` is set."""
    base = int(environ.get("HAZINA_PORT_BASE") or 8080)
    file = environ.get("HAZINA_MOBILE_MONEY_FILE", "")
    provider = Provider(
        Books(Path(file) if file else None),
        Faults(),
        delay_seconds=float(environ.get("HAZINA_MOBILE_MONEY_DELAY_SECONDS") or 0.5),
        charge=int(environ.get("HAZINA_MOBILE_MONEY_CHARGE") or 0),
    )
    account = server.Account(
        consumer_key=environ.get("HAZINA_DARAJA_CONSUMER_KEY", ""),
        consumer_secret=environ.get("HAZINA_DARAJA_CONSUMER_SECRET", ""),
        shortcode=environ.get("HAZINA_DARAJA_SHORTCODE", ""),
        passkey=environ.get("HAZINA_DARAJA_PASSKEY", ""),
    )
    provider.resume()
    try:
        address = environ.get("HAZINA_MOBILE_MONEY_ADDRESS") or f"127.0.0.1:{base + 9}"
        await serve(server.build(provider, account), address, stop)
    finally:
        await provider.close()


async def _main() -> None:
    await run(os.environ, stop_on_signals())


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except (OSError, ValueError) as error:
        sys.exit(f"simulators.mobile_money: {error}")
