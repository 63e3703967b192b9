"""Signing keys on disk."""

import json
from pathlib import Path

import jwt
import pytest

from mesh.stack.keys import SigningKeys as Writer
from services.auth.signing import SigningKeys


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """The folder that `hazina keys` writes."""
    keys = Writer(tmp_path / "keys")
    keys.prepare()
    return keys


def look_again(keys: SigningKeys) -> None:
    """As if a second had passed."""
    keys._look_again_at = 0.0


def test_another_library_verifies_what_is_signed(writer: Writer) -> None:
    keys = SigningKeys(writer.folder)
    token = keys.sign({"sub": "asha"})
    [public] = keys.public_keys()
    assert set(public) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert jwt.get_unverified_header(token)["kid"] == public["kid"]
    assert jwt.decode(token, jwt.PyJWK(dict(public)).key, algorithms=["EdDSA"]) == {"sub": "asha"}
    assert keys.sign({"sub": "asha"}) == token


def test_a_rotation_is_followed(writer: Writer) -> None:
    keys = SigningKeys(writer.folder)
    first = jwt.get_unverified_header(keys.sign({}))["kid"]
    waiting = writer.publish_next().kid
    look_again(keys)
    assert jwt.get_unverified_header(keys.sign({}))["kid"] == first
    assert {key["kid"] for key in keys.public_keys()} == {first, waiting}
    writer.activate_next()
    look_again(keys)
    assert jwt.get_unverified_header(keys.sign({}))["kid"] == waiting


def test_a_broken_folder_leaves_the_keys_we_have(writer: Writer) -> None:
    keys = SigningKeys(writer.folder)
    token = keys.sign({})
    (writer.folder / "state.json").write_text("{")
    look_again(keys)
    assert keys.sign({}) == token


def test_a_key_that_is_not_published_does_not_sign(writer: Writer) -> None:
    (writer.folder / "jwks.json").write_text(json.dumps({"keys": []}))
    with pytest.raises(ValueError, match="not published"):
        SigningKeys(writer.folder)


def test_without_keys_the_service_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SigningKeys(tmp_path)
