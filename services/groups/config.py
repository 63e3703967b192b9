"""Settings of the groups service, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.kit.config import ConfigurationError, Environment, ServiceConfig, load_service

__all__ = ["GroupsConfig", "load"]


@dataclass(frozen=True, slots=True)
class GroupsConfig:
    """What the groups service is told."""

    kit: ServiceConfig
    public_url: str
    """Where people reach the web app; links of invitations begin with it."""


def load(environ: Mapping[str, str]) -> GroupsConfig:
    """Read the settings. Raises ConfigurationError, naming the variable."""
    kit = load_service("groups", environ)
    env = Environment(environ)
    in_development = ("http://127.0.0.1:8080",) if kit.is_development else ()
    url = env.text("HAZINA_PUBLIC_URL", *in_development)
    if not url.startswith("https://" if not kit.is_development else ("http://", "https://")):
        raise ConfigurationError("HAZINA_PUBLIC_URL must begin with https://")
    return GroupsConfig(kit, url)
