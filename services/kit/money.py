"""Exact money: integers of the smallest unit and a currency. Standard library only."""

from dataclasses import dataclass

__all__ = ["DECIMALS", "INT64_MAX", "Money", "half_up"]

DECIMALS = {"KES": 2, "USD": 2, "BTC": 11}
"""Decimals of the smallest unit of each currency; BTC counts millisatoshis."""

INT64_MAX = 2**63 - 1
"""The largest amount that the contracts and the database can hold."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency in its smallest unit. Amounts outside int64 and other currencies cannot exist."""

    currency: str
    minor_units: int

    def __post_init__(self) -> None:
        if self.currency not in DECIMALS:
            raise ValueError(f"unknown currency {self.currency!r}")
        if not -INT64_MAX - 1 <= self.minor_units <= INT64_MAX:
            raise OverflowError("an amount must fit in 64 bits")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.currency, self.minor_units + self._same_currency(other))

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.currency, self.minor_units - self._same_currency(other))

    def format(self) -> str:
        """As people read it, such as `KES 1,200.50`; bitcoin without zeros at its end."""
        decimals = DECIMALS[self.currency]
        whole, part = divmod(abs(self.minor_units), 10**decimals)
        digits = f"{part:0{decimals}d}"
        if decimals > 2:
            digits = digits.rstrip("0").ljust(2, "0")
        sign = "-" if self.minor_units < 0 else ""
        return f"{self.currency} {sign}{whole:,}.{digits}"

    def _same_currency(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}")
        return other.minor_units


def half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded to the nearest integer, halves away from zero. `denominator` > 0."""
    assert denominator > 0, "a rate is a fraction of something"
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude
