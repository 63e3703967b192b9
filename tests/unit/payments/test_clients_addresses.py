"""Addresses of hooks: what they prove, and that nobody else can make one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import Clock
from services.payments.clients.addresses import HookAddresses
from services.payments.domain import HookAddress

SECRET = "s" * 48
ADDRESSES = HookAddresses(
    f"http://h/hooks/v1/daraja/{SECRET}", hook_secret=SECRET, sealing_secret=b"k" * 32
)
TRANSACTION = Clock().new_id()


def last_part(url: str) -> str:
    """What the hook gets as its secret."""
    return url.rpartition("/")[2]


def test_an_address_names_its_transaction_and_purpose() -> None:
    callback = last_part(ADDRESSES.for_callback(TRANSACTION))
    answer = last_part(ADDRESSES.for_answer(TRANSACTION, 12))
    assert ADDRESSES.read(callback) == HookAddress(TRANSACTION, answers_question=False)
    assert ADDRESSES.read(answer) == HookAddress(TRANSACTION, answers_question=True)
    assert ADDRESSES.read(SECRET) == HookAddress()


def test_an_address_fits_in_what_the_contract_takes() -> None:
    assert len(last_part(ADDRESSES.for_answer(TRANSACTION, 99))) <= 128


def test_who_knows_a_callback_address_cannot_make_that_of_an_answer() -> None:
    secret, transaction, _, seal = last_part(ADDRESSES.for_callback(TRANSACTION)).split(".")
    assert ADDRESSES.read(f"{secret}.{transaction}.q0.{seal}") is None
    other = Clock().new_id().hex
    assert ADDRESSES.read(f"{secret}.{other}.c.{seal}") is None


@pytest.mark.parametrize(
    "wrong", ["", "x", "x" * 48, f"{SECRET}.", f"{SECRET}.a.b", f"{SECRET}...."]
)
def test_a_wrong_address_is_none_of_ours(wrong: str) -> None:
    assert ADDRESSES.read(wrong) is None


def test_the_right_seal_with_a_wrong_secret_is_none_of_ours() -> None:
    rest = last_part(ADDRESSES.for_callback(TRANSACTION)).partition(".")[2]
    assert ADDRESSES.read(f"{'t' * 48}.{rest}") is None


@given(st.text(max_size=128))
def test_any_text_can_be_read(text: str) -> None:
    assert ADDRESSES.read(text) is None
