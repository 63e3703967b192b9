"""People who sign up for real: a running auth service, a comms peer that remembers codes, and stubs for every caller."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import jwt

from envoyproxy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from hazina.auth.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    directory_service_pb2,
    directory_service_pb2_grpc,
    platform_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    user_service_pb2_grpc,
)
from hazina.comms.v1 import message_service_pb2
from mesh.stack.keys import SigningKeys
from services.auth import app, config
from services.kit import refusals
from services.kit.errors import ServiceError
from services.kit.identity import Call
from tests.harness import Harness, Person, Running

PASSWORD = "correct horse battery"
PIN = "7391"


class RecipientRefused(ServiceError):
    """The provider refuses the recipient."""

    code, reason, domain = "FAILED_PRECONDITION", "RECIPIENT_REFUSED", "comms.hazina"


class FakeComms:
    """Takes messages as comms does: the same id twice sends once.

    `refuses` makes it fail that many times; recipients in `refused` are refused for good.
    """

    def __init__(self) -> None:
        self.messages: list[message_service_pb2.SendMessageRequest] = []
        self.refuses = 0
        self.refused: set[str] = set()
        self.asked = 0

    async def SendMessage(
        self, request: message_service_pb2.SendMessageRequest, call: Call
    ) -> message_service_pb2.SendMessageResponse:
        self.asked += 1
        if self.refuses:
            self.refuses -= 1
            raise ConnectionError("the provider is away")
        if self.refused & {request.email, request.phone}:
            raise RecipientRefused
        is_known = any(one.message_id == request.message_id for one in self.messages)
        if not is_known:
            self.messages.append(request)
        return message_service_pb2.SendMessageResponse(already_sent=is_known)

    def sent_to(self, recipient: str) -> list[message_service_pb2.SendMessageRequest]:
        """Messages to an address, oldest first."""
        return [one for one in self.messages if recipient in (one.email, one.phone)]


@dataclass
class Account:
    """A verified person with the newest tokens of a session."""

    id: UUID
    identifier: str
    password: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def person(self) -> Person:
        """The same, as stubs take it."""
        claims = self.claims
        return Person(self.id, UUID(claims["sid"]), claims["tid"], self.access_token)

    @property
    def session_id(self) -> UUID:
        """The session of the tokens."""
        return UUID(self.claims["sid"])

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says."""
        return read_token(self.access_token)


