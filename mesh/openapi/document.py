"""The whole document: one operation for each HTTP route that the edge has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from google.rpc import code_pb2

from mesh.contract.model import (
    HTTP_BODY,
    Access,
    Binding,
    Contract,
    Field,
    Idempotency,
    Rate,
    Reason,
    Rpc,
)
from mesh.openapi.examples import Examples, refusal
from mesh.openapi.refusals import HTTP_STATUS, example_name, refusals
from mesh.openapi.schemas import Json, Schemas

OPENAPI = "3.1.1"
VERSION = "1.0.0"
BEARER, API_KEY = "bearer", "apiKey"

_STATUS_TEXT = {
    400: "The request breaks a rule, or the state does not allow it.",
    401: "Nobody is signed in, or the credentials are no longer good.",
    403: "The caller may not do this.",
    404: "There is nothing like that for this caller.",
    409: "It collides with something that is there.",
    413: "The body is too large.",
    429: "Too much at once; wait and repeat.",
    499: "The caller went away.",
    500: "A fault of ours.",
    501: "Not there yet.",
    503: "A part that is needed is away; repeat with the same key.",
    504: "The deadline passed; repeat with the same key.",
}

_ABOUT = """\
Accounts, wallets, payments and savings groups over HTTP and JSON. Everything here is also there as gRPC and gRPC-Web on
the same port, with the same credentials; `x-grpc-method` names the RPC.

**Signing in.** Send `Authorization: Bearer <access token>` from `/api/v1/auth/login`, or `x-api-key`.

**Tenants.** Send `X-Tenant-Id`, or call `<tenant>.<domain>`, or add `?tenant_id=`; without any of them your own tenant is meant.

**Money** is an exact count of the smallest unit of its currency. All 64-bit integers are strings in answers; requests may
send strings or whole numbers. Zeros, false and empty lists are printed.

**Idempotency.** Calls that move money need `Idempotency-Key`. Repeat a call whose answer was lost with the same key: it acts
once. The answer to a repetition carries the header `idempotent-replayed: true`.

**Pages.** `pageSize` 0 means 50, more than 100 means 100; give `nextPageToken` back as `pageToken`; an empty one is the end.

**Unknown JSON fields are ignored**, unknown query parameters are refused.

**Errors** have one shape, whoever refuses: see the schema `Error`. `reason` is stable, `message` is for people.

**Streams** (paths that end with `:watch`) are server-sent events: each `data:` line is one JSON message. Resume with `cursor`.
"""


def document(contract: Contract) -> Json:
    """The OpenAPI document of everything that the edge routes."""
    return _Document(contract).build()


def to_text(content: Json) -> str:
    """As it is committed and served."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


