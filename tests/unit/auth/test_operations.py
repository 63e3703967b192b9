"""Operations that need no database: readiness, and what is refused before anything is asked."""

import asyncio

from services.auth.operations.readiness import PartState, get_readiness
from tests.harness import assert_refused


async def serves() -> bool:
    """A good part."""
    return True


async def is_closed() -> bool:
    """A part that says that it does not serve."""
    return False


async def is_away() -> bool:
    """A part that cannot be reached."""
    raise ConnectionError


async def is_silent() -> bool:
    """A part that does not answer."""
    await asyncio.sleep(60)
    return True


async def test_all_parts_serve() -> None:
    parts = await get_readiness({"auth": serves, "redis": serves})
    assert parts == {"auth": PartState.SERVING, "redis": PartState.SERVING}


async def test_every_state_is_named_when_one_part_is_not_ready() -> None:
    probes = {"auth": serves, "wallet": is_closed, "comms": is_away, "redis": is_silent}
    started = asyncio.get_running_loop().time()
    with assert_refused("UNAVAILABLE", "NOT_READY") as refusal:
        await get_readiness(probes)
    assert asyncio.get_running_loop().time() - started < 3
    assert refusal.metadata == {
        "auth": "SERVING",
        "wallet": "NOT_SERVING",
        "comms": "UNREACHABLE",
        "redis": "UNREACHABLE",
    }