def read_token(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@dataclass
class Auth:
    """A running auth service and everything around it."""

    running: Running
    comms: FakeComms
    keys: SigningKeys
    database_url: str
    admin_url: str

    # Stubs

    def accounts(self, **options: Any) -> Any:
        """AuthService, as the edge calls it."""
        return self.running.stub(auth_service_pb2_grpc.AuthServiceStub, **options)

    def users(self, account: Account, **options: Any) -> Any:
        """UserService for a person, as the edge calls it."""
        stub = user_service_pb2_grpc.UserServiceStub
        return self.running.stub(stub, user=account.person, **options)

    def directory(self, caller: str = "payments") -> Any:
        """DirectoryService, as another service calls it."""
        stub = directory_service_pb2_grpc.DirectoryServiceStub
        return self.running.stub(stub, through_mesh_as=caller)

    def tenants(self) -> Any:
        """TenantService, as an operator calls it."""
        return self.running.stub(directory_service_pb2_grpc.TenantServiceStub, identity="ops")

    def sessions(self, caller: str = "payments") -> Any:
        """SessionService, as another service calls it."""
        stub = session_service_pb2_grpc.SessionServiceStub
        return self.running.stub(stub, through_mesh_as=caller)

    def platform(self) -> Any:
        """PlatformService, as the edge calls it."""
        return self.running.stub(platform_service_pb2_grpc.PlatformServiceStub)

    # Stories

    async def sign_up(
        self,
        identifier: str = "asha@example.com",
        *,
        password: str = PASSWORD,
        name: str = "Asha Mwangi",
        **options: Any,
    ) -> Any:
        """Start an account by email or phone."""
        kind = "email" if "@" in identifier else "phone"
        request = auth_service_pb2.SignUpRequest(
            password=password, display_name=name, **{kind: identifier}
        )
        return await self.accounts(**options).SignUp(request)

    async def code(self, identifier: str, *, count: int = 1) -> str:
        """The newest code that was sent to an identifier, once `count` messages have gone there."""
        await eventually(lambda: len(self.comms.sent_to(identifier)) >= count)
        return str(self.comms.sent_to(identifier)[-1].variables["code"])

    async def verify(self, identifier: str, code: str, **options: Any) -> Any:
        """Give a code back."""
        request = auth_service_pb2.VerifyIdentityRequest(identifier=identifier, code=code)
        return await self.accounts(**options).VerifyIdentity(request)

    async def account(
        self,
        identifier: str = "asha@example.com",
        *,
        password: str = PASSWORD,
        name: str = "Asha Mwangi",
        **options: Any,
    ) -> Account:
        """A person who signed up and gave their code back."""
        count = len(self.comms.sent_to(identifier)) + 1
        await self.sign_up(identifier, password=password, name=name, **options)
        code = await self.code(identifier, count=count)
        tokens = await self.verify(identifier, code, **options)
        return self.signed_in(tokens, identifier, password)

    def signed_in(self, tokens: Any, identifier: str, password: str = PASSWORD) -> Account:
        """The person of a token response."""
        return Account(
            UUID(tokens.user.id), identifier, password, tokens.access_token, tokens.refresh_token
        )

    async def login(self, account: Account, **fields: Any) -> Any:
        """Sign in again."""
        request = auth_service_pb2.LoginRequest(
            identifier=account.identifier, password=account.password, **fields
        )
        return await self.accounts().Login(request)

    async def refresh(self, refresh_token: str) -> Any:
        """Trade a refresh token."""
        request = auth_service_pb2.RefreshTokenRequest(refresh_token=refresh_token)
        return await self.accounts().RefreshToken(request)

    async def stands(self, account: Account) -> bool:
        """Whether the account's session is live."""
        request = session_service_pb2.CheckSessionRequest(
            user_id=str(account.id), session_id=str(account.session_id)
        )
        return bool((await self.sessions().CheckSession(request)).active)

    async def check(self, key: str, *, identity: str = "edge") -> Any:
        """The verdict on an API key, as the edge asks for it."""
        stub = external_auth_pb2_grpc.AuthorizationStub(self.running.channel(identity))
        http = external_auth_pb2.AttributeContext.HttpRequest(
            headers={"x-api-key": key}, path="/api/v1/wallets?pageSize=1", method="GET"
        )
        request = external_auth_pb2.AttributeContext.Request(http=http)
        attributes = external_auth_pb2.AttributeContext(request=request)
        question = external_auth_pb2.CheckRequest(attributes=attributes)
        return await stub.Check(question, timeout=10)

    async def exchange(self, key: str) -> str:
        """The token that an API key is exchanged for; empty for a bad key."""
        headers = (await self.check(key)).ok_response.headers
        return str(headers[0].header.value).removeprefix("Bearer ") if headers else ""

    async def suspend(self, account: Account) -> None:
        """Suspend a person, as an operator does."""
        request = directory_service_pb2.SuspendUserRequest(
            identifier=account.identifier, note="a test"
        )
        await self.tenants().SuspendUser(request)

    async def tenant(self, tenant_id: str) -> None:
        """A further tenant."""
        request = directory_service_pb2.CreateTenantRequest(
            tenant_id=tenant_id, display_name=tenant_id.title()
        )
        await self.tenants().CreateTenant(request)

    async def add_member(self, account: Account, tenant_id: str, *roles: str) -> None:
        """Give a person a place in a tenant."""
        request = directory_service_pb2.AddMemberRequest(
            tenant_id=tenant_id, identifier=account.identifier, roles=roles or ["member"]
        )
        await self.tenants().AddMember(request)

    # The database, as its administrator sees it

    async def rows(self, query: str, *values: Any) -> list[Mapping[str, Any]]:
        """Rows of the service's schema, past every wall."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute("SET search_path = auth")
            return [dict(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def pass_time(self, table: str, seconds: float, *columns: str) -> None:
        """Move times of a table into the past."""
        moves = ", ".join(f"{name} = {name} - interval '{seconds} seconds'" for name in columns)
        await self.rows(f"UPDATE {table} SET {moves}")


@asynccontextmanager
async def running_auth(
    harness: Harness, folder: Path, *, has_peers: bool = True, **variables: str
) -> AsyncIterator[Auth]:
    """The auth service with its own signing keys, whose tokens it takes itself, and a comms peer."""
    keys = SigningKeys(folder / "keys")
    keys.prepare()
    comms = FakeComms()
    settings = {
        "HAZINA_SIGNING_KEY_DIRECTORY": str(keys.folder),
        "HAZINA_JWKS_FILE": str(keys.jwks_file),
        **variables,
    }
    place = await harness.database("auth")
    async with (
        harness.peers({"hazina.comms.v1.MessageService": comms}) if has_peers else nullcontext(),
        harness.service("auth", app.build, config.load, variables=settings) as running,
    ):
        yield Auth(running, comms, keys, place.url, place.admin_url)


async def eventually(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def eventually_true(
    condition: Callable[[], Awaitable[bool]], *, seconds: float = 10.0
) -> None:
    """Wait until a condition that must be asked for holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def reasons_of_a_storm(calls: Iterable[Awaitable[Any]]) -> set[str]:
    """Make all calls at once; answers why calls were refused. On a busy machine some may run out of time instead."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    reasons = set()
    for answer in answers:
        if isinstance(answer, BaseException):
            assert isinstance(answer, grpc.aio.AioRpcError), repr(answer)
            reasons.add(refusals.from_call_error(answer).reason)
    return reasons - {"DEADLINE_EXCEEDED"}
