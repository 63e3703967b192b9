"""What every process is told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mesh.stack.environment import (
    SIMULATORS,
    Settings,
    Stack,
    service_environment,
    simulator_environment,
)
from mesh.stack.home import Home, StackError
from mesh.stack.ports import SERVICES, Ports
from services.kit.config import load_service


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(Home(tmp_path / "home"), Ports(21_000), Settings())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_finds_every_setting_that_it_needs(stack: Stack, service: str) -> None:
    config = load_service(service, service_environment(stack, service))
    assert config.is_development
    assert config.listen_address == f"127.0.0.1:{stack.ports.service(service)}"
    assert config.mesh_address == f"127.0.0.1:{stack.ports.mesh}"
    assert config.certificate_directory == stack.home.certificates / service


def test_each_service_has_a_role_a_password_and_a_secret_of_its_own(stack: Stack) -> None:
    environments = [service_environment(stack, service) for service in SERVICES]
    urls = [urlsplit(environment["HAZINA_DATABASE_URL"]) for environment in environments]
    assert [url.username for url in urls] == [f"hazina_{service}" for service in SERVICES]
    assert len({url.password for url in urls}) == len(SERVICES)
    secrets = {Path(environment["HAZINA_SECRET_FILE"]).read_text() for environment in environments}
    assert len(secrets) == len(SERVICES)


def test_no_service_is_told_the_administrators_password(stack: Stack) -> None:
    password = stack.home.secret("postgres")
    for service in SERVICES:
        assert password not in str(service_environment(stack, service))


def test_the_shells_own_variables_stay_outside(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PGPASSWORD", "x")
    for environment in (
        service_environment(stack, "wallet"),
        simulator_environment(stack, SIMULATORS[0]),
    ):
        assert not {"AWS_SECRET_ACCESS_KEY", "PGPASSWORD"} & set(environment)


def test_provider_and_payments_agree_on_the_account(stack: Stack) -> None:
    ours = service_environment(stack, "payments")
    theirs = simulator_environment(stack, "mobile_money")
    for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "SHORTCODE", "PASSKEY"):
        assert ours[f"HAZINA_DARAJA_{name}"] == theirs[f"HAZINA_DARAJA_{name}"]


def test_external_servers_take_the_place_of_the_embedded_ones(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "HAZINA_DATABASE_URL": "postgresql://admin:p%40ss@db.example:6000/postgres?sslmode=require",
            "HAZINA_REDIS_URL": "redis://cache.example:7000/3",
        }
    )
    stack = Stack(Home(tmp_path / "home"), Ports(21_000), settings)
    url = urlsplit(service_environment(stack, "wallet")["HAZINA_DATABASE_URL"])
    assert (url.hostname, url.port, url.path, url.query) == (
        "db.example",
        6000,
        "/hazina",
        "sslmode=require",
    )
    assert url.username == "hazina_wallet"
    assert (
        service_environment(stack, "wallet")["HAZINA_REDIS_URL"] == "redis://cache.example:7000/3"
    )


@pytest.mark.parametrize(("name", "text"), [("RATE_SCALE", "many"), ("TRACE_RATIO", "-1")])
def test_a_setting_that_is_no_number_is_named(name: str, text: str) -> None:
    with pytest.raises(StackError, match=f"HAZINA_{name}"):
        Settings.from_environment({f"HAZINA_{name}": text})
