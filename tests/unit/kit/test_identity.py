"""Tokens: which are believed, for how long, and what they say."""

import base64
import hmac
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import jwt as independent
import pytest

from services.kit import identity
from services.kit.errors import (
    AccessDenied,
    CredentialsMissing,
    TenantNotFound,
    TokenExpired,
    TokenInvalid,
)
from services.kit.identity import Call, Tokens, User
from tests.harness.people import Signer, claims_of

USER_ID, SESSION_ID = UUID(int=1), UUID(int=2)


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


@pytest.fixture
def signer(jwks_file: Path) -> Signer:
    return Signer(jwks_file)


@pytest.fixture
def tokens(signer: Signer, jwks_file: Path) -> Tokens:
    return Tokens(jwks_file)


def claims(**facts: Any) -> dict[str, Any]:
    return claims_of(USER_ID, SESSION_ID, **facts)


def test_a_good_token_gives_its_user(signer: Signer, tokens: Tokens) -> None:
    key = UUID(int=5)
    token = signer.sign(
        claims(
            roles=["staff"],
            permissions=["a.b"],
            kyc_tier=2,
            second_factor_age_seconds=60,
            api_key_id=key,
        )
    )
    user = tokens.user(token, "")
    assert (user.id, user.session_id, user.tenant_id) == (USER_ID, SESSION_ID, "default")
    assert (set(user.roles), set(user.permissions), user.kyc_tier) == ({"staff"}, {"a.b"}, 2)
    assert user.second_factor_time is not None
    assert 59 < (datetime.now(UTC) - user.second_factor_time).total_seconds() < 70
    assert user.api_key_id == key


def test_roles_and_permissions_are_those_of_the_tenant(signer: Signer, tokens: Tokens) -> None:
    memberships = {
        "default": {"roles": ["member"], "permissions": ["a"]},
        "kisumu": {"roles": ["admin"], "permissions": ["b"]},
    }
    token = signer.sign(claims(tenants=memberships))
    assert tokens.user(token, "kisumu").roles == {"admin"}
    assert tokens.user(token, "default").permissions == {"a"}
    assert tokens.user(token, "").tenant_id == "default"
    for stranger in ("nairobi", "Default", "*"):
        with pytest.raises(TenantNotFound):
            tokens.user(token, stranger)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "elsewhere"},
        {"iss": None},
        {"exp": "soon"},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"iat": True},
        {"sub": "nobody"},
        {"sid": None},
        {"tenants": []},
        {"tid": 7},
    ],
    ids=str,
)
def test_a_token_with_odd_claims_is_invalid(
    signer: Signer, tokens: Tokens, change: dict[str, Any]
) -> None:
    with pytest.raises(TokenInvalid):
        tokens.verify(signer.sign({**claims(), **change}))


def test_a_token_whose_life_is_over_is_expired(signer: Signer, tokens: Tokens) -> None:
    with pytest.raises(TokenExpired):
        tokens.verify(signer.sign(claims(expires_in_seconds=-1)))


def test_a_small_difference_of_clocks_is_forgiven(signer: Signer, tokens: Tokens) -> None:
    tokens.verify(signer.sign({**claims(), "nbf": time.time() + 20, "iat": time.time() + 20}))


def test_a_token_for_another_audience_is_denied(signer: Signer, tokens: Tokens) -> None:
    with pytest.raises(AccessDenied):
        tokens.verify(signer.sign(claims(aud="other")))
    tokens.verify(signer.sign(claims(aud=["other", "hazina"])))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "\0", "x" * 100_000])
