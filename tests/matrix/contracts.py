"""What the contracts say about every RPC, read from the generated modules and not through the contract compiler.

The compiler turns policies into Envoy's rules and the services' wrappers; tests that asked the compiler what to expect
would only prove that it agrees with itself.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2

from hazina.policy.v1 import policy_pb2
from hazina.policy.v1.policy_pb2 import Policy

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "gen" / "python"
SHARED_DOMAIN = "hazina"


@dataclass(frozen=True, slots=True)
class HttpBinding:
    """One `google.api.http` rule: `body` is the field that the body fills, `*` for all, empty for none."""

    method: str
    path: str
    body: str

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Fields of the request that stand in the path."""
        return tuple(re.findall(r"\{([a-z0-9_]+)\}", self.path))


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC with its policy."""

    descriptor: MethodDescriptor
    policy: Policy
    http: HttpBinding | None

    @property
    def name(self) -> str:
        """`CreateTransfer`."""
        return str(self.descriptor.name)

    @property
    def service(self) -> str:
        """The service that serves it: `payments`."""
        return str(self.descriptor.full_name).split(".")[1]

    @property
    def path(self) -> str:
        """What gRPC calls it by: `/hazina.payments.v1.PaymentService/CreateTransfer`."""
        return f"/{self.descriptor.containing_service.full_name}/{self.name}"

    @property
    def label(self) -> str:
        """Short and unique: `payments.PaymentService.CreateTransfer`."""
        return f"{self.service}.{self.descriptor.containing_service.name}.{self.name}"

    @property
    def file_stem(self) -> str:
        """The name in files: `create_transfer`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower()

    @property
    def request(self) -> Descriptor:
        """The request's type."""
        return self.descriptor.input_type

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return bool(self.descriptor.server_streaming)

    @property
    def access(self) -> str:
        """`PUBLIC`, `USER` or `SERVICE`."""
        return str(Policy.Access.Name(self.policy.access))

    @property
    def keyed(self) -> bool:
        """Whether it needs an Idempotency-Key."""
        return bool(self.policy.idempotency == Policy.KEYED)

    @property
    def lists(self) -> bool:
        """Whether it answers pages."""
        return "page_token" in self.request.fields_by_name

    def new_request(self) -> Message:
        """An empty request."""
        return GetMessageClass(self.request)()

    def answer_type(self) -> type[Message]:
        """The class of its answer."""
        return GetMessageClass(self.descriptor.output_type)


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of an `ErrorReason`: who says it, and with which code."""

    domain: str
    name: str
    code: str


@functools.cache
def files() -> Sequence[FileDescriptor]:
    """Every contract file of Hazina."""
    modules = sorted((GENERATED / "hazina").rglob("*_pb2.py"))
    names = [".".join(path.relative_to(GENERATED).with_suffix("").parts) for path in modules]
    return [importlib.import_module(name).DESCRIPTOR for name in names]


@functools.cache
def rpcs() -> Sequence[Rpc]:
    """Every RPC, in the order of the contracts."""
    return [
        Rpc(method, method.GetOptions().Extensions[policy_pb2.policy], _http(method))
        for file in files()
        for service in file.services_by_name.values()
        for method in service.methods
    ]


@functools.cache
def reasons() -> Mapping[tuple[str, str], Reason]:
    """Every reason of every `ErrorReason`, by domain and name."""
    found = {}
    for file in files():
        enum = file.enum_types_by_name.get("ErrorReason")
        if enum is None:
            continue
        package = str(file.package).split(".")[1]
        domain = SHARED_DOMAIN if package == "type" else f"{package}.{SHARED_DOMAIN}"
        for reason in _reasons_of(enum, domain):
            found[reason.domain, reason.name] = reason
    return found


@functools.cache
def role_permissions() -> Mapping[str, frozenset[str]]:
    """What each role holds when a tenant is made."""
    held: dict[str, set[str]] = {}
    for value in policy_pb2.Permission.DESCRIPTOR.enum_types_by_name["Name"].values:
        grant = value.GetOptions().Extensions[policy_pb2.grant]
        for role in grant.roles:
            held.setdefault(role, set()).add(grant.name)
    return {role: frozenset(names) for role, names in held.items()}


def _http(method: MethodDescriptor) -> HttpBinding | None:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return HttpBinding(verb.upper(), getattr(rule, verb), rule.body) if verb else None


def _reasons_of(enum: EnumDescriptor, domain: str) -> list[Reason]:
    return [
        Reason(
            domain,
            str(value.name),
            str(code_pb2.Code.Name(value.GetOptions().Extensions[policy_pb2.refusal].code)),
        )
        for value in enum.values
        if value.number != 0
    ]
