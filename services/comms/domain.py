"""What is said, to whom, and when it is tried again. Pure: text comes in as text, time as an argument."""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from services.comms.errors import TemplateVariableMismatch
from services.kit.money import Money

__all__ = [
    "ATTEMPTS_MAX",
    "LEASE",
    "LOCALES",
    "TEMPLATES",
    "Catalog",
    "Channel",
    "Contact",
    "Delivery",
    "Message",
    "Movement",
    "Notice",
    "Recipient",
    "State",
    "Template",
    "Text",
    "is_mail_address",
    "next_pause",
    "notices",
]

LOCALES = ("en", "sw")
"""Languages that every template exists in. The first one speaks to people whose language is not known."""

LEASE = timedelta(seconds=30)
"""How long one attempt owns a message: longer than the slowest provider call."""

_PAUSES_SECONDS = (1, 2, 5, 15, 60, 300, 900, 3600)

ATTEMPTS_MAX = len(_PAUSES_SECONDS) + 1
"""Attempts of a message that waits for nobody. After the last one it has failed."""

_VALUE_LENGTH_MAX = 512
_NOT_IN_ADDRESSES = frozenset(' <>()[],;:"\\')


class Channel(StrEnum):
    """A way to reach an address."""

    EMAIL = "EMAIL"
    SMS = "SMS"


class State(StrEnum):
    """Where a message stands."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Recipient:
    """An email address, or a phone number in E.164 form."""

    channel: Channel
    address: str


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach a person of a tenant. `version` counts the changes of the person."""

    user_id: UUID
    display_name: str
    email: str
    phone: str
    locale: str
    version: int

    @property
    def recipient(self) -> Recipient | None:
        """The email address, else the phone number, else nothing."""
        if self.email:
            return Recipient(Channel.EMAIL, self.email)
        if self.phone:
            return Recipient(Channel.SMS, self.phone)
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """What the receiver reads. SMS has no subject."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Template:
    """What a template needs. The words of a secret one are never stored. Optional variables may be empty."""

    name: str
    variables: frozenset[str]
    is_secret: bool = False
    optional: frozenset[str] = frozenset()


def _template(name: str, *variables: str, is_secret: bool = False, optional: str = "") -> Template:
    return Template(name, frozenset(variables), is_secret, frozenset(optional.split()))


TEMPLATES: Mapping[str, Template] = {
    template.name: template
    for template in (
        _template("SIGN_UP_CODE", "code", "minutes", is_secret=True),
        _template("RECOVERY_CODE", "code", "minutes", is_secret=True),
        _template("IDENTIFIER_TAKEN"),
        _template("GROUP_INVITATION", "group_name", "inviter_name", "link", is_secret=True),
        _template("WELCOME", "name"),
        _template("DEPOSIT_COMPLETED", "amount", "receipt", optional="receipt"),
        _template("TRANSFER_SENT", "amount", "fee", "name", "note", optional="fee note"),
        _template("TRANSFER_RECEIVED", "amount", "name", "note", optional="note"),
        _template("WITHDRAWAL_COMPLETED", "amount", "fee", "receipt", optional="fee receipt"),
        _template("WITHDRAWAL_FAILED", "amount"),
    )
}
"""Every template. The first four are sent by other services, the rest by events."""


@dataclass(frozen=True, slots=True)
class _Wording:
    subject: str
    email: str
    sms: str


class Catalog:
    """The words of every template in every language."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """`files` has the TOML text of each locale. Raises ValueError for a file that lacks or adds words."""
        if set(files) != set(LOCALES):
            raise ValueError(
                f"there must be words in {', '.join(LOCALES)}, and in no other language"
            )
        self._wordings: dict[tuple[str, str], _Wording] = {}
        self._phrases: dict[str, Mapping[str, str]] = {}
        for locale, content in files.items():
            self._read(locale, tomllib.loads(content))

    def render(
        self, template: str, *, locale: str, channel: Channel, variables: Mapping[str, str]
    ) -> Text:
        """The words of a template. Raises TemplateVariableMismatch unless exactly its variables are given."""
        needed = TEMPLATES[template].variables
        for name in sorted(needed ^ set(variables)):
            verb = "needs" if name in needed else "has no"
            raise TemplateVariableMismatch(
                f"The template {template} {verb} variable {name}.", template=template, variable=name
            )
        for name in sorted(needed - TEMPLATES[template].optional):
            if not variables[name].strip():
                raise TemplateVariableMismatch(
                    f"The variable {name} of the template {template} is empty.",
                    template=template,
                    variable=name,
                )
        locale = locale if locale in LOCALES else LOCALES[0]
        words = {name: _one_line(value) for name, value in variables.items()}
        for name, phrase in self._phrases[locale].items():
            words[f"{name}_phrase"] = phrase.format_map(words) if words.get(name) else ""
        wording = self._wordings[locale, template]
        if channel is Channel.SMS:
            return Text("", wording.sms.format_map(words).strip())
        return Text(
            wording.subject.format_map(words), wording.email.format_map(words).strip() + "\n"
        )

    def _read(self, locale: str, content: Mapping[str, Mapping[str, str]]) -> None:
        phrases = content.get("phrases", {})
        for name, phrase in phrases.items():
            _must_know(phrase, {name}, f"{locale}.toml, phrases.{name}")
        self._phrases[locale] = phrases
        if set(content) - {"phrases"} != set(TEMPLATES):
            odd = sorted((set(content) - {"phrases"}) ^ set(TEMPLATES))
            raise ValueError(f"{locale}.toml lacks or adds {', '.join(odd)}")
        for name, template in TEMPLATES.items():
            words = content[name]
            if set(words) != {"subject", "email", "sms"}:
                raise ValueError(f"{locale}.toml, {name}: subject, email and sms are needed")
            known = (template.variables - template.optional) | {
                f"{optional}_phrase" for optional in template.optional
            }
            for part, text in words.items():
                _must_know(text, known, f"{locale}.toml, {name}.{part}")
            self._wordings[locale, name] = _Wording(words["subject"], words["email"], words["sms"])


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is stored. Subject and body are None for secret templates."""

    id: UUID
    tenant_id: str
    template: str
    locale: str
    recipient: Recipient
    subject: str | None
    body: str | None
    user_id: UUID | None
    fingerprint: bytes
    state: State = State.QUEUED
    attempts: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a provider is handed. `message_id` is the same in every attempt."""

    message_id: UUID
    recipient: Recipient
    text: Text


@dataclass(frozen=True, slots=True)
class Movement:
    """What happened to a transaction, as far as people are told."""

    kind: str
    state: str
    amount: Money
    fee: Money
    payer_id: UUID | None
    payee_id: UUID | None
    payer_name: str
    payee_name: str
    receipt: str
    note: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One person is to be told something."""

    user_id: UUID
    template: str
    variables: Mapping[str, str]