class _Document:
    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._rpcs = [rpc for rpc in contract.rpcs if rpc.rules.access is not Access.SERVICE]
        self._schemas = Schemas(
            contract, [rpc.request for rpc in self._rpcs], [rpc.response for rpc in self._rpcs]
        )
        self._examples = Examples(contract)
        self._reasons: dict[str, Reason] = {}
        names = [rpc.name for rpc in self._rpcs]
        self._shared_names = {name for name in names if names.count(name) > 1}

    def build(self) -> Json:
        paths: dict[str, Json] = {}
        for rpc in self._rpcs:
            for number, binding in enumerate(rpc.bindings):
                place = paths.setdefault(self._path(rpc, binding), {})
                place[binding.method.lower()] = self._operation(rpc, binding, number)
        paths["/health"] = {"get": _health()}
        shared = _share_refusals(paths)
        schemas = {"Error": self._error(), **self._schemas.components}
        return {
            "openapi": OPENAPI,
            "info": {
                "title": "Hazina",
                "version": VERSION,
                "summary": "A backend for community finance.",
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "The edge that serves this document."}],
            "tags": [*self._tags(), {"name": "Edge", "description": "Answered by Envoy itself."}],
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": dict(sorted(schemas.items())),
                "responses": shared,
                "examples": {
                    name: self._example(reason) for name, reason in sorted(self._reasons.items())
                },
                "securitySchemes": {
                    BEARER: {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "An access token; it lives 15 minutes.",
                    },
                    API_KEY: {
                        "type": "apiKey",
                        "in": "header",
                        "name": "x-api-key",
                        "description": "A key that a person made for a program of theirs.",
                    },
                },
            },
        }

    def _tags(self) -> list[Json]:
        used = {rpc.service for rpc in self._rpcs}
        return [
            {"name": _tag(service.full_name), "description": service.comment}
            for service in self._contract.services
            if service.full_name in used
        ]

    def _operation(self, rpc: Rpc, binding: Binding, number: int) -> Json:
        policy = rpc.rules
        summary, *others = re.split(r"[.]\s+", rpc.comment, maxsplit=1)
        rest = "".join(others)
        operation: Json = {
            "operationId": self._operation_id(rpc, number),
            "tags": [_tag(rpc.service)],
            "summary": " ".join(summary.rstrip(".").split()),
            "description": self._description(rpc, rest),
        }
        if rpc.deprecated:
            operation["deprecated"] = True
        parameters = [*self._path_parameters(rpc, binding), *self._query(rpc, binding)]
        parameters += _headers(rpc)
        if parameters:
            operation["parameters"] = parameters
        body = self._body(rpc, binding)
        if body is not None:
            operation["requestBody"] = body
        operation["responses"] = {"200": self._success(rpc), **self._refused(rpc, binding)}
        operation["security"] = (
            [{BEARER: []}, {API_KEY: []}] if policy.access is Access.USER else []
        )
        operation["x-grpc-method"] = rpc.path
        operation["x-policy"] = _policy(rpc)
        return operation

    def _operation_id(self, rpc: Rpc, number: int) -> str:
        name = rpc.name
        if name in self._shared_names:
            name = f"{_tag(rpc.service)}_{name}"
        return name if number == 0 else f"{name}_{number + 1}"

    def _description(self, rpc: Rpc, rest: str) -> str:
        policy = rpc.rules
        texts = [rest.strip()]
        if policy.permissions:
            names = ", ".join(f"`{name}`" for name in policy.permissions)
            texts.append(f"Needs the permission {names}.")
        if policy.step_up:
            texts.append("Needs a second factor given within the last 10 minutes.")
        if policy.min_kyc_tier:
            texts.append(f"Needs KYC tier {policy.min_kyc_tier} or higher.")
        if policy.development_only:
            texts.append("Development profile only; anywhere else this path does not exist.")
        return "\n\n".join(text for text in texts if text)

    # What is sent

    def _path(self, rpc: Rpc, binding: Binding) -> str:
        def variable(found: re.Match[str]) -> str:
            return "{" + self._at(rpc.request, found[1])[0] + "}"

        return re.sub(r"\{([^}]*)\}", variable, binding.plain_path)

    def _at(self, message: str, path: str) -> tuple[str, Field]:
        """The JSON path of a field of a request, and the field."""
        head, _, rest = path.partition(".")
        field = self._contract.messages[message].find(head)
        assert field is not None, f"{message} has no {head}; the checks refuse that"
        if not rest:
            return field.json_name, field
        name, inner = self._at(field.type_name, rest)
        return f"{field.json_name}.{name}", inner

    def _path_parameters(self, rpc: Rpc, binding: Binding) -> Iterator[Json]:
        for path in binding.path_fields:
            name, field = self._at(rpc.request, path)
            yield self._parameter(name, field, "path", is_required=True)

    def _query(self, rpc: Rpc, binding: Binding) -> Iterator[Json]:
        if binding.body == "*" or rpc.request == HTTP_BODY:
            return
        taken = {*binding.path_fields, binding.body}
        yield from self._query_of(rpc.request, "", taken)

    def _query_of(self, message: str, prefix: str, taken: set[str]) -> Iterator[Json]:
        for field in self._contract.messages[message].fields:
            if field.name in taken:
                continue
            if field.kind == "message" and not field.type_name.startswith("google.protobuf."):
                yield from self._query_of(field.type_name, f"{prefix}{field.json_name}.", set())
            else:
                yield self._parameter(prefix + field.json_name, field, "query", is_required=False)

    def _parameter(self, name: str, field: Field, place: str, *, is_required: bool) -> Json:
        schema = self._schemas.field(field, is_input=True)
        text = schema.pop("description", "")
        parameter: Json = {"name": name, "in": place, "schema": schema}
        if text:
            parameter["description"] = text
        if is_required:
            parameter["required"] = True
        return parameter

    def _body(self, rpc: Rpc, binding: Binding) -> Json | None:
        if not binding.body:
            return None
        message, without = rpc.request, binding.path_fields
        if binding.body != "*":
            field = self._contract.messages[rpc.request].find(binding.body)
            assert field is not None, f"{rpc.path} has no field {binding.body}"
            message, without = field.type_name, ()
        if message == HTTP_BODY:
            return {"required": True, "content": {"*/*": {"schema": {}}}}
        schema = self._schemas.body(message, without)
        example = self._examples.message(message, is_input=True, rpc=rpc.name, without=without)
        return {
            "required": self._needs_body(schema),
            "content": {"application/json": {"schema": schema, "example": example}},
        }

    def _needs_body(self, schema: Json) -> bool:
        found = self._schemas.components[schema["$ref"].rpartition("/")[2]]
        return any(found.get(word) for word in ("required", "oneOf", "allOf"))

    # What is answered

    def _success(self, rpc: Rpc) -> Json:
        answer: Json = {"description": "Done.", "headers": _answer_headers(rpc)}
        if rpc.response == HTTP_BODY:
            answer["content"] = {"*/*": {"schema": {}}}
            return answer
        schema = self._schemas.printed(rpc.response)
        example = self._examples.message(rpc.response, is_input=False, rpc=rpc.name)
        if rpc.server_streaming:
            answer["description"] = (
                "Server-sent events. Each `data:` line is one message, as `x-event-data` describes it."
            )
            answer["content"] = {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": f"data: {json.dumps(example)}\n\n",
                    "x-event-data": schema,
                }
            }
            return answer
        answer["content"] = {"application/json": {"schema": schema, "example": example}}
        return answer

    def _refused(self, rpc: Rpc, binding: Binding) -> dict[str, Json]:
        found = {}
        for http, reasons in refusals(self._contract, rpc, binding).items():
            lines = [_STATUS_TEXT[http], ""]
            for reason in reasons:
                comment = " ".join(reason.comment.split())
                lines.append(f"- `{reason.name}`: {comment}")
                self._reasons[example_name(reason)] = reason
            names = [reason.name for reason in reasons]
            answer: Json = {
                "description": "\n".join(lines),
                "content": {
                    "application/json": {
                        "schema": {
                            "allOf": [
                                {"$ref": "#/components/schemas/Error"},
                                {"properties": {"reason": {"enum": names}}},
                            ]
                        },
                        "examples": {
                            reason.name: {"$ref": f"#/components/examples/{example_name(reason)}"}
                            for reason in reasons
                        },
                    }
                },
            }
            if http == 429:
                answer["headers"] = {"retry-after": _number_header("Seconds to wait.")}
            found[str(http)] = answer
        return found

    def _example(self, reason: Reason) -> Json:
        number = code_pb2.Code.Value(reason.code)
        value = refusal(reason, HTTP_STATUS[reason.code], number)
        return {"summary": " ".join(reason.comment.split()), "value": value}

    def _error(self) -> Json:
        texts = {
            "code": "Number of the gRPC code.",
            "status": "Name of the gRPC code, such as `FAILED_PRECONDITION`.",
            "message": "What happened, for people. May change.",
            "reason": "Why, stable: act on this.",
            "domain": "Whose reason it is: `hazina` or `<service>.hazina`.",
            "metadata": "Facts that belong to the reason. `retryAfterSeconds` says how long to wait.",
            "fieldViolations": "Every field that breaks a rule.",
            "requestId": "Finds the call in our logs. Null where the call was refused before its headers were read.",
            "timestamp": "When it was refused.",
            "path": "What was called. Null where the call was refused before its headers were read.",
        }
        shapes: dict[str, Json] = {
            "code": {"type": "integer", "format": "int32"},
            "status": {"type": "string"},
            "message": {"type": "string"},
            "reason": {"type": "string"},
            "domain": {"type": "string"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "fieldViolations": {
                "type": "array",
                "items": self._schemas.printed("hazina.type.v1.FieldViolation"),
            },
            "requestId": {"type": ["string", "null"]},
            "timestamp": {"type": "string"},
            "path": {"type": ["string", "null"]},
        }
        return {
            "type": "object",
            "description": "The one shape of every refusal.",
            "required": list(shapes),
            "properties": {
                name: {**shape, "description": texts[name]} for name, shape in shapes.items()
            },
        }


def _share_refusals(paths: dict[str, Json]) -> Json:
    """Replace answers that several operations give alike by references. Returns what is referred to.

    The most frequent answer of a status is called `Refused401`; others add the first operation that gives them.
    """
    operations = [operation for place in paths.values() for operation in place.values()]
    users: dict[tuple[str, str], list[Json]] = {}
    for operation in operations:
        for http, answer in operation["responses"].items():
            if http != "200":
                users.setdefault((http, json.dumps(answer)), []).append(operation)
    shared: Json = {}
    named: set[str] = set()
    for (http, text), found in sorted(users.items(), key=lambda u: (u[0][0], -len(u[1]), u[0][1])):
        if len(found) < 2:
            continue
        name = f"Refused{http}"
        if http in named:
            name += f"_{min(operation['operationId'] for operation in found)}"
        named.add(http)
        shared[name] = json.loads(text)
        for operation in found:
            operation["responses"][http] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _tag(service: str) -> str:
    return service.rpartition(".")[2]


def _policy(rpc: Rpc) -> Json:
    policy = rpc.rules
    found: Json = {"access": policy.access.name, "idempotency": policy.idempotency.name}
    if policy.rate is not Rate.UNSPECIFIED:
        found["rate"] = policy.rate.name
    if policy.permissions:
        found["permissions"] = list(policy.permissions)
    if policy.timeout_seconds is not None:
        found["timeoutSeconds"] = policy.timeout_seconds
    if policy.step_up:
        found["stepUp"] = True
    if policy.min_kyc_tier:
        found["minKycTier"] = policy.min_kyc_tier
    return found


def _headers(rpc: Rpc) -> Iterator[Json]:
    policy = rpc.rules
    if policy.idempotency is Idempotency.KEYED:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "Made by the caller, once for each thing to be done. Repeat it to learn what came of it.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[\\x21-\\x7e]+$",
            },
            "example": "5b0c7f0e-2f0d-4c53-9d0f-3f4f2b9f5a10",
        }
    yield {
        "name": "X-Tenant-Id",
        "in": "header",
        "description": "The tenant that is meant; without it the caller's own.",
        "schema": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,30}$"},
    }


