"""Whoever changes a room finds its proof without searching: tests lie where the code lies."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, SERVICES, implemented, rooms
from tests.matrix.contracts import Rpc, rpcs

# Rooms whose proof is elsewhere: wiring by every contract test, handlers by the contract test of each RPC, reasons by
# test_reasons.py, tables by the migration test (empty database to head equals the tables).
ELSEWHERE = {"__init__", "__main__", "app", "errors", "handlers", "migrations", "tables"}

_ROOMS = [
    (service, room) for service in SERVICES for room in rooms(service) if room not in ELSEWHERE
]


_IMPLEMENTED = [rpc for rpc in rpcs() if implemented(rpc)]


@pytest.mark.parametrize(("service", "room"), _ROOMS, ids=lambda part: part)
def test_each_room_has_its_mirror(service: str, room: str) -> None:
    mirrors = [
        path
        for kind in ("unit", "integration")
        for pattern in (
            f"test_{room}*.py",
            f"{room}/test_*.py",
        )  # a room, and a room that became a folder
        for path in (ROOT / "tests" / kind / service).rglob(pattern)
    ]

    assert mirrors, (
        f"services/{service}/{room} has no test of its own. Write tests/unit/{service}/test_{room}.py "
        f"(or tests/integration/{service}/test_{room}.py when it needs Postgres or Redis)."
    )


@pytest.mark.parametrize("rpc", _IMPLEMENTED, ids=lambda rpc: rpc.label)
def test_each_rpc_has_its_contract_test(rpc: Rpc) -> None:
    assert _contract_test(rpc).exists(), (
        f"{rpc.label} has no contract test. Write {_contract_test(rpc).relative_to(ROOT)}: success, "
        "every documented reason, and replay or page walk where they apply."
    )


@pytest.mark.parametrize(
    "rpc", [rpc for rpc in _IMPLEMENTED if rpc.keyed], ids=lambda rpc: rpc.label
)
def test_each_keyed_rpc_is_tested_for_replay(rpc: Rpc) -> None:
    assert _tests_named(rpc, r"repla(y|id)|repeat|same_key|twice"), (
        f"{rpc.label} needs an Idempotency-Key. Add a test to {_contract_test(rpc).relative_to(ROOT)} "
        "whose name says that a replay answers the first result (test_a_replayed_request_…)."
    )


@pytest.mark.parametrize(
    "rpc", [rpc for rpc in _IMPLEMENTED if rpc.lists], ids=lambda rpc: rpc.label
)
def test_each_list_is_walked_page_by_page(rpc: Rpc) -> None:
    assert _tests_named(rpc, r"page"), (
        f"{rpc.label} answers pages. Add a test to {_contract_test(rpc).relative_to(ROOT)} that walks "
        "them all (test_the_pages_…)."
    )


def test_the_house_has_rooms_to_check() -> None:
    assert {service for service, _ in _ROOMS} >= {"auth", "wallet", "payments", "comms"}
    assert len(_IMPLEMENTED) > 40, "the handlers of the services were not found"


def _contract_test(rpc: Rpc) -> Path:
    return ROOT / "tests" / "contract" / rpc.service / f"test_{rpc.file_stem}.py"


def _tests_named(rpc: Rpc, pattern: str) -> list[str]:
    path = _contract_test(rpc)
    if not path.exists():
        return []
    names = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [name for name in names if name.startswith("test_") and re.search(pattern, name)]