def is_mail_address(text: str) -> bool:
    """Whether it is one plain address that cannot be taken for two, for a name, or for a command."""
    local, at, domain = text.rpartition("@")
    return (
        bool(at and local and domain)
        and text.isprintable()
        and not any(letter in _NOT_IN_ADDRESSES for letter in text)
        and "@" not in local
    )


def notices(movement: Movement) -> list[Notice]:
    """Who is told what about a transaction: deposits and transfers when done, withdrawals when done or failed."""
    amount = movement.amount.format()
    fee = movement.fee.format() if movement.fee.minor_units else ""
    told: list[Notice] = []
    match movement.kind, movement.state:
        case "DEPOSIT", "COMPLETED":
            _tell(
                told,
                movement.payee_id,
                "DEPOSIT_COMPLETED",
                {"amount": amount, "receipt": movement.receipt},
            )
        case "TRANSFER", "COMPLETED":
            _tell(
                told,
                movement.payer_id,
                "TRANSFER_SENT",
                {"amount": amount, "fee": fee, "name": movement.payee_name, "note": movement.note},
            )
            if movement.payee_id != movement.payer_id:
                _tell(
                    told,
                    movement.payee_id,
                    "TRANSFER_RECEIVED",
                    {"amount": amount, "name": movement.payer_name, "note": movement.note},
                )
        case "WITHDRAWAL", "COMPLETED":
            _tell(
                told,
                movement.payer_id,
                "WITHDRAWAL_COMPLETED",
                {"amount": amount, "fee": fee, "receipt": movement.receipt},
            )
        case "WITHDRAWAL", "FAILED":
            _tell(told, movement.payer_id, "WITHDRAWAL_FAILED", {"amount": amount})
    return told


def next_pause(attempts: int) -> timedelta | None:
    """The pause after that many attempts (1 or more) that the provider did not take; None: it has failed."""
    assert attempts >= 1, "a pause follows an attempt"
    if attempts >= ATTEMPTS_MAX:
        return None
    return timedelta(seconds=_PAUSES_SECONDS[attempts - 1])


def _tell(
    told: list[Notice], user_id: UUID | None, template: str, variables: Mapping[str, str]
) -> None:
    if user_id is not None:
        told.append(Notice(user_id, template, variables))


def _one_line(value: str) -> str:
    """Names and notes come from people: no line breaks or control characters, and not longer than a line may be."""
    printable = "".join(letter if letter.isprintable() else " " for letter in value)
    return " ".join(printable.split())[:_VALUE_LENGTH_MAX]


def _must_know(text: str, names: set[str] | frozenset[str], place: str) -> None:
    for _, field, format_spec, conversion in string.Formatter().parse(text):
        if field is not None and (field not in names or format_spec or conversion):
            raise ValueError(f"{place}: there is no variable {{{field}}}")
