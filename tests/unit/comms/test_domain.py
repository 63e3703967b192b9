"""Words, rules and pauses of the comms service."""

import string
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.comms import app
from services.comms.domain import (
    ATTEMPTS_MAX,
    LOCALES,
    TEMPLATES,
    Catalog,
    Channel,
    Contact,
    Movement,
    Recipient,
    next_pause,
    notices,
)
from services.comms.errors import TemplateVariableMismatch
from services.kit.money import Money

ASHA, BRIAN = uuid4(), uuid4()
EVERY = [(name, locale, channel) for name in TEMPLATES for locale in LOCALES for channel in Channel]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return app.catalog()


def values_of(template: str) -> dict[str, str]:
    """A telling value for every variable."""
    return {name: f"<{name}>" for name in TEMPLATES[template].variables}


@pytest.mark.parametrize(("template", "locale", "channel"), EVERY)
def test_every_template_shows_every_variable_in_every_language(
    catalog: Catalog, template: str, locale: str, channel: Channel
) -> None:
    values = values_of(template)
    text = catalog.render(template, locale=locale, channel=channel, variables=values)
    # How long a code lives and what is optional may stand in the body alone.
    for value in values.values():
        assert value in text.subject + text.body
    assert "{" not in text.subject + text.body
    assert bool(text.subject) is (channel is Channel.EMAIL)


@pytest.mark.parametrize(("template", "locale", "channel"), EVERY)
def test_every_template_reads_well_without_its_optional_variables(
    catalog: Catalog, template: str, locale: str, channel: Channel
) -> None:
    values = values_of(template) | dict.fromkeys(TEMPLATES[template].optional, "")
    text = catalog.render(template, locale=locale, channel=channel, variables=values)
    assert text.body.rstrip().endswith((".", "<link>"))
    assert "  " not in text.body


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_languages_say_different_things(catalog: Catalog, name: str) -> None:
    bodies = {
        catalog.render(name, locale=locale, channel=Channel.SMS, variables=values_of(name)).body
        for locale in LOCALES
    }
    assert len(bodies) == len(LOCALES)


def test_codes_fit_into_one_text_message(catalog: Catalog) -> None:
    for template in ("SIGN_UP_CODE", "RECOVERY_CODE", "IDENTIFIER_TAKEN"):
        values = {"code": "123456", "minutes": "10"} if TEMPLATES[template].variables else {}
        for locale in LOCALES:
            text = catalog.render(template, locale=locale, channel=Channel.SMS, variables=values)
            assert len(text.body) <= 160 and text.body.isascii()


def test_templates_that_carry_codes_or_links_are_secret() -> None:
    assert {name for name, template in TEMPLATES.items() if template.is_secret} == {
        "SIGN_UP_CODE",
        "RECOVERY_CODE",
        "GROUP_INVITATION",
    }


def test_a_masked_name_does_not_end_a_sentence_twice(catalog: Catalog) -> None:
    for locale in LOCALES:
        for template in ("TRANSFER_SENT", "TRANSFER_RECEIVED", "WELCOME"):
            values = values_of(template) | {"name": "B**** O."}
            for channel in Channel:
                text = catalog.render(template, locale=locale, channel=channel, variables=values)
                assert ".." not in text.subject + text.body


def test_an_unknown_language_is_answered_in_english(catalog: Catalog) -> None:
    text = catalog.render("WELCOME", locale="fr", channel=Channel.SMS, variables={"name": "Asha"})
    assert text.body.startswith("Welcome")


def test_line_breaks_and_braces_in_names_stay_words(catalog: Catalog) -> None:
    name = "Asha\r\nBcc: all@example.com {amount}\x07"
    text = catalog.render("WELCOME", locale="en", channel=Channel.EMAIL, variables={"name": name})
    assert text.subject == "Welcome to Hazina, Asha Bcc: all@example.com {amount}"


