"""Settings are read once, and a wrong one is named."""

import dataclasses
from pathlib import Path

import pytest

from services.kit.config import ConfigurationError, Environment, load_service


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32 + "\n")
    return {
        "HAZINA_PROFILE": "development",
        "HAZINA_LISTEN_ADDRESS": "127.0.0.1:8091",
        "HAZINA_METRICS_ADDRESS": "127.0.0.1:8101",
        "HAZINA_MESH_ADDRESS": "127.0.0.1:8082",
        "HAZINA_DATABASE_URL": "postgresql://x:y@127.0.0.1/hazina",
        "HAZINA_REDIS_URL": "redis://127.0.0.1/0",
        "HAZINA_CERTIFICATE_DIRECTORY": "/certificates/wallet",
        "HAZINA_JWKS_FILE": "/keys/jwks.json",
        "HAZINA_SECRET_FILE": str(secret),
    }


def test_everything_is_read(environ: dict[str, str]) -> None:
    config = load_service(
        "wallet", {**environ, "HAZINA_CRASH_FILE": "/crash", "HAZINA_RATE_SCALE": "100"}
    )
    assert (config.name, config.profile, config.is_development) == ("wallet", "development", True)
    assert config.secret == b"\xab" * 32
    assert config.certificate_directory == Path("/certificates/wallet")
    assert (config.crash_file, config.rate_scale, config.otlp_endpoint) == (
        Path("/crash"),
        100.0,
        "",
    )


def test_the_profile_is_production_unless_it_says_otherwise(environ: dict[str, str]) -> None:
    del environ["HAZINA_PROFILE"]
    assert not load_service("wallet", environ).is_development


def test_crash_points_do_not_exist_in_production(environ: dict[str, str]) -> None:
    config = load_service(
        "wallet", {**environ, "HAZINA_PROFILE": "production", "HAZINA_CRASH_FILE": "/crash"}
    )
    assert config.crash_file is None


@pytest.mark.parametrize(
    "name",
    [
        "HAZINA_LISTEN_ADDRESS",
        "HAZINA_DATABASE_URL",
        "HAZINA_JWKS_FILE",
        "HAZINA_SECRET_FILE",
        "HAZINA_MESH_ADDRESS",
    ],
)
def test_a_missing_variable_is_named(environ: dict[str, str], name: str) -> None:
    for broken in (
        {**environ, name: ""},
        {key: value for key, value in environ.items() if key != name},
    ):
        with pytest.raises(ConfigurationError, match=f"{name} is not set"):
            load_service("wallet", broken)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HAZINA_PROFILE", "staging", "must be one of development, production"),
        ("HAZINA_LISTEN_ADDRESS", "8091", "must be host:port"),
        ("HAZINA_RATE_SCALE", "fast", "must be a number"),
        ("HAZINA_SECRET_FILE", "/nowhere", "cannot be read"),
    ],
)
def test_a_wrong_variable_is_named(
    environ: dict[str, str], name: str, value: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*{words}"):
        load_service("wallet", {**environ, name: value})


@pytest.mark.parametrize(
    ("content", "words"), [("xyz", "hexadecimal"), ("abcd", "fewer than 32 bytes")]
)
def test_a_bad_secret_is_refused_without_being_shown(
    environ: dict[str, str], content: str, words: str
) -> None:
    Path(environ["HAZINA_SECRET_FILE"]).write_text(content)
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_service("wallet", environ)
    assert content not in str(caught.value)


def test_whole_numbers_are_whole() -> None:
    env = Environment({"SIZE": "10", "BAD": "1.5"})
    assert (env.integer("SIZE"), env.integer("OTHER", 3)) == (10, 3)
    with pytest.raises(ConfigurationError, match="BAD must be a whole number"):
        env.integer("BAD")
    with pytest.raises(ConfigurationError, match="MISSING is not set"):
        env.integer("MISSING")


def test_settings_cannot_be_changed_later(environ: dict[str, str]) -> None:
    config = load_service("wallet", environ)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.name = "auth"  # type: ignore[misc]
