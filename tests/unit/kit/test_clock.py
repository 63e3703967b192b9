"""Ids that carry their time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.kit.clock import Clock, derived_id, id_time


class Stopped(Clock):
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 16, 30, 0, 123_000, tzinfo=UTC)


def test_now_is_in_utc() -> None:
    assert Clock().now().tzinfo is UTC


def test_a_new_id_is_a_uuid7_of_its_moment() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    new = Clock().new_id()
    assert (new.version, new.variant) == (7, "specified in RFC 4122")
    assert before <= id_time(new) <= datetime.now(UTC)


def test_ids_of_one_millisecond_differ_and_rise() -> None:
    clock = Stopped()
    ids = [clock.new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids), key=lambda one: one.int)
    assert {id_time(one) for one in ids} == {clock.now()}
    assert {one.version for one in ids} == {7}


def test_a_step_of_a_transaction_always_has_the_same_id() -> None:
    transaction_id = Clock().new_id()
    assert derived_id(transaction_id, "post") == derived_id(transaction_id, "post")
    assert derived_id(transaction_id, "post") != derived_id(transaction_id, "void")
    assert derived_id(transaction_id, "post") != derived_id(Clock().new_id(), "post")


def test_a_derived_id_is_a_uuid8_of_the_transactions_time() -> None:
    transaction_id = Clock().new_id()
    derived = derived_id(transaction_id, "post")
    assert (derived.version, derived.variant) == (8, "specified in RFC 4122")
    assert id_time(derived) == id_time(transaction_id)


def test_derived_ids_never_change_between_releases() -> None:
    """They stand in ledgers: another hash would pay twice."""
    transaction_id = UUID("01a1f9e5-5570-72b3-8b88-6e1a1e9b77e1")
    assert str(derived_id(transaction_id, "post")) == "01a1f9e5-5570-87e9-9b16-9e8f65cd5ebb"


@pytest.mark.parametrize("step", ["", "é", "x" * 1000])
def test_any_text_names_a_step(step: str) -> None:
    assert derived_id(Clock().new_id(), step).version == 8
