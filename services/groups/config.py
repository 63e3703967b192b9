"""Settings of the groups service, read once: those of every service."""

from collections.abc import Mapping

from services.kit.config import ServiceConfig, load_service

__all__ = ["load"]


def load(environ: Mapping[str, str]) -> ServiceConfig:
    """Read the settings. Raises ConfigurationError, naming the variable."""
    return load_service("groups", environ)
