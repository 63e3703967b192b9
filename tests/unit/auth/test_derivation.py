"""What is derived from the service's secret."""

from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag

from services.auth import derivation
from services.auth.derivation import Derivation, token_hash
from services.auth.domain import Identifier, Secret

OURS, THEIRS = Derivation(b"o" * 32), Derivation(b"t" * 32)


def test_a_code_is_six_digits_that_only_we_can_derive() -> None:
    ids = [uuid4() for _ in range(500)]
    codes = [OURS.code(one) for one in ids]
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert codes == [OURS.code(one) for one in ids]
    assert len(set(codes)) > 490
    assert sum(OURS.code(one) == THEIRS.code(one) for one in ids) < 5


def test_the_hash_of_a_code_belongs_to_its_verification() -> None:
    first, second = UUID(int=1), UUID(int=2)
    assert OURS.code_hash(first, "123456") != OURS.code_hash(second, "123456")
    assert b"123456" not in OURS.code_hash(first, "123456")


def test_a_pin_takes_the_pepper_and_a_password_does_not() -> None:
    assert OURS.peppered(Secret("password", "7391")) == "7391"
    peppered = OURS.peppered(Secret("pin", "7391"))
    assert peppered != "7391" and peppered != THEIRS.peppered(Secret("pin", "7391"))


def test_the_successor_of_a_refresh_token_is_always_the_same() -> None:
    token = derivation.new_refresh_token()
    successor = OURS.successor(token)
    assert successor == OURS.successor(token) != THEIRS.successor(token)
    assert len(successor) == len(token) == 43 and successor != token
    assert token_hash(token) != token_hash(successor)


def test_tries_are_counted_apart_by_action_identifier_and_address() -> None:
    asha, brian = Identifier("email", "a@example.com"), Identifier("email", "b@example.com")
    subjects = {
        OURS.attempt_subject("login", asha),
        OURS.attempt_subject("login", asha, "192.0.2.1"),
        OURS.attempt_subject("verify", asha),
        OURS.attempt_subject("login", brian),
    }
    assert len(subjects) == 4


def test_an_api_key_is_told_by_its_prefix() -> None:
    key, prefix = derivation.new_api_key()
    assert derivation.api_key_prefix(key) == prefix and key.startswith(f"{prefix}_")
    for wrong in ("", "hz", "hz_1", "other_1_2", "hz_é_1", "hz_1_" + "x" * 200):
        assert derivation.api_key_prefix(wrong) is None
    assert OURS.api_key_hash(key) != THEIRS.api_key_hash(key)


def test_a_sealed_secret_opens_for_its_person_only() -> None:
    asha, brian = UUID(int=1), UUID(int=2)
    sealed = OURS.seal_totp(asha, "JBSWY3DP")
    assert OURS.open_totp(asha, sealed) == "JBSWY3DP" and b"JBSWY3DP" not in sealed
    assert sealed != OURS.seal_totp(asha, "JBSWY3DP")
    with pytest.raises(InvalidTag):
        OURS.open_totp(brian, sealed)
    with pytest.raises(InvalidTag):
        THEIRS.open_totp(asha, sealed)
