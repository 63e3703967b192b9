"""Signing keys: published before use, dropped after the last token of theirs, never two that sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.stack.home import StackError
from mesh.stack.keys import TOKEN_LIFE_MAX, KeyState, SigningKeys, thumbprint

NOW = datetime.now(UTC)


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    made = SigningKeys(tmp_path / "keys")
    made.prepare(now=NOW)
    return made


def states(keys: SigningKeys) -> list[KeyState]:
    return [key.state for key in keys.all()]


def published(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in keys.jwks()["keys"]]


def test_the_first_key_signs_at_once(keys: SigningKeys) -> None:
    assert states(keys) == [KeyState.ACTIVE]
    assert published(keys) == [keys.all()[0].kid]


def test_preparing_again_keeps_the_key(keys: SigningKeys) -> None:
    before = keys.all()
    keys.prepare()
    assert keys.all() == before


def test_a_key_is_published_before_it_signs(keys: SigningKeys) -> None:
    new = keys.publish_next(now=NOW)
    assert states(keys) == [KeyState.ACTIVE, KeyState.NEXT]
    assert new.kid in published(keys)


def test_an_interrupted_rotation_goes_on_with_the_same_key(keys: SigningKeys) -> None:
    assert keys.publish_next().kid == keys.publish_next().kid


def test_a_retired_key_stays_published_until_its_last_token_has_ended(keys: SigningKeys) -> None:
    old = keys.all()[0]
    keys.publish_next(now=NOW)
    keys.activate_next(now=NOW)
    assert states(keys) == [KeyState.RETIRED, KeyState.ACTIVE]

    assert not keys.drop_expired(now=NOW + TOKEN_LIFE_MAX)
    assert old.kid in published(keys)

    dropped = keys.drop_expired(now=NOW + TOKEN_LIFE_MAX + timedelta(seconds=1))
    assert [key.kid for key in dropped] == [old.kid]
    assert old.kid not in published(keys)
    assert not (keys.folder / "signing" / f"{old.kid}.pem").exists()


def test_nothing_can_sign_that_was_not_published(keys: SigningKeys) -> None:
    with pytest.raises(StackError, match="hazina keys rotate"):
        keys.activate_next()


def test_the_kid_is_the_thumbprint_of_rfc_7638() -> None:
    # The example key of RFC 8037, appendix A.3.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_published_set_holds_no_secret(keys: SigningKeys) -> None:
    assert all("d" not in key for key in keys.jwks()["keys"])
