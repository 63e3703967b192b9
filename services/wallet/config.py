"""Settings of the wallet service: only those that every service has."""

from __future__ import annotations

import os
from collections.abc import Mapping

from services.kit.config import ServiceConfig, load_service


def load(environ: Mapping[str, str] = os.environ) -> ServiceConfig:
    """Read the settings. Raises ConfigurationError, naming the variable."""
    return load_service("wallet", environ)
