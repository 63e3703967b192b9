"""Time and new ids. Operations are handed a `Clock`; tests hand them another."""

import hashlib
import secrets
from datetime import UTC, datetime
from uuid import UUID

__all__ = ["Clock", "derived_id", "id_time"]

_VARIANT = 0b10 << 62
_RANDOM_62 = (1 << 62) - 1


class Clock:
    """The clock of the machine. Subclass it in tests to stand still."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        """A new UUIDv7 of this clock's time. Ids of one process rise strictly within a millisecond, too."""
        milliseconds = int(self.now().timestamp() * 1000)
        return _seven(milliseconds)


_last_v7 = 0


def _seven(milliseconds: int) -> UUID:
    """A UUIDv7: 48 bits of time, then a 74-bit random number that rises while the time stands still."""
    global _last_v7  # noqa: PLW0603 - the order of ids is a fact about the process
    random_74 = secrets.randbits(74) >> 1  # the top bit stays free for the rise
    ordered = (milliseconds << 74) | random_74
    if _last_v7 >> 74 == milliseconds and ordered <= _last_v7:
        ordered = _last_v7 + 1 + secrets.randbits(32)
    _last_v7 = ordered
    low_74 = ordered & ((1 << 74) - 1)
    high = ((ordered >> 74) << 16) | (0x7 << 12) | (low_74 >> 62)
    return UUID(int=(high << 64) | _VARIANT | (low_74 & _RANDOM_62))


def derived_id(transaction_id: UUID, step: str) -> UUID:
    """The id of one step of a transaction: UUIDv8 of the transaction's 48-bit time and hash(transaction_id, step).

    The same step of the same transaction always has the same id, so repeating it is harmless.
    """
    milliseconds = transaction_id.int >> 80
    digest = hashlib.sha256(transaction_id.bytes + step.encode()).digest()
    bits = int.from_bytes(digest[:10])
    high = (milliseconds << 16) | (0x8 << 12) | ((bits >> 62) & 0xFFF)
    return UUID(int=(high << 64) | _VARIANT | (bits & _RANDOM_62))


def id_time(id: UUID) -> datetime:  # noqa: A002
    """The moment that a UUIDv7, or an id derived from one, carries in its first 48 bits."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)
