"""Settings of the groups service."""

from pathlib import Path

import pytest

from services.groups import config
from services.kit.config import ConfigurationError


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    return {
        "HAZINA_PROFILE": "production",
        "HAZINA_LISTEN_ADDRESS": "127.0.0.1:1",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:2",
        "HAZINA_MESH_ADDRESS": "127.0.0.1:3",
        "HAZINA_DATABASE_URL": "postgresql://a:b@127.0.0.1/hazina",
        "HAZINA_REDIS_URL": "redis://127.0.0.1",
        "HAZINA_CERTIFICATE_DIRECTORY": str(tmp_path),
        "HAZINA_JWKS_FILE": str(secret),
        "HAZINA_SECRET_FILE": str(secret),
        **more,
    }


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="HAZINA_LISTEN_ADDRESS"):
        config.load({})


def test_links_need_an_address_that_people_reach_safely(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="HAZINA_PUBLIC_URL"):
        config.load(environ(tmp_path))
    with pytest.raises(ConfigurationError, match="https"):
        config.load(environ(tmp_path, HAZINA_PUBLIC_URL="http://hazina.example"))
    told = config.load(environ(tmp_path, HAZINA_PUBLIC_URL="https://hazina.example"))
    assert told.public_url == "https://hazina.example"


def test_development_needs_no_address_of_its_own(tmp_path: Path) -> None:
    told = config.load(environ(tmp_path, HAZINA_PROFILE="development"))
    assert told.public_url == "http://127.0.0.1:8080"
