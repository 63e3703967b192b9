"""The one table of what every process of the local stack is told: addresses, files, secrets.

Services read these variables once, in their own `config.py`; nothing else in the mesh knows development values.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mesh.stack import database
from mesh.stack.home import ROOT, Home, StackError
from mesh.stack.ports import SERVICES, Ports

# Variables of the caller that reach every process; everything else of the shell stays outside.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "TMPDIR")
_PASSED_ON_PREFIXES = ("OTEL_",)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the person who starts the stack decides, by environment variables."""

    profile: str = "development"
    database_url: str = ""  # administrator's URL of an external Postgres; empty = embedded
    redis_url: str = ""  # URL of an external Redis or Valkey; empty = embedded
    rate_scale: str = "100"
    log_level: str = "info"
    otlp_endpoint: str = ""
    trace_ratio: str = "1"  # of calls, when there is a collector
    # Web origins that may call the edge from a browser.
    web_origins: tuple[str, ...] = ()
    # A provider that fell silent is asked after 6, 12 and 30 seconds instead of 1, 2 and 5 minutes.
    query_scale: str = "0.1"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read HAZINA_DATABASE_URL, HAZINA_REDIS_URL, HAZINA_RATE_SCALE, HAZINA_LOG_LEVEL, HAZINA_OTLP_ENDPOINT,
        HAZINA_TRACE_RATIO, HAZINA_WEB_ORIGINS (separated by commas), HAZINA_PAYMENTS_QUERY_SCALE."""

        def value(name: str, default: str = "") -> str:
            return environ.get(f"HAZINA_{name}", "").strip() or default

        def number(name: str, default: str) -> str:
            text = value(name, default)
            try:
                if float(text) >= 0:
                    return text
            except ValueError:
                pass
            raise StackError(
                f"HAZINA_{name} must be a number from 0, such as {default}, not {text!r}."
            )

        return cls(
            database_url=value("DATABASE_URL"),
            redis_url=value("REDIS_URL"),
            rate_scale=number("RATE_SCALE", "100"),
            log_level=value("LOG_LEVEL", "info"),
            otlp_endpoint=value("OTLP_ENDPOINT"),
            trace_ratio=number("TRACE_RATIO", "1"),
            query_scale=value("PAYMENTS_QUERY_SCALE", "0.1"),
            web_origins=tuple(
                part.strip() for part in value("WEB_ORIGINS").split(",") if part.strip()
            ),
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """Where one local mesh keeps its state, on which ports it listens, and what it was asked for."""

    home: Home
    ports: Ports
    settings: Settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Stack:
        """Read HAZINA_HOME, HAZINA_PORT_BASE and the settings."""
        return cls(
            Home.from_environment(environ),
            Ports.from_environment(environ),
            Settings.from_environment(environ),
        )

    @property
    def admin_url(self) -> str:
        """The database administrator's URL."""
        if self.settings.database_url:
            return self.settings.database_url
        password = self.home.secret("postgres")
        return f"postgresql://postgres:{password}@127.0.0.1:{self.ports.postgres}/postgres"

    @property
    def redis_url(self) -> str:
        """Redis or Valkey, database 0."""
        if self.settings.redis_url:
            return self.settings.redis_url
        return f"redis://:{self.home.secret('valkey')}@127.0.0.1:{self.ports.valkey}/0"

    def role_passwords(self) -> dict[str, str]:
        """Password of every database role, kept in `secrets/`."""
        roles = [
            role(name) for name in SERVICES for role in (database.login_role, database.owner_role)
        ]
        return {role: self.home.secret(role) for role in roles}

    def login_url(self, service: str) -> str:
        """Database URL that `service` serves with."""
        role = database.login_role(service)
        return database.role_url(self.admin_url, role, self.home.secret(role))

    def owner_url(self, service: str) -> str:
        """Database URL that the migrations of `service` run with."""
        role = database.owner_role(service)
        return database.role_url(self.admin_url, role, self.home.secret(role))

    @property
    def hook_secret(self) -> str:
        """The last part of the path that providers call back on."""
        return self.home.secret("hook")[:40]


