"""Exact money."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.money import INT64_MAX, Money, half_up

amounts = st.integers(-INT64_MAX - 1, INT64_MAX)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money("KES", 120_050), "KES 1,200.50"),
        (Money("KES", 0), "KES 0.00"),
        (Money("KES", -5), "KES -0.05"),
        (Money("USD", 123_456_789), "USD 1,234,567.89"),
        (Money("BTC", 100_000_000_000), "BTC 1.00"),
        (Money("BTC", 1), "BTC 0.00000000001"),
        (Money("BTC", 150_000_000_000), "BTC 1.50"),
        (Money("BTC", INT64_MAX), "BTC 92,233,720.36854775807"),
    ],
)
def test_money_reads_as_people_write_it(money: Money, text: str) -> None:
    assert money.format() == text


def test_sums_keep_the_currency() -> None:
    assert Money("KES", 2) + Money("KES", 3) == Money("KES", 5)
    assert Money("KES", 2) - Money("KES", 3) == Money("KES", -1)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="cannot mix KES and USD"):
        Money("KES", 1) + Money("USD", 1)
    with pytest.raises(ValueError, match="cannot mix"):
        Money("KES", 1) - Money("USD", 1)


def test_an_unknown_currency_cannot_exist() -> None:
    with pytest.raises(ValueError, match="unknown currency 'EUR'"):
        Money("EUR", 1)


@given(amounts, amounts)
def test_a_sum_is_exact_or_refused(left: int, right: int) -> None:
    total = left + right
    if -INT64_MAX - 1 <= total <= INT64_MAX:
        assert (Money("KES", left) + Money("KES", right)).minor_units == total
    else:
        with pytest.raises(OverflowError):
            Money("KES", left) + Money("KES", right)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (1, 2, 1),
        (-1, 2, -1),
        (1, 3, 0),
        (2, 3, 1),
        (5, 10, 1),
        (14, 10, 1),
        (15, 10, 2),
        (-15, 10, -2),
        (0, 7, 0),
    ],
)
def test_halves_are_rounded_away_from_zero(numerator: int, denominator: int, rounded: int) -> None:
    assert half_up(numerator, denominator) == rounded


@given(st.integers(), st.integers(1, 10**12))
def test_a_rounded_fraction_is_at_most_a_half_away(numerator: int, denominator: int) -> None:
    assert abs(Fraction(numerator, denominator) - half_up(numerator, denominator)) <= Fraction(1, 2)
