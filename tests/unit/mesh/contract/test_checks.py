"""Every rule of the contracts can fail, and says which RPC breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.contract import checks
from mesh.contract.model import Contract
from tests.unit.mesh.shop import read_shop

POLICY = "option (hazina.policy.v1.policy) = "
BUY = POLICY + '{access: USER permissions: "payments.transfer"'
COUNT = POLICY + '{access: SERVICE callers: "ops"'
HOURS = POLICY + "{access: PUBLIC timeout: {seconds: 1 nanos: 500000000} idempotency: SAFE};"


def test_the_contract_as_it_should_be_has_no_complaint(shop: Contract) -> None:
    assert checks.complaints(shop) == []


@pytest.mark.parametrize(
    ("old", "new", "rpc", "complaint"),
    [
        (HOURS, "", "GetHours", "has no policy"),
        (BUY, BUY.replace("access: USER ", ""), "BuyThing", "does not say access"),
        ("idempotency: KEYED", "", "BuyThing", "does not say idempotency"),
        ("timeout: {seconds: 4} ", "", "BuyThing", "has no timeout"),
        ("payments.transfer", "payments.steal", "BuyThing", "permission 'payments.steal'"),
        ('callers: "ops"', 'callers: "bank"', "CountSales", "caller 'bank'"),
        ('callers: "ops"', 'callers: "shop"', "CountSales", "its own service"),
        ('callers: "ops" ', "", "CountSales", "nobody may call it"),
        ('callers: "ops"', 'callers: ["ops", "ops"]', "CountSales", "'ops' twice"),
        ('"SOLD_OUT", "NOT_FOUND"', '"GONE"', "BuyThing", "reason 'GONE'"),
        (
            "rate: READ timeout: {seconds: 5} idempotency: SAFE",
            "rate: READ timeout: {seconds: 5} idempotency: KEYED",
            "ListThings",
            "a GET cannot carry an idempotency key",
        ),
        (
            COUNT,
            'option (google.api.http) = {get: "/api/v1/sales"};\n' + COUNT,
            "CountSales",
            "SERVICE and has an HTTP binding",
        ),
        ('get: "/dev/v1/things"', 'get: "/api/v1/hours"', "TryThings", "is already the route of"),
        (
            'get: "/dev/v1/things"',
            'get: "/api/v1/shops/{shop_id}/hours"',
            "TryThings",
            "is already the route of",
        ),
        (
            'option (google.api.http) = {get: "/api/v1/things"};',
            "",
            "ListThings",
            "no HTTP binding",
        ),
        ("string next_page_token = 2;", "string after = 2;", "ListThings", "lists without pages"),
        ("int32 page_size = 1;", "int64 page_size = 1;", "ListThings", "lists without pages"),
        ("repeated Thing things = 1;", "Thing things = 1;", "ListThings", "lists nothing"),
        ("/api/v1/things/{thing_id}", "/api/v1/things/{id}", "BuyThing", "has no field 'id'"),
        ("/api/v1/things/{thing_id}", "/api/v1/things/{amount}", "BuyThing", "part of a path"),
        ('body: "picture"', 'body: "photo"', "PutPicture", "no field 'photo'"),
        ('get: "/api/v1/things:watch"', 'get: "/api/v1/news"', "WatchThings", "end with :watch"),
        ('get: "/dev/v1/things"', 'get: "/docs"', "TryThings", "answered by the edge itself"),
        ("(WatchThingsRequest)", "(stream WatchThingsRequest)", "WatchThings", "from the client"),
        (
            "{access: PUBLIC timeout: {seconds: 1} idempotency: SAFE development",
            "{access: PUBLIC rate: MONEY timeout: {seconds: 1} idempotency: SAFE development",
            "TryThings",
            "counts per person",
        ),
        (
            "{access: PUBLIC timeout: {seconds: 1} idempotency: SAFE development",
            "{access: PUBLIC step_up: true timeout: {seconds: 1} idempotency: SAFE development",
            "TryThings",
            "only a USER RPC",
        ),
        (
            "rate: READ timeout: {seconds: 5}",
            "rate: STREAM timeout: {seconds: 5}",
            "ListThings",
            "is no stream",
        ),
        ("  // Opening hours.\n  rpc", "  rpc", "GetHours", "has no comment"),
    ],
)
def test_a_broken_rule_names_the_rpc(
    tmp_path: Path, old: str, new: str, rpc: str, complaint: str
) -> None:
    found = checks.complaints(read_shop(tmp_path, (old, new)))
    assert any(complaint in text and f"/{rpc}:" in text for text in found), found


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            " [(hazina.policy.v1.refusal) = {code: FAILED_PRECONDITION}]",
            "",
            "hazina.shop.v1.ErrorReason.SOLD_OUT: says no code",
        ),
        ("SOLD_OUT", "OVERLOADED", "hides the shared reason"),
        ("  // Its price.\n", "", "hazina.shop.v1.Thing.price: has no comment"),
        ("// A thing.\n", "", "hazina.shop.v1.Thing: has no comment"),
        ("    // New.\n", "", "hazina.shop.v1.Thing.State.NEW: has no comment"),
        ("// Sells things.\n", "", "hazina.shop.v1.ShopService: has no comment"),
    ],
)
def test_a_broken_rule_names_what_breaks_it(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    found = checks.complaints(read_shop(tmp_path, (old, new)))
    assert any(complaint in text for text in found), found
