"""Settings of the auth service, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from services.auth.domain import Limit
from services.auth.operations.desk import Limits
from services.kit.config import Environment, ServiceConfig, load_service

_NEAR_COUNT, _NEAR_WINDOW = 5, timedelta(minutes=1)
_FAR_COUNT, _FAR_WINDOW = 20, timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Config:
    """What every service is told, and where the signing keys are.

    `signing_key_directory` is the folder that `hazina keys` writes: `state.json`, `jwks.json`, `signing/<kid>.pem`.
    """

    kit: ServiceConfig
    signing_key_directory: Path

    @property
    def limits(self) -> Limits:
        """5 tries a minute per identity and address, 20 in 15 minutes per identity; scaled in development only."""
        scale = self.kit.rate_scale if self.kit.is_development else 1.0
        return Limits(
            near=Limit(max(1, round(_NEAR_COUNT * scale)), _NEAR_WINDOW),
            far=Limit(max(1, round(_FAR_COUNT * scale)), _FAR_WINDOW),
        )


def load(environ: Mapping[str, str]) -> Config:
    """Read the environment. Raises ConfigurationError, naming the variable."""
    return Config(
        kit=load_service("auth", environ),
        signing_key_directory=Environment(environ).path("HAZINA_SIGNING_KEY_DIRECTORY"),
    )
