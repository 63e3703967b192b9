"""Settings: what is missing or wrong is named before anything starts."""

from pathlib import Path

import pytest

from services.kit.config import ConfigurationError
from services.payments.config import load
from tests.factories.payments import HOOK_SECRET, VARIABLES


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A whole environment."""
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    return {
        "HAZINA_PROFILE": "development",
        "HAZINA_LISTEN_ADDRESS": "127.0.0.1:1",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:2",
        "HAZINA_MESH_ADDRESS": "127.0.0.1:3",
        "HAZINA_DATABASE_URL": "postgresql://x",
        "HAZINA_REDIS_URL": "redis://x",
        "HAZINA_CERTIFICATE_DIRECTORY": str(tmp_path),
        "HAZINA_JWKS_FILE": str(tmp_path / "jwks.json"),
        "HAZINA_SECRET_FILE": str(secret),
        **VARIABLES,
    }


def test_daraja_is_installed_when_its_address_is_known(environ: dict[str, str]) -> None:
    told = load({**environ, "HAZINA_PAYMENTS_QUERY_SCALE": "0.01"})
    assert told.daraja is not None and told.daraja.shortcode == "174379"
    assert (told.question_scale, told.home_tenant) == (0.01, "default")
    without = {name: value for name, value in environ.items() if name != "HAZINA_DARAJA_URL"}
    assert load(without).daraja is None


def test_secrets_are_not_printed(environ: dict[str, str]) -> None:
    told = repr(load(environ))
    assert HOOK_SECRET not in told and "passkey" not in told.replace("passkey=", "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HAZINA_HOOK_SECRET", ""),
        ("HAZINA_HOOK_SECRET", "short"),
        ("HAZINA_HOOK_SECRET", "x" * 49),
        ("HAZINA_HOOK_SECRET", "a secret/with.signs-in-it"),
        ("HAZINA_DARAJA_CALLBACK_URL", "http://127.0.0.1:9/hooks/v1/daraja/other"),
        ("HAZINA_DARAJA_PASSKEY", ""),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load({**environ, variable: value})


def test_production_takes_no_defaults_and_no_plain_http(environ: dict[str, str]) -> None:
    production = {**environ, "HAZINA_PROFILE": "production", "HAZINA_PAYMENTS_QUERY_SCALE": "0.01"}
    with pytest.raises(ConfigurationError, match="HAZINA_DARAJA_URL"):
        load(production)
    production["HAZINA_DARAJA_URL"] = "https://api.safaricom.co.ke"
    with pytest.raises(ConfigurationError, match="HAZINA_DARAJA_INITIATOR"):
        load(production)
    production["HAZINA_DARAJA_INITIATOR"] = "hazina"
    production["HAZINA_DARAJA_SECURITY_CREDENTIAL"] = "sealed"
    assert load(production).question_scale == 1.0
