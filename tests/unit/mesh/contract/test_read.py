"""The model says what the contracts say."""

from __future__ import annotations

from mesh.contract.model import Access, Contract, Idempotency, Rate, Rpc


def rpc(shop: Contract, name: str) -> Rpc:
    return next(rpc for rpc in shop.rpcs if rpc.name == name)


def test_a_policy_is_read_whole(shop: Contract) -> None:
    policy = rpc(shop, "BuyThing").rules
    assert policy.access is Access.USER
    assert policy.permissions == ("payments.transfer",)
    assert policy.rate is Rate.MONEY
    assert policy.idempotency is Idempotency.KEYED
    assert policy.timeout_seconds == 4
    assert policy.reasons == ("SOLD_OUT", "NOT_FOUND")
    assert policy.audited
    assert policy.body_bytes_max == 65_536


def test_parts_of_a_second_are_read(shop: Contract) -> None:
    assert rpc(shop, "GetHours").rules.timeout_seconds == 1.5


def test_bindings_are_read_with_their_variables(shop: Contract) -> None:
    buy, hours = rpc(shop, "BuyThing").bindings, rpc(shop, "GetHours").bindings
    assert [(b.method, b.path, b.body, b.path_fields) for b in buy] == [
        ("POST", "/api/v1/things/{thing_id}:buy", "*", ("thing_id",))
    ]
    assert [b.path for b in hours] == ["/api/v1/hours", "/api/v1/shops/{shop_id}/hours"]


def test_comments_come_without_their_signs(shop: Contract) -> None:
    assert rpc(shop, "BuyThing").comment == "Sells one thing. The second\nsentence tells more."
    thing = shop.messages["hazina.shop.v1.Thing"]
    assert thing.comment == "A thing."
    assert [field.comment for field in thing.fields][:2] == ["Its id.", "Its price."]


def test_fields_know_maps_oneofs_and_presence(shop: Contract) -> None:
    thing = shop.messages["hazina.shop.v1.Thing"]
    facts, weight, similar = thing.find("facts"), thing.find("weight"), thing.find("similar")
    assert facts is not None and facts.kind == "map" and facts.value is not None
    assert weight is not None and weight.optional and not weight.oneof
    assert similar is not None and similar.repeated
    request = shop.messages["hazina.shop.v1.BuyThingRequest"]
    assert request.oneof_required == {"delivery"}
    assert [field.name for field in request.fields if field.oneof] == ["address", "fetched"]


def test_rules_are_plain_values(shop: Contract) -> None:
    request = shop.messages["hazina.shop.v1.BuyThingRequest"]
    count, words = request.find("count"), request.find("words")
    assert count is not None and count.rules == {"int32": {"gte": 1, "lte": 9}}
    assert words is not None
    assert words.rules == {
        "repeated": {"max_items": 3, "unique": True, "items": {"string": {"min_len": 1}}}
    }


def test_reasons_are_found_in_the_own_package_and_in_the_shared_one(shop: Contract) -> None:
    own, shared = (
        shop.reason("hazina.shop.v1", "SOLD_OUT"),
        shop.reason("hazina.shop.v1", "NOT_FOUND"),
    )
    assert own is not None and (own.code, own.domain) == ("FAILED_PRECONDITION", "shop.hazina")
    assert shared is not None and (shared.code, shared.domain) == ("NOT_FOUND", "hazina")
    assert shop.reason("hazina.shop.v1", "NOTHING") is None


def test_services_outside_our_packages_are_not_ours(shop: Contract) -> None:
    assert shop.owners == ("shop",)
    assert "envoy.service.auth.v3.CheckRequest" in shop.messages


def test_permissions_come_with_their_roles(shop: Contract) -> None:
    assert shop.permissions["payments.review"].roles == ("staff", "admin")
