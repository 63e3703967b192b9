"""Every operation of the OpenAPI document, called with its own example through a real Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from google.protobuf import json_format
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.integration.edge.harness import ROOT, Edge

Json = dict[str, Any]
API: Json = json.loads((ROOT / "gen/openapi/openapi.json").read_text())


def operations() -> Iterator[Any]:
    for path, place in API["paths"].items():
        for method, operation in place.items():
            if "x-grpc-method" in operation:
                yield pytest.param(method, path, operation, id=operation["operationId"])


def absolute(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {k: f"urn:api{v}" if k == "$ref" else absolute(v) for k, v in thing.items()}
    return [absolute(item) for item in thing] if isinstance(thing, list) else thing


REGISTRY: Any = Registry().with_resource("urn:api", DRAFT202012.create_resource(absolute(API)))


def check(schema: Json, value: Any) -> None:
    jsonschema.Draft202012Validator(
        absolute(schema),
        registry=REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)


def example_of(schema: Json) -> str:
    """A value for a parameter."""
    while "$ref" in schema:
        place: Any = API
        for key in schema["$ref"].removeprefix("#/").split("/"):
            place = place[key]
        schema = place
    if "enum" in schema:
        return str(schema["enum"][-1])
    kind = schema.get("type")
    if kind == "boolean":
        return "true"
    if kind in ("integer", ["string", "integer"]) or schema.get("format") == "int64":
        return "7"
    if kind == "array":
        return example_of(schema["items"])
    if schema.get("format") == "date-time":
        return "2026-11-20T09:30:00Z"
    return "0192f5a4-6c1e-7b2a-9d3f-5e8c7a1b2c3d"


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_an_operation_is_what_the_document_says(
    edge: Edge, method: str, path: str, operation: Json
) -> None:
    rpc = operation["x-grpc-method"]
    name = rpc.rpartition("/")[2]
    answer_kind = edge.messages.method(rpc).output_type.full_name
    media = operation["responses"]["200"]["content"]
    content, described = next(iter(media.items()))
    schema = described.get("x-event-data", described["schema"])
    answer = edge.messages.of(answer_kind)()
    if content == "application/json":
        json_format.ParseDict(described["example"], answer, descriptor_pool=edge.messages.pool)
    elif content == "*/*":
        answer.data, answer.content_type = b"raw", "text/plain"

    def stream(request: Any, received: Any) -> Any:
        yield answer

    is_stream = content == "text/event-stream"
    edge.services.answers[name] = stream if is_stream else (lambda request, received: answer)
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", []):
        given[parameter["in"]][parameter["name"]] = example_of(parameter["schema"])
    url = path
    for key, value in given["path"].items():
        url = url.replace("{" + key + "}", value)
    given["header"]["X-Tenant-Id"] = "default"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    found = edge.http.request(
        method,
        url,
        params=given["query"] or None,
        headers=given["header"] | (edge.headers() if operation["security"] else {}),
        json=body.get("example"),
    )
    assert found.status_code == 200, found.text
    assert found.headers["content-type"].startswith(content.replace("*/*", "text/plain"))
    if is_stream:
        check(schema, json.loads(found.text.removeprefix("data:").strip()))
    elif content == "application/json":
        check(schema, found.json())
        # Envoy prints what the example has, and zeros besides.
        again = edge.messages.of(answer_kind)()
        json_format.ParseDict(found.json(), again, descriptor_pool=edge.messages.pool)
        assert again == answer
    call = edge.services.last(name)
    assert call.rpc == rpc
    if body.get("example"):
        sent = edge.messages.of(edge.messages.method(rpc).input_type.full_name)()
        json_format.ParseDict(body["example"], sent, descriptor_pool=edge.messages.pool)
        for field in sent.DESCRIPTOR.fields:
            if field.name in [f.name for f, _ in sent.ListFields()]:
                assert getattr(call.request, field.name) == getattr(sent, field.name)


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_who_must_sign_in_is_what_the_document_says(
    edge: Edge, method: str, path: str, operation: Json
) -> None:
    url = path
    for parameter in operation.get("parameters", []):
        url = url.replace("{" + parameter["name"] + "}", "0192f5a4-6c1e-7b2a-9d3f-5e8c7a1b2c3d")
    if not operation["security"]:
        return
    found = edge.http.request(method, url)
    assert found.status_code == 401
    assert found.json()["reason"] == "CREDENTIALS_MISSING"
    check({"$ref": "#/components/schemas/Error"}, found.json())