def process_environment() -> dict[str, str]:
    """What every process of the stack gets, whatever it is."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {
        **kept,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen' / 'python'}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # Several arenas per process only cost memory in processes with one busy thread.
        "MALLOC_ARENA_MAX": "2",
    }


def service_environment(stack: Stack, service: str) -> dict[str, str]:
    """Everything that the process of `service` is told."""
    home, ports, settings = stack.home, stack.ports, stack.settings
    own = _EXTRA.get(service)
    environment = {
        **process_environment(),
        "HAZINA_PROFILE": settings.profile,
        "HAZINA_LISTEN_ADDRESS": f"127.0.0.1:{ports.service(service)}",
        "HAZINA_METRICS_ADDRESS": f"127.0.0.1:{ports.metrics(service)}",
        "HAZINA_MESH_ADDRESS": f"127.0.0.1:{ports.mesh}",
        "HAZINA_DATABASE_URL": stack.login_url(service),
        "HAZINA_REDIS_URL": stack.redis_url,
        "HAZINA_CERTIFICATE_DIRECTORY": str(home.certificates / service),
        "HAZINA_JWKS_FILE": str(home.keys / "jwks.json"),
        "HAZINA_SECRET_FILE": str(home.secret_file(service)),
        "HAZINA_LOG_LEVEL": settings.log_level,
        "HAZINA_CRASH_FILE": str(home.crash / service),
        "HAZINA_RATE_SCALE": settings.rate_scale,
        "HAZINA_OTLP_ENDPOINT": settings.otlp_endpoint,
        "HAZINA_TRACE_RATIO": settings.trace_ratio,
        **(own(stack) if own else {}),
    }
    return {name: value for name, value in environment.items() if value}


def simulator_environment(stack: Stack, simulator: str) -> dict[str, str]:
    """Everything that a development peer is told."""
    return {
        **process_environment(),
        "HAZINA_PROFILE": "development",
        "HAZINA_PORT_BASE": str(stack.ports.base),
        **_SIMULATORS[simulator](stack),
    }


def python() -> str:
    """The interpreter that runs every process of ours: the one that runs this."""
    return sys.executable


def _auth(stack: Stack) -> dict[str, str]:
    return {"HAZINA_SIGNING_KEY_DIRECTORY": str(stack.home.keys)}


def _payments(stack: Stack) -> dict[str, str]:
    return {
        "HAZINA_DARAJA_URL": f"http://127.0.0.1:{stack.ports.mobile_money}",
        **_daraja_account(stack),
        "HAZINA_DARAJA_CALLBACK_URL": (
            f"http://127.0.0.1:{stack.ports.edge}/hooks/v1/daraja/{stack.hook_secret}"
        ),
        "HAZINA_HOOK_SECRET": stack.hook_secret,
        "HAZINA_PAYMENTS_QUERY_SCALE": stack.settings.query_scale,
    }


def _groups(stack: Stack) -> dict[str, str]:
    return {"HAZINA_PUBLIC_URL": f"http://127.0.0.1:{stack.ports.edge}"}


def _comms(stack: Stack) -> dict[str, str]:
    return {
        "HAZINA_SMTP_URL": f"smtp://127.0.0.1:{stack.ports.smtp}",
        "HAZINA_MAIL_SENDER": "Hazina <hello@hazina.example>",
        "HAZINA_MAIL_VIEWER_URL": f"http://127.0.0.1:{stack.ports.mail_viewer}",
        "HAZINA_SMS_VIEWER_URL": f"http://127.0.0.1:{stack.ports.sms}",
        "HAZINA_AFRICASTALKING_URL": f"http://127.0.0.1:{stack.ports.sms}",
        **_africastalking_account(stack),
        "HAZINA_AFRICASTALKING_SENDER": "HAZINA",
    }


def _daraja_account(stack: Stack) -> dict[str, str]:
    return {
        "HAZINA_DARAJA_CONSUMER_KEY": stack.home.secret("daraja-consumer-key"),
        "HAZINA_DARAJA_CONSUMER_SECRET": stack.home.secret("daraja-consumer-secret"),
        "HAZINA_DARAJA_SHORTCODE": "174379",
        "HAZINA_DARAJA_PASSKEY": stack.home.secret("daraja-passkey"),
    }


def _africastalking_account(stack: Stack) -> dict[str, str]:
    return {
        "HAZINA_AFRICASTALKING_USERNAME": "sandbox",
        "HAZINA_AFRICASTALKING_API_KEY": stack.home.secret("africastalking-api-key"),
    }


# What a service is told beyond the common part; its own config.py reads the same names.
_EXTRA: Mapping[str, Callable[[Stack], dict[str, str]]] = {
    "auth": _auth,
    "payments": _payments,
    "groups": _groups,
    "comms": _comms,
}

_SIMULATORS: Mapping[str, Callable[[Stack], dict[str, str]]] = {
    "mail": lambda stack: {
        "HAZINA_MAIL_SMTP_ADDRESS": f"127.0.0.1:{stack.ports.smtp}",
        "HAZINA_MAIL_VIEWER_ADDRESS": f"127.0.0.1:{stack.ports.mail_viewer}",
    },
    "sms": lambda stack: {
        "HAZINA_SMS_ADDRESS": f"127.0.0.1:{stack.ports.sms}",
        **_africastalking_account(stack),
    },
    "mobile_money": lambda stack: {
        # What the provider has taken and paid is remembered over a kill -9, as a provider would.
        "HAZINA_MOBILE_MONEY_FILE": str(stack.home.folder("simulators") / "mobile_money.json"),
        "HAZINA_MOBILE_MONEY_ADDRESS": f"127.0.0.1:{stack.ports.mobile_money}",
        **_daraja_account(stack),
    },
}

SIMULATORS: tuple[str, ...] = tuple(_SIMULATORS)