def test_text_that_is_no_token_is_invalid(tokens: Tokens, token: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.verify(token)


def test_a_changed_token_is_invalid(signer: Signer, tokens: Tokens) -> None:
    head, body, signature = signer.sign(claims()).split(".")
    richer = (
        base64.urlsafe_b64encode(json.dumps({**claims(), "kyc": 9}).encode()).rstrip(b"=").decode()
    )
    for forged in (
        f"{head}.{richer}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
    ):
        with pytest.raises(TokenInvalid):
            tokens.verify(forged)


def test_only_our_algorithm_is_taken(signer: Signer, tokens: Tokens, jwks_file: Path) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    unsigned = f"{part({'alg': 'none', 'kid': 'test'})}.{part(claims())}."
    with pytest.raises(TokenInvalid):
        tokens.verify(unsigned)
    # The old trick: sign with the public key as if it were a shared secret.
    for secret in (jwks_file.read_bytes(), b"k" * 32):
        content = f"{part({'alg': 'HS256', 'kid': 'test'})}.{part(claims())}"
        mac = hmac.digest(secret, content.encode(), "sha256")
        with pytest.raises(TokenInvalid):
            tokens.verify(f"{content}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_a_token_of_another_key_is_invalid(tokens: Tokens, tmp_path: Path) -> None:
    stranger = Signer(tmp_path / "other.json")
    with pytest.raises(TokenInvalid):
        tokens.verify(stranger.sign(claims()))
    with pytest.raises(TokenInvalid):
        tokens.verify(stranger.sign(claims(), kid="unknown"))


def test_our_tokens_pass_an_independent_verifier(signer: Signer, jwks_file: Path) -> None:
    [key] = independent.PyJWKSet.from_json(jwks_file.read_text()).keys
    found = independent.decode(
        signer.sign(claims()), key, algorithms=["EdDSA"], audience="hazina", issuer="hazina"
    )
    assert found["sub"] == str(USER_ID)


def test_a_good_token_is_verified_once_and_then_remembered(
    signer: Signer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.sign(claims())
    tokens.verify(token)
    monkeypatch.setattr(tokens, "_decode", lambda *_: pytest.fail("it was verified again"))
    tokens.verify(token)
    assert tokens.user(token, "") is tokens.user(token, "")


def test_a_remembered_token_expires_all_the_same(
    signer: Signer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.sign(claims(expires_in_seconds=30))
    tokens.verify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31)
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_a_token_is_remembered_for_a_minute_at_most(
    signer: Signer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.sign(claims())
    tokens.verify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    decode = Mock(wraps=tokens._decode)
    monkeypatch.setattr(tokens, "_decode", decode)
    tokens.verify(token)
    assert decode.call_count == 1


def test_a_dropped_key_is_noticed_and_its_tokens_are_refused(
    signer: Signer, tokens: Tokens, jwks_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.sign(claims())
    tokens.verify(token)
    replacement = tmp_path / "new.json"
    Signer(replacement)
    os.replace(replacement, jwks_file)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1.1)
    with pytest.raises(TokenInvalid):
        tokens.verify(token)


def test_keys_that_cannot_be_read_leave_those_we_have(
    signer: Signer, tokens: Tokens, jwks_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.verify(signer.sign(claims()))
    now = time.time()
    for seconds, content in ((2, "{"), (4, '{"keys": 7}'), (6, "[]")):
        jwks_file.write_text(content)
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
        tokens.verify(signer.sign(claims()))


def test_without_any_keys_every_token_is_refused(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(TokenInvalid):
        Tokens(tmp_path / "missing.json").verify(signer.sign(claims()))


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ("", CredentialsMissing),
        ("Basic abc", TokenInvalid),
        ("Bearer", TokenInvalid),
        ("Bearer ", TokenInvalid),
    ],
)
def test_only_a_bearer_token_counts(value: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        identity.bearer({"authorization": value})


def test_the_scheme_may_be_written_in_any_case() -> None:
    assert identity.bearer({"authorization": "bearer abc"}) == "abc"


def test_a_call_knows_its_actor_and_its_time() -> None:
    user = User(USER_ID, SESSION_ID, "default", frozenset(), frozenset(), 0, None, None)
    call = Call("/m", "r", "edge", user, "default", "", "", "", b"", time.time() + 5)
    assert call.actor == f"user:{USER_ID}"
    assert call.signed_in is user
    assert 4 < (call.remaining_seconds() or 0) <= 5
    nobody = Call("/m", "r", "payments", None, "default", "", "", "", b"", time.time() - 5)
    assert (nobody.actor, nobody.remaining_seconds()) == ("service:payments", 0.0)
    with pytest.raises(AssertionError):
        _ = nobody.signed_in


def test_a_call_does_not_show_its_token() -> None:
    call = Call("/m", "r", "edge", None, "", "", "", "", b"", None, "", "Bearer secret-token")
    assert "secret-token" not in repr(call)
