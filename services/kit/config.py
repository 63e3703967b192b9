"""Settings, read once from the environment. A missing or wrong one is named, and the process does not start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ConfigurationError", "Environment", "ServiceConfig", "load_service"]

_ADDRESS = re.compile(r"^[^\s:]+:\d{1,5}$")
_REQUIRED = object()


class ConfigurationError(Exception):
    """A setting is missing or cannot be read; the message names the variable."""


class Environment:
    """Typed reading of environment variables. An empty variable counts as missing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | object = _REQUIRED) -> str:
        """The variable as it stands."""
        value = self._environ.get(name, "")
        if value:
            return value
        if default is _REQUIRED:
            raise ConfigurationError(f"{name} is not set")
        assert isinstance(default, str), f"the default of {name} must be text"
        return default

    def choice(self, name: str, choices: tuple[str, ...], default: str | object = _REQUIRED) -> str:
        """One of the given words."""
        value = self.text(name, default)
        if value not in choices:
            raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def address(self, name: str, default: str | object = _REQUIRED) -> str:
        """`host:port`."""
        value = self.text(name, default)
        if not _ADDRESS.match(value):
            raise ConfigurationError(f"{name} must be host:port, not {value!r}")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number; required when there is no default."""
        value = self._environ.get(name, "")
        if not value:
            if default is None:
                raise ConfigurationError(f"{name} is not set")
            return default
        try:
            return int(value)
        except ValueError:
            raise ConfigurationError(f"{name} must be a whole number, not {value!r}") from None

    def decimal(self, name: str, default: float) -> float:
        """A number such as 0.1."""
        value = self._environ.get(name, "")
        if not value:
            return default
        try:
            return float(value)
        except ValueError:
            raise ConfigurationError(f"{name} must be a number, not {value!r}") from None

    def path(self, name: str, default: Path | None = None) -> Path:
        """A file or folder; whether it exists is its reader's business."""
        value = self._environ.get(name, "")
        if value:
            return Path(value)
        if default is None:
            raise ConfigurationError(f"{name} is not set")
        return default

    def secret(self, name: str) -> bytes:
        """The bytes of a file of hexadecimal digits, 32 bytes at least; the variable holds its path."""
        file = self.path(name)
        try:
            value = bytes.fromhex(file.read_text().strip())
        except OSError as error:
            raise ConfigurationError(f"{name}: {file} cannot be read ({error.strerror})") from None
        except ValueError:
            raise ConfigurationError(f"{name}: {file} does not hold hexadecimal digits") from None
        if len(value) < 32:
            raise ConfigurationError(f"{name}: {file} holds fewer than 32 bytes")
        return value


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What every service is told."""

    name: str
    profile: str
    listen_address: str
    metrics_address: str
    mesh_address: str
    database_url: str
    redis_url: str
    certificate_directory: Path
    jwks_file: Path
    secret: bytes
    otlp_endpoint: str
    trace_ratio: float
    log_level: str
    crash_file: Path | None
    rate_scale: float

    @property
    def is_development(self) -> bool:
        """Whether the development profile is on: simulators, development RPCs, crash points."""
        return self.profile == "development"


def load_service(name: str, environ: Mapping[str, str]) -> ServiceConfig:
    """Read what every service is told. Raises ConfigurationError."""
    env = Environment(environ)
    profile = env.choice("HAZINA_PROFILE", ("development", "production"), "production")
    crash_file = env.text("HAZINA_CRASH_FILE", "") if profile == "development" else ""
    return ServiceConfig(
        name=name,
        profile=profile,
        listen_address=env.address("HAZINA_LISTEN_ADDRESS"),
        metrics_address=env.address("HAZINA_METRICS_ADDRESS"),
        mesh_address=env.address("HAZINA_MESH_ADDRESS"),
        database_url=env.text("HAZINA_DATABASE_URL"),
        redis_url=env.text("HAZINA_REDIS_URL"),
        certificate_directory=env.path("HAZINA_CERTIFICATE_DIRECTORY"),
        jwks_file=env.path("HAZINA_JWKS_FILE"),
        secret=env.secret("HAZINA_SECRET_FILE"),
        otlp_endpoint=env.text("HAZINA_OTLP_ENDPOINT", ""),
        trace_ratio=env.decimal("HAZINA_TRACE_RATIO", 0.01),
        log_level=env.text("HAZINA_LOG_LEVEL", "info"),
        crash_file=Path(crash_file) if crash_file else None,
        rate_scale=env.decimal("HAZINA_RATE_SCALE", 1.0),
    )