def _answer_headers(rpc: Rpc) -> Json:
    found: Json = {
        "x-request-id": {
            "description": "Finds the call in our logs.",
            "schema": {"type": "string"},
        }
    }
    if rpc.rules.idempotency is Idempotency.KEYED:
        found["idempotent-replayed"] = {
            "description": "`true` when this answers a call that was made before with the same key.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    if rpc.rules.rate not in (Rate.UNSPECIFIED, Rate.STREAM):
        found["x-ratelimit-limit"] = {
            "description": "Size of the bucket, shared by all calls of the same class.",
            "schema": {"type": "string"},
        }
        found["x-ratelimit-remaining"] = _number_header("Calls that are left in it now.")
        found["x-ratelimit-reset"] = _number_header("Seconds until the next is added.")
    return found


def _number_header(text: str) -> Json:
    return {"description": text, "schema": {"type": "integer", "minimum": 0}}


def _health() -> Json:
    return {
        "operationId": "GetHealth",
        "tags": ["Edge"],
        "summary": "Whether the edge is up",
        "description": "Says nothing about the services; ask `/readiness` for those.",
        "responses": {
            "200": {
                "description": "It is.",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["status"],
                            "properties": {"status": {"type": "string", "enum": ["SERVING"]}},
                        },
                        "example": {"status": "SERVING"},
                    }
                },
            }
        },
        "security": [],
    }
