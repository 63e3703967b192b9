"""Crash points."""

import os
from pathlib import Path

import pytest

from services.kit import crash


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes instead of exits."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(crash, "_file", None)
    return codes


def test_nothing_happens_unless_armed(exits: list[int]) -> None:
    crash.reach("a.b")
    assert exits == []


def test_nothing_happens_without_the_file(exits: list[int], tmp_path: Path) -> None:
    crash.arm(tmp_path / "crash")
    crash.reach("a.b")
    assert exits == []


def test_only_the_named_point_ends_the_process_and_only_once(
    exits: list[int], tmp_path: Path
) -> None:
    file = tmp_path / "crash"
    file.write_text("a.b\n")
    crash.arm(file)
    crash.reach("a")
    crash.reach("a.b.c")
    assert exits == []
    crash.reach("a.b")
    assert exits == [137]
    assert not file.exists()
    crash.reach("a.b")
    assert exits == [137]
