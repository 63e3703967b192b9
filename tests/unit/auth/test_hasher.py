"""The password process, spoken to directly."""

import io
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.auth import hasher


def message(content: Any) -> bytes:
    """Length and JSON."""
    raw = json.dumps(content).encode()
    return len(raw).to_bytes(4) + raw


def ask(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> list[Any]:
    """Run the process's loop over this input; answers what it wrote."""
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=output))
    monkeypatch.setattr(os, "nice", lambda _: None)
    hasher.main()
    rest, answers = output.getvalue(), []
    while rest:
        end = 4 + int.from_bytes(rest[:4])
        answers.append(json.loads(rest[4:end]))
        rest = rest[end:]
    return answers


def test_it_hashes_and_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    [made] = ask(monkeypatch, message({"secret": "a secret"}))
    known = made["hash"]
    assert known.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    questions = [{"secret": secret, "hash": known} for secret in ("a secret", "another")]
    right, wrong = ask(monkeypatch, b"".join(message(one) for one in questions))
    assert right == {"isRight": True, "newHash": None}
    assert wrong == {"isRight": False, "newHash": None}


def test_an_older_hash_is_renewed_when_the_secret_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("a secret")
    [answer] = ask(monkeypatch, message({"secret": "a secret", "hash": old}))
    assert answer["isRight"] and "m=47104" in answer["newHash"]
    [answer] = ask(monkeypatch, message({"secret": "another", "hash": old}))
    assert answer == {"isRight": False, "newHash": None}


def test_what_is_no_hash_is_a_wrong_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    [answer] = ask(monkeypatch, message({"secret": "a secret", "hash": "no hash"}))
    assert answer == {"isRight": False, "newHash": None}


def test_it_ends_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, b"") == []
    assert ask(monkeypatch, b"\0\0") == []
    assert ask(monkeypatch, (100).to_bytes(4) + b"{") == []
    assert ask(monkeypatch, (2**31).to_bytes(4)) == []
