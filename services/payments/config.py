"""Settings of the payments service, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.kit.config import ConfigurationError, Environment, ServiceConfig, load_service

__all__ = ["DarajaConfig", "PaymentsConfig", "load"]

_HOOK_SECRET_LENGTH_MIN, _HOOK_SECRET_LENGTH_MAX = 16, 48


@dataclass(frozen=True, slots=True)
class DarajaConfig:
    """How Safaricom's Daraja (M-Pesa) is reached, and how it reaches us."""

    url: str
    consumer_key: str
    consumer_secret: str = field(repr=False)
    shortcode: str
    passkey: str = field(repr=False)
    initiator: str
    security_credential: str = field(repr=False)
    callback_url: str = field(repr=False)
    """Ends with the secret of our hooks."""


@dataclass(frozen=True, slots=True)
class PaymentsConfig:
    """What the payments service is told."""

    kit: ServiceConfig
    hook_secret: str = field(repr=False)
    home_tenant: str
    """Whose staff looks at callbacks that fit nothing."""
    question_scale: float
    """Shortens the times at which providers are asked. 1 outside development."""
    daraja: DarajaConfig | None


def load(environ: Mapping[str, str]) -> PaymentsConfig:
    """Read the settings. Raises ConfigurationError, naming the variable."""
    kit = load_service("payments", environ)
    env = Environment(environ)
    secret = env.text("HAZINA_HOOK_SECRET")
    if not (
        _HOOK_SECRET_LENGTH_MIN <= len(secret) <= _HOOK_SECRET_LENGTH_MAX
        and secret.isascii()
        and secret.replace("-", "").replace("_", "").isalnum()
    ):
        raise ConfigurationError(
            f"HAZINA_HOOK_SECRET must be {_HOOK_SECRET_LENGTH_MIN} to {_HOOK_SECRET_LENGTH_MAX}"
            " letters, digits, hyphens or underscores"
        )
    return PaymentsConfig(
        kit=kit,
        hook_secret=secret,
        home_tenant=env.text("HAZINA_PAYMENTS_HOME_TENANT", "default"),
        question_scale=env.decimal("HAZINA_PAYMENTS_QUERY_SCALE", 1.0)
        if kit.is_development
        else 1.0,
        daraja=_load_daraja(env, kit, secret),
    )


def _load_daraja(env: Environment, kit: ServiceConfig, secret: str) -> DarajaConfig | None:
    """Daraja is installed when HAZINA_DARAJA_URL is set."""
    url = env.text("HAZINA_DARAJA_URL", "").rstrip("/")
    if not url:
        return None
    if not kit.is_development and not url.startswith("https://"):
        raise ConfigurationError("HAZINA_DARAJA_URL must begin with https://")
    callback_url = env.text("HAZINA_DARAJA_CALLBACK_URL").rstrip("/")
    if not callback_url.endswith(f"/{secret}"):
        raise ConfigurationError("HAZINA_DARAJA_CALLBACK_URL must end with HAZINA_HOOK_SECRET")
    only_in_development = ("development",) if kit.is_development else ()
    return DarajaConfig(
        url=url,
        consumer_key=env.text("HAZINA_DARAJA_CONSUMER_KEY"),
        consumer_secret=env.text("HAZINA_DARAJA_CONSUMER_SECRET"),
        shortcode=env.text("HAZINA_DARAJA_SHORTCODE"),
        passkey=env.text("HAZINA_DARAJA_PASSKEY"),
        initiator=env.text("HAZINA_DARAJA_INITIATOR", *only_in_development),
        security_credential=env.text("HAZINA_DARAJA_SECURITY_CREDENTIAL", *only_in_development),
        callback_url=callback_url,
    )
