"""Settings of the comms service."""

from pathlib import Path

import pytest

from services.comms import config
from services.kit.config import ConfigurationError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Everything that the service needs in production."""
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    return {
        "HAZINA_LISTEN_ADDRESS": "127.0.0.1:1",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:2",
        "HAZINA_MESH_ADDRESS": "127.0.0.1:3",
        "HAZINA_DATABASE_URL": "postgresql://u:p@h/hazina",
        "HAZINA_REDIS_URL": "redis://h",
        "HAZINA_CERTIFICATE_DIRECTORY": str(tmp_path),
        "HAZINA_JWKS_FILE": str(tmp_path / "jwks.json"),
        "HAZINA_SECRET_FILE": str(secret),
        "HAZINA_SMTP_URL": "smtps://user:hush@mail.example",
        "HAZINA_MAIL_SENDER": "Hazina <hello@hazina.example>",
        "HAZINA_AFRICASTALKING_URL": "https://api.africastalking.com",
        "HAZINA_AFRICASTALKING_USERNAME": "hazina",
        "HAZINA_AFRICASTALKING_API_KEY": "hush",
    }


def test_production_needs_no_viewers(environ: dict[str, str]) -> None:
    loaded = config.load(environ)
    assert loaded.mail_viewer_url == loaded.sms_viewer_url == ""
    assert loaded.africastalking_sender == ""


def test_secrets_do_not_show_in_a_printed_configuration(environ: dict[str, str]) -> None:
    loaded = config.load(environ)
    assert loaded.africastalking_api_key == "hush"
    assert "hush" not in repr(loaded)


@pytest.mark.parametrize(
    "name", ["HAZINA_SMTP_URL", "HAZINA_MAIL_SENDER", "HAZINA_AFRICASTALKING_API_KEY"]
)
def test_a_missing_setting_is_named(environ: dict[str, str], name: str) -> None:
    del environ[name]
    with pytest.raises(ConfigurationError, match=name):
        config.load(environ)


def test_development_needs_both_viewers(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="HAZINA_MAIL_VIEWER_URL"):
        config.load({**environ, "HAZINA_PROFILE": "development"})
