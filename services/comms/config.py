"""Settings of the comms service, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.kit.config import Environment, ServiceConfig, load_service

__all__ = ["Config", "load"]


@dataclass(frozen=True, slots=True)
class Config:
    """What the comms service is told. The viewers are empty outside the development profile."""

    kit: ServiceConfig
    smtp_url: str = field(repr=False)
    mail_sender: str
    africastalking_url: str
    africastalking_username: str
    africastalking_api_key: str = field(repr=False)
    africastalking_sender: str
    mail_viewer_url: str
    sms_viewer_url: str


def load(environ: Mapping[str, str]) -> Config:
    """Read the settings. Raises ConfigurationError, naming the variable."""
    kit = load_service("comms", environ)
    env = Environment(environ)
    is_development = kit.is_development
    return Config(
        kit=kit,
        smtp_url=env.text("HAZINA_SMTP_URL"),
        mail_sender=env.text("HAZINA_MAIL_SENDER"),
        africastalking_url=env.text("HAZINA_AFRICASTALKING_URL"),
        africastalking_username=env.text("HAZINA_AFRICASTALKING_USERNAME"),
        africastalking_api_key=env.text("HAZINA_AFRICASTALKING_API_KEY"),
        africastalking_sender=env.text("HAZINA_AFRICASTALKING_SENDER", ""),
        mail_viewer_url=env.text("HAZINA_MAIL_VIEWER_URL") if is_development else "",
        sms_viewer_url=env.text("HAZINA_SMS_VIEWER_URL") if is_development else "",
    )
