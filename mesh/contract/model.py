"""The contracts as one frozen, typed model: what every generator reads, and nothing reads descriptors beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

BODY_BYTES_DEFAULT = 65_536
HTTP_BODY = "google.api.HttpBody"
EMPTY = "google.protobuf.Empty"
OPERATOR = "ops"
SHARED_REASONS = "hazina.type.v1"


class Access(Enum):
    """Who may reach an RPC at all."""

    UNSPECIFIED = 0
    PUBLIC = 1
    USER = 2
    SERVICE = 3


class Rate(Enum):
    """The bucket that a call counts against."""

    UNSPECIFIED = 0
    MONEY = 1
    READ = 2
    BULK = 3
    AUTH = 4
    STREAM = 5


class Idempotency(Enum):
    """Whether repeating a call is harmless."""

    UNSPECIFIED = 0
    SAFE = 1
    KEYED = 2
    NONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one RPC, as its contract states them."""

    access: Access
    permissions: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    rate: Rate = Rate.UNSPECIFIED
    timeout_seconds: float | None = None
    idempotency: Idempotency
    step_up: bool = False
    min_kyc_tier: int = 0
    audited: bool = False
    reasons: tuple[str, ...] = ()
    body_bytes_max: int = BODY_BYTES_DEFAULT
    development_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One HTTP route of an RPC."""

    method: str
    path: str
    body: str = ""
    response_body: str = ""

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Fields of the request that the path carries, in order, such as `wallet_id`."""
        pieces = self.path.split("{")[1:]
        return tuple(piece.split("}")[0].split("=")[0] for piece in pieces)

    @property
    def plain_path(self) -> str:
        """The path with bare variables: `/api/v1/{name=groups/*}` becomes `/api/v1/{name}`."""
        head, *pieces = self.path.split("{")
        for piece in pieces:
            inside, _, rest = piece.partition("}")
            head += "{" + inside.split("=")[0] + "}" + rest
        return head


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One RPC with everything that is declared about it."""

    name: str
    service: str
    package: str
    comment: str
    request: str
    response: str
    client_streaming: bool = False
    server_streaming: bool = False
    deprecated: bool = False
    bindings: tuple[Binding, ...] = ()
    policy: Policy | None

    @property
    def path(self) -> str:
        """The path that gRPC calls, such as `/hazina.wallet.v1.WalletService/GetWallet`."""
        return f"/{self.service}/{self.name}"

    @property
    def owner(self) -> str:
        """The process that serves it: the domain of its package."""
        return domain_of(self.package)

    @property
    def rules(self) -> Policy:
        """The policy. Only for a contract that has passed the checks."""
        assert self.policy is not None, f"{self.path} has no policy; the checks refuse that"
        return self.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One Protobuf service."""

    full_name: str
    package: str
    comment: str
    rpcs: tuple[Rpc, ...]

    @property
    def owner(self) -> str:
        """The process that serves it."""
        return domain_of(self.package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a message. `kind` is a scalar's Protobuf name, or `message`, `enum`, `map`."""

    name: str
    json_name: str
    number: int
    kind: str
    type_name: str = ""
    repeated: bool = False
    optional: bool = False
    oneof: str = ""
    key_kind: str = ""
    value: Field | None = None
    comment: str
    deprecated: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `oneof_required` names the oneofs of which one field must be set."""

    full_name: str
    package: str
    comment: str
    fields: tuple[Field, ...]
    oneof_comments: Mapping[str, str]
    oneof_required: frozenset[str]
    rules: Mapping[str, Any]

    def find(self, name: str) -> Field | None:
        """The field of that Protobuf name, if there is one."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumValue:
    """One value of an enumeration."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumeration:
    """One enumeration."""

    full_name: str
    package: str
    comment: str
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a call may be refused. `code` is a gRPC code's name; empty only before the checks."""

    name: str
    package: str
    code: str
    comment: str

    @property
    def domain(self) -> str:
        """What `ErrorInfo.domain` says: `hazina` for the shared ones, else `<service>.hazina`."""
        if self.package == SHARED_REASONS:
            return "hazina"
        return f"{domain_of(self.package)}.hazina"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a policy may ask for, and the roles that hold it from the start."""

    name: str
    roles: tuple[str, ...]
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """All contracts together."""

    services: tuple[Service, ...]
    messages: Mapping[str, Message]
    enumerations: Mapping[str, Enumeration]
    reasons: Mapping[tuple[str, str], Reason]
    permissions: Mapping[str, Permission]

    @property
    def rpcs(self) -> Iterator[Rpc]:
        """Every RPC, by service and then in the order of the contract."""
        for service in self.services:
            yield from service.rpcs

    @property
    def owners(self) -> tuple[str, ...]:
        """Names of the processes that serve something, sorted."""
        return tuple(sorted({service.owner for service in self.services}))

    def reason(self, package: str, name: str) -> Reason | None:
        """A reason by the name that a policy of `package` gives it: its own first, then the shared one."""
        return self.reasons.get((package, name)) or self.reasons.get((SHARED_REASONS, name))


def domain_of(package: str) -> str:
    """`hazina.wallet.v1` is served by `wallet`."""
    return package.split(".")[1]
