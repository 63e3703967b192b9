"""When certificates, keys and Envoy's files are made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.stack import due, files
from mesh.stack.certificates import Certificates
from mesh.stack.environment import Settings, Stack
from mesh.stack.home import Home
from mesh.stack.keys import SigningKeys
from mesh.stack.ports import Ports

NOW = datetime.now(UTC)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    made = Stack(Home(tmp_path / "home"), Ports(21_000), Settings())
    made.home.prepare()
    files.prepare(made, now=NOW)
    return made


def test_a_fresh_home_needs_nothing(stack: Stack) -> None:
    assert due.has_files(stack, NOW.timestamp())
    assert due.is_rendered(stack)


def test_half_of_a_certificates_life_makes_it_due(stack: Stack) -> None:
    assert not due.is_due(stack.home, (NOW + timedelta(hours=11)).timestamp())
    assert due.is_due(stack.home, (NOW + timedelta(hours=12, minutes=5)).timestamp())


def test_a_retired_key_is_dropped_when_its_last_token_has_ended(stack: Stack) -> None:
    keys = SigningKeys(stack.home.keys)
    keys.publish_next(now=NOW)
    keys.activate_next(now=NOW)
    files.prepare(stack, now=NOW)
    later = NOW + timedelta(minutes=17)
    assert due.is_due(stack.home, later.timestamp())
    files.prepare(stack, now=later)
    assert len(keys.all()) == 1
    assert "tokens" in str(sorted(stack.home.envoy.glob("tokens*")))


@pytest.mark.parametrize("change", ["ports", "key", "hand edit"])
def test_what_envoys_files_follow_from_makes_them_stale(stack: Stack, change: str) -> None:
    other = stack
    if change == "ports":
        other = Stack(stack.home, Ports(22_000), stack.settings)
    elif change == "key":
        SigningKeys(stack.home.keys).publish_next()
    else:
        (stack.home.envoy / "envoy.yaml").write_text("{}")
    assert not due.is_rendered(other)


def test_a_missing_certificate_is_noticed(stack: Stack) -> None:
    (Certificates(stack.home.certificates).directory("wallet") / "key.pem").unlink()
    assert not due.has_files(stack, NOW.timestamp())