@pytest.mark.parametrize(
    ("variables", "named"),
    [({}, "name"), ({"name": "A", "other": "B"}, "other"), ({"name": " "}, "name")],
)
def test_variables_must_be_those_of_the_template(
    catalog: Catalog, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(TemplateVariableMismatch) as refusal:
        catalog.render("WELCOME", locale="en", channel=Channel.SMS, variables=variables)
    assert refusal.value.metadata == {"template": "WELCOME", "variable": named}


def broken(change: str) -> dict[str, str]:
    """The real files, one of them spoiled."""
    files = {locale: (app._TEMPLATES / f"{locale}.toml").read_text("utf-8") for locale in LOCALES}
    spoiled = {
        "unknown variable": ("{name}! Your account", "{nmae}! Your account"),
        "format trick": ("{name}! Your account", "{name.__class__}! Your account"),
        "missing template": ("[WELCOME]", "[WELCOMED]"),
        "missing part": ("[WELCOME]\nsubject", "[WELCOME]\ntitle"),
        "unknown phrase variable": ("Fee: {fee}", "Fee: {fees}"),
    }
    if change == "missing language":
        del files["sw"]
        return files
    old, new = spoiled[change]
    assert old in files["en"], "the test must spoil something"
    files["en"] = files["en"].replace(old, new)
    return files


@pytest.mark.parametrize(
    "change",
    [
        "unknown variable",
        "format trick",
        "missing template",
        "missing part",
        "unknown phrase variable",
        "missing language",
    ],
)
def test_a_spoiled_template_file_stops_the_start(change: str) -> None:
    with pytest.raises(ValueError):
        Catalog(broken(change))


def test_no_template_uses_a_format_beyond_the_name() -> None:
    for locale in LOCALES:
        content = (app._TEMPLATES / f"{locale}.toml").read_text("utf-8")
        fields = [field for _, field, *_ in string.Formatter().parse(content) if field]
        assert all(field.isidentifier() for field in fields)


def movement(kind: str, state: str = "COMPLETED") -> Movement:
    """KES 1,200.50 from Asha to Brian."""
    return Movement(
        kind=kind,
        state=state,
        amount=Money("KES", 120050),
        fee=Money("KES", 1000),
        payer_id=ASHA,
        payee_id=BRIAN,
        payer_name="Asha Wanjiru",
        payee_name="B**** O*****",
        receipt="TKJ4XYZ123",
        note="Rent",
    )


def told(what: Movement) -> list[tuple[UUID, str]]:
    return [(notice.user_id, notice.template) for notice in notices(what)]


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        ("DEPOSIT", "COMPLETED", [(BRIAN, "DEPOSIT_COMPLETED")]),
        ("TRANSFER", "COMPLETED", [(ASHA, "TRANSFER_SENT"), (BRIAN, "TRANSFER_RECEIVED")]),
        ("WITHDRAWAL", "COMPLETED", [(ASHA, "WITHDRAWAL_COMPLETED")]),
        ("WITHDRAWAL", "FAILED", [(ASHA, "WITHDRAWAL_FAILED")]),
        ("DEPOSIT", "FAILED", []),
        ("TRANSFER", "FAILED", []),
        ("WITHDRAWAL", "PROCESSING", []),
        ("WITHDRAWAL", "UNKNOWN", []),
        ("CONTRIBUTION", "COMPLETED", []),
    ],
)
def test_who_is_told_what(kind: str, state: str, expected: list[tuple[UUID, str]]) -> None:
    assert told(movement(kind, state)) == expected


def test_a_transfer_to_oneself_is_told_once() -> None:
    assert told(replace(movement("TRANSFER"), payee_id=ASHA)) == [(ASHA, "TRANSFER_SENT")]


def test_a_side_without_a_person_is_not_told() -> None:
    assert told(replace(movement("TRANSFER"), payee_id=None)) == [(ASHA, "TRANSFER_SENT")]


def test_notices_render_in_every_language(catalog: Catalog) -> None:
    for kind in ("DEPOSIT", "TRANSFER", "WITHDRAWAL"):
        for state in ("COMPLETED", "FAILED"):
            for notice in notices(movement(kind, state)):
                for locale in LOCALES:
                    text = catalog.render(
                        notice.template,
                        locale=locale,
                        channel=Channel.SMS,
                        variables=notice.variables,
                    )
                    assert "KES 1,200.50" in text.body


def test_a_fee_is_named_and_a_missing_one_is_not(catalog: Catalog) -> None:
    with_fee, without = (
        catalog.render(
            "TRANSFER_SENT",
            locale="en",
            channel=Channel.SMS,
            variables=notices(replace(movement("TRANSFER"), fee=Money("KES", fee)))[0].variables,
        ).body
        for fee in (1000, 0)
    )
    assert "Fee: KES 10.00." in with_fee
    assert "Fee" not in without


def test_email_is_preferred_and_a_phone_will_do() -> None:
    contact = Contact(ASHA, "Asha", "asha@example.com", "+254712345678", "en", 1)
    assert contact.recipient == Recipient(Channel.EMAIL, "asha@example.com")
    assert replace(contact, email="").recipient == Recipient(Channel.SMS, "+254712345678")
    assert replace(contact, email="", phone="").recipient is None


def test_pauses_grow_and_end() -> None:
    pauses = [next_pause(attempts) for attempts in range(1, ATTEMPTS_MAX)]
    assert pauses[0] == timedelta(seconds=1)
    assert all(pause is not None for pause in pauses)
    assert pauses == sorted(pauses, key=lambda pause: pause or timedelta())
    assert next_pause(ATTEMPTS_MAX) is None
