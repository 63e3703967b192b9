"""buf, offline: style and comments of what is written, and that nothing released is broken."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mesh.contract.lint import lint
from tests.unit.mesh.shop import ROOT, compile_shop


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose branch `main` holds the invented contract."""
    compile_shop(tmp_path)
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "proto", "buf.yaml"],
        [
            *("-c", "user.name=t", "-c", "user.email=t@example.org"),
            *("commit", "--quiet", "--message=Contracts"),
        ],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_a_contract_that_follows_the_rules_has_no_complaint(clone: Path) -> None:
    assert lint(clone) == []


def test_the_real_contracts_follow_the_rules() -> None:
    assert lint(ROOT, against="HEAD") == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  // Its price.\n", "", "should have a non-empty comment"),
        ("string text = 1;", "string Text = 1;", "should be lower_snake_case"),
        ("string text = 1;", "string text = 2;", "deleted"),
        ("string text = 1;", "int32 text = 1;", "changed type"),
        ("rpc GetHours(", "rpc ReadHours(", "deleted"),
    ],
)
def test_what_breaks_a_rule_or_a_release_is_named(
    clone: Path, old: str, new: str, complaint: str
) -> None:
    compile_shop(clone, (old, new))
    found = lint(clone)
    assert any(complaint in line and "shop.proto" in line for line in found), found


def test_without_the_other_branch_only_the_style_is_judged(clone: Path) -> None:
    compile_shop(clone, ("string text = 1;", "string text = 2;"))
    assert lint(clone, against="no-such-branch") == []
