"""Whether the mesh can do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

from services.auth.errors import NotReady

__all__ = ["PartState", "get_readiness"]

PART_SECONDS_MAX = 1.0


class PartState(Enum):
    """Whether a part does its work."""

    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    UNREACHABLE = "UNREACHABLE"


Probe = Callable[[], Awaitable[bool]]
"""True: it serves; False: it says that it does not; any exception: it cannot be reached."""


async def get_readiness(probes: Mapping[str, Probe]) -> Mapping[str, PartState]:
    """Ask every part at the same time, for a second at most. Raises NotReady with the states when one is not serving."""
    states = await asyncio.gather(*(_ask(probe) for probe in probes.values()))
    parts = dict(zip(probes, states, strict=True))
    if any(state is not PartState.SERVING for state in states):
        refusal = NotReady(retry_after_seconds=1)
        refusal.metadata.update({name: state.value for name, state in parts.items()})
        raise refusal
    return parts


async def _ask(probe: Probe) -> PartState:
    try:
        async with asyncio.timeout(PART_SECONDS_MAX):
            return PartState.SERVING if await probe() else PartState.NOT_SERVING
    except Exception:  # noqa: BLE001 - whatever the fault is, the part was not reached
        return PartState.UNREACHABLE
