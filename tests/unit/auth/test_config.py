"""Settings."""

from pathlib import Path

import pytest

from services.auth import config
from services.kit.config import ConfigurationError


def environ(folder: Path, **changes: str) -> dict[str, str]:
    """Settings that suffice."""
    secret = folder / "secret"
    secret.write_text("ab" * 32)
    return {
        "HAZINA_LISTEN_ADDRESS": "127.0.0.1:1",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:2",
        "HAZINA_MESH_ADDRESS": "127.0.0.1:3",
        "HAZINA_DATABASE_URL": "postgresql://a:b@localhost/hazina",
        "HAZINA_REDIS_URL": "redis://localhost",
        "HAZINA_CERTIFICATE_DIRECTORY": str(folder),
        "HAZINA_JWKS_FILE": str(folder / "jwks.json"),
        "HAZINA_SECRET_FILE": str(secret),
        "HAZINA_SIGNING_KEY_DIRECTORY": str(folder / "keys"),
        **changes,
    }


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    settings = environ(tmp_path)
    del settings["HAZINA_SIGNING_KEY_DIRECTORY"]
    with pytest.raises(ConfigurationError, match="HAZINA_SIGNING_KEY_DIRECTORY"):
        config.load(settings)


def test_limits_are_scaled_in_development_only(tmp_path: Path) -> None:
    production = config.load(environ(tmp_path, HAZINA_RATE_SCALE="100")).limits
    assert (production.near.count, production.far.count) == (5, 20)
    settings = environ(tmp_path, HAZINA_PROFILE="development", HAZINA_RATE_SCALE="100")
    development = config.load(settings).limits
    assert (development.near.count, development.far.count) == (500, 2000)
    assert production.near.window.total_seconds() == 60
    assert production.far.window.total_seconds() == 900
