"""The table for people and the matrix for tests."""

from __future__ import annotations

import json
from typing import Any

from mesh.contract.matrix import matrix
from mesh.contract.model import Contract
from mesh.contract.tables import tables


def verdicts(shop: Contract, rpc: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(matrix(shop))
    entry: dict[str, Any] = found["rpcs"][f"/hazina.shop.v1.ShopService/{rpc}"]["verdicts"]
    assert set(entry) <= set(found["callers"])
    return entry


def test_every_rpc_stands_in_the_table_with_its_policy(shop: Contract) -> None:
    text = tables(shop)
    row = next(line for line in text.splitlines() if line.startswith("| `BuyThing`"))
    for piece in (
        "`POST /api/v1/things/{thing_id}:buy`",
        "USER",
        "`payments.transfer`",
        "MONEY",
        "4 s",
        "KEYED",
        "audited",
        "`SOLD_OUT`",
    ):
        assert piece in row
    assert "| `SOLD_OUT` | FAILED_PRECONDITION | Nothing is left. |" in text
    assert "body up to 1,000,000 bytes" in text


def test_a_user_rpc_lets_in_those_who_hold_the_permission(shop: Contract) -> None:
    found = verdicts(shop, "BuyThing")
    assert found["edge.member"] == "ALLOWED"
    assert found["edge.no_role"]["reason"] == "PERMISSION_MISSING"
    assert found["edge.anonymous"]["reason"] == "CREDENTIALS_MISSING"
    assert found["edge.other_tenant"]["reason"] == "TENANT_NOT_FOUND"
    assert found["mesh.ops"]["reason"] == "ACCESS_DENIED"
    assert found["direct.ops"]["reason"] == "CALLER_NOT_ALLOWED"
    assert found["direct.edge"] == "ALLOWED"


def test_a_service_rpc_lets_in_its_callers_and_nobody_else(shop: Contract) -> None:
    found = verdicts(shop, "CountSales")
    assert found["mesh.ops"] == found["direct.ops"] == "ALLOWED"
    assert found["mesh.shop"]["reason"] == "ACCESS_DENIED"
    assert found["direct.edge"]["reason"] == "ACCESS_DENIED"
    at_edge = [verdict for caller, verdict in found.items() if caller.startswith("edge.")]
    assert all(verdict["reason"] == "ACCESS_DENIED" for verdict in at_edge)


def test_a_public_rpc_lets_everyone_in_through_the_edge(shop: Contract) -> None:
    found = verdicts(shop, "GetHours")
    assert found["edge.anonymous"] == found["edge.token_expired"] == "ALLOWED"
    assert found["direct.ops"]["reason"] == "CALLER_NOT_ALLOWED"
