"""The rules of identity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.auth import domain
from services.auth.domain import (
    ApiKey,
    Identifier,
    KeyHolder,
    Limit,
    Person,
    Place,
    RefreshVerdict,
    Secret,
    Session,
    Tries,
)
from services.auth.errors import EmailInvalid, PasswordTooWeak, PhoneInvalid, PinTooWeak

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ASHA = UUID(int=1)
EMAIL = Identifier("email", "asha@example.com")
PERSON = Person(
    id=ASHA,
    display_name="Asha Mwangi",
    email="asha@example.com",
    phone="",
    locale="en",
    kyc_tier=1,
    totp_enabled=False,
    default_tenant_id="default",
    version=3,
    create_time=NOW,
    suspend_time=None,
    places=(
        Place("acme", ("staff",), ("payments.review", "wallet.read")),
        Place("default", ("member",), ("wallet.read",)),
    ),
)
SESSION = Session(
    id=UUID(int=2),
    user_id=ASHA,
    generation=4,
    methods=("pwd",),
    user_agent="curl",
    address="192.0.2.1",
    create_time=NOW - timedelta(days=1),
    refresh_time=NOW,
    expire_time=NOW + timedelta(days=7),
    end_time=None,
    second_factor_time=None,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("asha@example.com", "asha@example.com"),
        (" Asha.M+groups@Mail.Example.CO.KE ", "asha.m+groups@mail.example.co.ke"),
        ("o'brien@example.com", "o'brien@example.com"),
    ],
)
def test_an_email_address_is_kept_in_lower_case(text: str, value: str) -> None:
    assert domain.parse_email(text) == Identifier("email", value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "asha", "@example.com", "asha@", "asha@localhost", "asha@example", "a@b@example.com"),
        *("asha@-example.com", "asha@example..com", ".asha@example.com", "asha.@example.com"),
        *("as ha@example.com", "asha@exam ple.com", "asha@example.c", "\u0430sha@example.com"),
        *(
            "asha@example.com\n<eve>",
            "asha@[127.0.0.1]",
            "asha@127.0.0.1",
            f"{'a' * 65}@example.com",
        ),
        f"asha@{'a' * 64}.com",
    ],
)
def test_what_cannot_be_an_email_address_is_refused(text: str) -> None:
    with pytest.raises(EmailInvalid):
        domain.parse_email(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0712345678", "+254712345678"),
        ("0712 345-678", "+254712345678"),
        ("254712345678", "+254712345678"),
        ("+254 (0)712 345678", "+254712345678"),
        ("0110 123 456", "+254110123456"),
        ("+255 712 345 678", "+255712345678"),
        ("+1 202 555 0123", "+12025550123"),
    ],
)
def test_a_phone_number_is_kept_in_one_form(text: str, value: str) -> None:
    assert domain.parse_phone(text) == Identifier("phone", value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "0712",
        "+2547123456789012",
        "phone",
        "0712345678x",
        "+999712345678",
        "٠٧١٢٣٤٥٦٧٨",
    ],
)
def test_what_cannot_be_a_phone_number_is_refused(text: str) -> None:
    with pytest.raises(PhoneInvalid):
        domain.parse_phone(text)


def test_an_identifier_is_whichever_it_is_and_never_an_error() -> None:
    assert domain.parse_identifier("ASHA@example.com").kind == "email"
    assert domain.parse_identifier("0712345678").kind == "phone"
    assert domain.parse_identifier(" Nobody ") == Identifier("unknown", "nobody")
    assert domain.parse_identifier("a@b") == Identifier("unknown", "a@b")


@pytest.mark.parametrize(
    ("email", "phone", "masked"),
    [
        ("brian@example.com", "", "b***n@example.com"),
        ("ab@example.com", "", "a***@example.com"),
        ("a@example.com", "+254712345678", "a***@example.com"),
        ("", "+254712345678", "+254***678"),
        ("", "", ""),
    ],
)
def test_an_identifier_is_masked(email: str, phone: str, masked: str) -> None:
    assert domain.masked_identifier(email, phone) == masked


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("Brian Otieno", "B**** O."),
        ("brian", "B****"),
        ("Al Bo Cy Di", "A**** D."),
        ("ändré Élan", "Ä**** É."),
        ("", "****"),
    ],
)
def test_a_name_is_masked(name: str, masked: str) -> None:
    assert domain.masked_name(name) == masked


COMMON = frozenset({"password123", "iloveyou123"})


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "PassWord123",
        "aaaabbbb",
        "asha@example.com",
        "Asha1234",
        "xASHA@example.comx",
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        domain.check_secret(Secret("password", password), EMAIL, COMMON)


@pytest.mark.parametrize(
    "password", ["correct horse", "asha-has-two-goats", "pässwörter", "12-45-78 90"]
)
def test_a_good_password_passes(password: str) -> None:
    domain.check_secret(Secret("password", password), EMAIL, COMMON)


def test_a_password_does_not_contain_the_phone_number() -> None:
    with pytest.raises(PasswordTooWeak):
        domain.check_secret(
            Secret("password", "x0712345678"), Identifier("phone", "+254712345678"), COMMON
        )


@pytest.mark.parametrize(
    "pin",
    [
        "0000",
        "1111",
        "1234",
        "4321",
        "7890",
        "9012",
        "3210",
        "1212",
        "2580",
        "1975",
        "2026",
        "123456",
        "111111",
        "123123",
        "454545",
    ],
)
def test_a_pin_that_is_guessed_first_is_refused(pin: str) -> None:
    with pytest.raises(PinTooWeak):
        domain.check_secret(Secret("pin", pin), EMAIL, COMMON)


@pytest.mark.parametrize("pin", ["7391", "8052", "90417", "302958"])
def test_a_good_pin_passes(pin: str) -> None:
    domain.check_secret(Secret("pin", pin), EMAIL, COMMON)


def test_one_waits_until_the_window_of_the_first_try_is_over() -> None:
    limit = Limit(5, timedelta(minutes=1))
    assert domain.wait_seconds(Tries(5, NOW), limit, NOW) == 0
    assert domain.wait_seconds(Tries(6, NOW), limit, NOW + timedelta(seconds=20)) == 40
    assert domain.wait_seconds(Tries(6, NOW), limit, NOW + timedelta(seconds=59.9)) == 1


@pytest.mark.parametrize(
    ("generation", "seconds", "verdict"),
    [
        (4, 0, RefreshVerdict.TRADED),
        (4, 600_000, RefreshVerdict.TRADED),
        (3, 30, RefreshVerdict.REPEATED),
        (3, 31, RefreshVerdict.REUSED),
        (2, 0, RefreshVerdict.REUSED),
        (4, 7 * 86400, RefreshVerdict.INVALID),
        (2, 7 * 86400, RefreshVerdict.INVALID),
    ],
)
def test_only_the_newest_token_is_traded_and_the_one_before_repeated(
    generation: int, seconds: int, verdict: RefreshVerdict
) -> None:
    assert domain.judge_refresh(SESSION, generation, NOW + timedelta(seconds=seconds)) is verdict


def test_tokens_of_an_ended_session_are_worth_nothing() -> None:
    ended = replace(SESSION, end_time=NOW)
    for generation in (2, 3, 4):
        assert domain.judge_refresh(ended, generation, NOW) is RefreshVerdict.INVALID


def test_a_session_lives_seven_days_from_its_refresh_and_ninety_in_all() -> None:
    assert domain.session_expire_time(NOW, NOW) == NOW + timedelta(days=7)
    late = NOW + timedelta(days=88)
    assert domain.session_expire_time(NOW, late) == NOW + timedelta(days=90)


def test_an_access_token_says_who_where_and_for_how_long() -> None:
    claims = domain.access_claims(PERSON, SESSION)
    assert claims["exp"] - claims["iat"] == 900 and claims["iat"] == claims["nbf"]
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("hazina", "hazina", str(ASHA))
    assert (claims["sid"], claims["tid"], claims["kyc"]) == (str(SESSION.id), "default", 1)
    assert claims["tenants"]["acme"] == {
        "roles": ["staff"],
        "permissions": ["payments.review", "wallet.read"],
    }
    assert "sft" not in claims and "key" not in claims and claims["amr"] == ["pwd"]
    stepped = replace(SESSION, second_factor_time=NOW, methods=("pwd", "otp"))
    assert domain.access_claims(PERSON, stepped)["sft"] == int(NOW.timestamp())
    assert domain.access_claims(PERSON, SESSION) == claims
    next_one = replace(SESSION, generation=5)
    assert domain.access_claims(PERSON, next_one)["jti"] != claims["jti"]


def test_a_keys_token_holds_what_both_key_and_maker_may_in_one_tenant() -> None:
    key = ApiKey(
        id=UUID(int=3),
        user_id=ASHA,
        tenant_id="acme",
        name="export",
        prefix="hz_1",
        permissions=("payments.review", "payments.transfer"),
        create_time=NOW,
        expire_time=NOW,
        last_use_time=None,
    )
    holder = KeyHolder(key, ("member",), ("payments.transfer", "wallet.read"), 2)
    claims = domain.key_claims(holder, NOW)
    assert claims["tenants"] == {
        "acme": {"roles": ["member"], "permissions": ["payments.transfer"]}
    }
    assert (claims["key"], claims["sid"], claims["tid"]) == (str(key.id), str(key.id), "acme")
    assert claims["exp"] - claims["iat"] == 120 and claims["kyc"] == 2


def test_a_code_of_an_app_is_good_for_a_step_on_either_side_and_once() -> None:
    step = domain.totp_step(NOW)
    assert list(domain.totp_steps(NOW, 0)) == [step - 1, step, step + 1]
    assert list(domain.totp_steps(NOW, step)) == [step + 1]
    assert list(domain.totp_steps(NOW, step + 1)) == []


def test_roles_are_added_to_those_held() -> None:
    assert domain.added_roles(("member",), ["admin", "member"]) == ("admin", "member")


def test_an_etag_changes_with_the_version() -> None:
    assert domain.etag(PERSON) != domain.etag(replace(PERSON, version=4))


def test_secrets_are_not_printed() -> None:
    assert "hunter2" not in repr(Secret("password", "hunter2"))
