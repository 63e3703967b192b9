"""The OpenAPI document is valid, complete and true to what Envoy does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from mesh.contract.model import Access, Contract
from mesh.openapi.document import document
from tests.unit.mesh.shop import ROOT

Json = dict[str, Any]
BUY = "/api/v1/things/{thingId}:buy"


@pytest.fixture(scope="module")
def made(shop: Contract) -> Json:
    return document(shop)


@pytest.fixture(scope="module")
def committed() -> Json:
    found: Json = json.loads((ROOT / "gen/openapi/openapi.json").read_text())
    return found


def operations(made: Json) -> Iterator[tuple[str, str, Json]]:
    for path, place in made["paths"].items():
        for method, operation in place.items():
            yield path, method, operation


def resolve(made: Json, thing: Json) -> Json:
    while "$ref" in thing:
        place: Any = made
        for key in thing["$ref"].removeprefix("#/").split("/"):
            place = place[key]
        thing = place
    return thing


def reasons(made: Json, operation: Json, status: str) -> list[str]:
    answer = resolve(made, operation["responses"][status])
    found: list[str] = answer["content"]["application/json"]["schema"]["allOf"][1]["properties"][
        "reason"
    ]["enum"]
    return found


def test_both_documents_are_valid_openapi(made: Json, committed: Json) -> None:
    for found in (made, committed):
        validate(found)
        assert found["openapi"].startswith("3.1.")


def test_every_example_follows_its_schema(made: Json, committed: Json) -> None:
    for found in (made, committed):
        assert list(_broken_examples(found)) == []


def _broken_examples(found: Json) -> Iterator[str]:
    resource = DRAFT202012.create_resource(found)
    registry: Any = Registry().with_resource("urn:api", resource)
    check = jsonschema.Draft202012Validator.FORMAT_CHECKER

    def absolute(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {k: f"urn:api{v}" if k == "$ref" else absolute(v) for k, v in thing.items()}
        return [absolute(item) for item in thing] if isinstance(thing, list) else thing

    for path, method, operation in operations(found):
        places = [operation.get("requestBody", {}), *operation["responses"].values()]
        for place in places:
            for kind, media in place.get("content", {}).items():
                if kind != "application/json" or "example" not in media:
                    continue
                validator = jsonschema.Draft202012Validator(
                    absolute(media["schema"]), registry=registry, format_checker=check
                )
                for error in validator.iter_errors(media["example"]):
                    yield f"{method} {path} {error.json_path}: {error.message}"


def test_every_route_of_the_edge_is_an_operation_and_nothing_else_is(made: Json) -> None:
    found = {(method, path) for path, method, _ in operations(made)}
    assert found == {
        ("post", BUY),
        ("get", "/api/v1/things"),
        ("get", "/api/v1/things:watch"),
        ("get", "/api/v1/hours"),
        ("get", "/api/v1/shops/{shopId}/hours"),
        ("put", "/pictures/{secret}"),
        ("get", "/dev/v1/things"),
        ("get", "/health"),
    }


def test_operation_ids_are_unique(committed: Json) -> None:
    names = [operation["operationId"] for _, _, operation in operations(committed)]
    assert len(names) == len(set(names))


def test_the_first_sentence_is_the_summary(made: Json) -> None:
    operation = made["paths"][BUY]["post"]
    assert operation["summary"] == "Sells one thing"
    assert operation["description"].startswith("The second\nsentence tells more.")


def test_a_keyed_call_needs_an_idempotency_key_and_may_be_replayed(made: Json) -> None:
    operation = made["paths"][BUY]["post"]
    key = next(p for p in operation["parameters"] if p["name"] == "Idempotency-Key")
    assert key["required"] and key["in"] == "header"
    assert "idempotent-replayed" in operation["responses"]["200"]["headers"]
    listed = made["paths"]["/api/v1/things"]["get"]
    assert all(p["name"] != "Idempotency-Key" for p in listed["parameters"])


def test_security_follows_access(made: Json, shop: Contract) -> None:
    by_rpc = {rpc.path: rpc for rpc in shop.rpcs}
    for _, _, operation in operations(made):
        rpc = by_rpc.get(operation.get("x-grpc-method", ""))
        is_user = rpc is not None and rpc.rules.access is Access.USER
        assert operation["security"] == ([{"bearer": []}, {"apiKey": []}] if is_user else [])
        assert ("401" in operation["responses"]) == is_user


def test_refusals_stand_under_the_status_that_envoy_gives_them(made: Json) -> None:
    operation = made["paths"][BUY]["post"]
    assert "SOLD_OUT" in reasons(made, operation, "400")
    assert "VALIDATION_FAILED" in reasons(made, operation, "400")
    assert reasons(made, operation, "404") == ["NOT_FOUND", "TENANT_NOT_FOUND"]
    assert reasons(made, operation, "409") == ["IDEMPOTENCY_KEY_REUSED"]
    assert reasons(made, operation, "413") == ["REQUEST_TOO_LARGE"]
    assert "RATE_LIMITED" in reasons(made, operation, "429")
    assert "IDEMPOTENCY_KEY_IN_FLIGHT" in reasons(made, operation, "503")
    assert reasons(made, operation, "504") == ["DEADLINE_EXCEEDED"]
    assert "413" not in made["paths"]["/api/v1/things"]["get"]["responses"]


def test_each_reason_is_explained_where_it_stands(made: Json) -> None:
    answer = resolve(made, made["paths"][BUY]["post"]["responses"]["400"])
    assert "- `SOLD_OUT`: Nothing is left." in answer["description"]
    example = made["components"]["examples"]["shop.SOLD_OUT"]["value"]
    assert (example["code"], example["domain"]) == (9, "shop.hazina")
    assert set(example) == set(made["components"]["schemas"]["Error"]["required"])


def test_long_integers_are_strings_in_answers_and_either_in_requests(made: Json) -> None:
    schemas = made["components"]["schemas"]
    assert schemas["shop.Thing"]["properties"]["viewCount"]["type"] == "string"
    assert schemas["type.MoneyInput"]["properties"]["minorUnits"]["type"] == ["string", "integer"]


def test_answers_always_have_what_envoy_always_prints(made: Json) -> None:
    thing = made["components"]["schemas"]["shop.Thing"]
    assert thing["required"] == ["id", "state", "viewCount", "facts", "similar"]


def test_requests_need_what_the_rules_would_refuse_to_miss(made: Json) -> None:
    request = made["components"]["schemas"]["shop.BuyThingRequest"]
    assert request["required"] == ["amount", "count"]
    assert request["oneOf"] == [{"required": ["address"]}, {"required": ["fetched"]}]
    assert "thingId" not in request["properties"]
    assert request["properties"]["count"]["minimum"] == 1
    assert request["properties"]["words"]["maxItems"] == 3
    assert "must be more than zero" in request["properties"]["amount"]["description"]


def test_a_get_takes_query_parameters(made: Json) -> None:
    found = made["paths"]["/api/v1/things"]["get"]
    names = [(p["name"], p["in"]) for p in found["parameters"]]
    assert names == [
        ("pageSize", "query"),
        ("pageToken", "query"),
        ("state", "query"),
        ("X-Tenant-Id", "header"),
    ]
    assert "requestBody" not in found


def test_a_second_binding_has_the_variable_in_its_path(made: Json) -> None:
    plain = made["paths"]["/api/v1/hours"]["get"]["parameters"]
    nested = made["paths"]["/api/v1/shops/{shopId}/hours"]["get"]["parameters"]
    assert ("shopId", "query") in [(p["name"], p["in"]) for p in plain]
    assert ("shopId", "path") in [(p["name"], p["in"]) for p in nested]


def test_a_stream_is_described_as_events(made: Json) -> None:
    found = made["paths"]["/api/v1/things:watch"]["get"]
    media = found["responses"]["200"]["content"]["text/event-stream"]
    assert media["x-event-data"] == {"$ref": "#/components/schemas/shop.Thing"}
    assert "504" not in found["responses"]


def test_raw_bodies_take_and_give_anything(made: Json) -> None:
    found = made["paths"]["/pictures/{secret}"]["put"]
    assert list(found["requestBody"]["content"]) == ["*/*"]
    assert list(found["responses"]["200"]["content"]) == ["*/*"]
    assert [p["name"] for p in found["parameters"] if p["in"] == "path"] == ["secret"]


def test_values_of_an_enumeration_are_explained(made: Json) -> None:
    state = made["components"]["schemas"]["shop.Thing.State"]
    assert state["enum"] == ["STATE_UNSPECIFIED", "NEW"]
    assert "- `NEW`: New." in state["description"]


def test_the_promised_paths_are_there(committed: Json) -> None:
    promised = """
    post /api/v1/auth/signup
    post /api/v1/auth/verify
    post /api/v1/auth/login
    post /api/v1/auth/refresh
    post /api/v1/auth/logout
    post /api/v1/auth/recover
    get /.well-known/jwks.json
    get /api/v1/users/me
    get /api/v1/users
    get /api/v1/wallets
    get /api/v1/wallets/{walletId}
    get /api/v1/wallets/{walletId}/entries
    get /api/v1/wallets/{walletId}:watch
    get /api/v1/rails
    post /api/v1/deposits
    post /api/v1/transfers:preview
    post /api/v1/transfers
    post /api/v1/withdrawals
    get /api/v1/transactions
    get /api/v1/transactions/{transactionId}
    post /api/v1/groups
    get /api/v1/groups
    get /api/v1/groups/{groupId}
    post /api/v1/groups/{groupId}/invitations
    get /api/v1/invitations
    post /api/v1/invitations/{invitationId}:accept
    post /api/v1/groups/{groupId}/contributions
    get /api/v1/groups/{groupId}/contributions
    post /api/v1/groups/{groupId}/withdrawals
    post /api/v1/groups/{groupId}/withdrawals/{withdrawalId}:approve
    post /api/v1/groups/{groupId}/withdrawals/{withdrawalId}:reject
    post /api/v1/groups/{groupId}/withdrawals/{withdrawalId}:execute
    get /api/v1/notifications
    get /api/v1/notifications:watch
    post /api/v1/notifications:markRead
    get /health
    get /readiness
    post /hooks/v1/{provider}/{secret}
    get /dev/v1/messages
    """
    found = {f"{method} {path}" for path, method, _ in operations(committed)}
    assert {line.strip() for line in promised.strip().splitlines()} <= found
