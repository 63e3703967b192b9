"""What money of a group is refused with."""

from services.groups.errors import InsufficientFunds, refusal_of


def test_a_refusal_of_payments_becomes_one_of_groups() -> None:
    refusal = refusal_of("INSUFFICIENT_FUNDS")
    assert isinstance(refusal, InsufficientFunds) and refusal.domain == "groups.hazina"
    told = refusal_of("AMOUNT_OUT_OF_RANGE", "Between 1 and 2.")
    assert told is not None and told.message == "Between 1 and 2."


def test_a_failure_at_the_provider_is_no_refusal() -> None:
    assert refusal_of("PROVIDER_DECLINED") is None and refusal_of("") is None
