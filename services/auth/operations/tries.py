"""Counting tries, so that nobody guesses a secret or floods a phone."""

from collections.abc import Sequence
from datetime import datetime

from services.auth import domain
from services.auth.domain import Identifier
from services.auth.errors import TooManyAttempts
from services.auth.operations.desk import Desk, Origin
from services.auth.store import codes
from services.kit.database import Session

# What is counted apart from each other.
SEND_CODE, GIVE_CODE, GIVE_SECRET, GIVE_TOTP = "send code", "give code", "give secret", "give totp"


async def count(
    desk: Desk,
    session: Session,
    action: str,
    identifier: Identifier,
    origin: Origin,
    now: datetime,
) -> float:
    """Count a try, and answer for how many seconds the next ones are refused: 0 means that this one is allowed.

    The caller lets the unit commit before it refuses, or the try would not count.
    """
    near, far = _subjects(desk, action, identifier, origin)
    limits = desk.limits
    tries = await codes.count_try(session, [(near, limits.near), (far, limits.far)], now)
    waits = [
        domain.wait_seconds(tried, limit, now)
        for tried, limit in zip(tries, (limits.near, limits.far), strict=True)
    ]
    return max(waits)


async def forget(
    desk: Desk, session: Session, action: str, identifier: Identifier, origin: Origin
) -> None:
    """The tries were the owner's own: they have proved it."""
    await codes.forget_tries(session, _subjects(desk, action, identifier, origin))


def refuse(wait_seconds: float) -> None:
    """Raises TooManyAttempts if one has to wait."""
    if wait_seconds > 0:
        raise TooManyAttempts(retry_after_seconds=wait_seconds)


def _subjects(desk: Desk, action: str, identifier: Identifier, origin: Origin) -> Sequence[bytes]:
    derive = desk.derivation.attempt_subject
    return derive(action, identifier, f"at {origin.address}"), derive(action, identifier)
