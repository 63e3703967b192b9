"""`hazina.auth.v1.UserService`."""

from google.protobuf.empty_pb2 import Empty

from hazina.auth.v1 import user_pb2
from hazina.auth.v1 import user_service_pb2 as pb
from services.auth import convert
from services.auth.operations import keys, profiles, sessions
from services.auth.operations.desk import Desk
from services.kit.identity import Call
from services.kit.pages import Pages


class UserHandlers:
    """Profiles, second factors, sessions and API keys."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def GetMe(self, request: pb.GetMeRequest, call: Call) -> user_pb2.User:
        person = await profiles.get_me(
            self._desk, tenant_id=call.tenant_id, user_id=call.signed_in.id
        )
        return convert.user(person)

    async def UpdateMe(self, request: pb.UpdateMeRequest, call: Call) -> pb.UpdateMeResponse:
        change = convert.profile_change(request)
        person = await profiles.update_me(
            self._desk,
            user_id=call.signed_in.id,
            display_name=change.display_name,
            locale=change.locale,
            etag=change.etag,
        )
        return pb.UpdateMeResponse(user=convert.user(person))

    async def ListUsers(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        search = convert.search(request)
        filters = {"query": search.name}
        size = self._pages.size(request.page_size)
        position = self._pages.open(call, filters, request.page_token)
        found = await profiles.list_users(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=call.signed_in.id,
            query=search.name,
            identifier=search.identifier,
            after=convert.name_and_id(position),
            count=size + 1,
        )
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pages.seal(call, filters, convert.by_name_and_id(last))
        users = [convert.user_summary(person) for person in found[:size]]
        return pb.ListUsersResponse(users=users, next_page_token=token)

    async def EnrollTotp(self, request: pb.EnrollTotpRequest, call: Call) -> pb.EnrollTotpResponse:
        secret, uri = await profiles.enroll_totp(
            self._desk, tenant_id=call.tenant_id, user_id=call.signed_in.id
        )
        return pb.EnrollTotpResponse(secret=secret, otpauth_uri=uri)

    async def ConfirmTotp(self, request: pb.ConfirmTotpRequest, call: Call) -> Empty:
        await profiles.confirm_totp(
            self._desk, convert.origin(call), user_id=call.signed_in.id, code=request.totp_code
        )
        return Empty()

    async def DisableTotp(self, request: pb.DisableTotpRequest, call: Call) -> Empty:
        await profiles.disable_totp(
            self._desk, convert.origin(call), user_id=call.signed_in.id, code=request.totp_code
        )
        return Empty()

    async def ListSessions(
        self, request: pb.ListSessionsRequest, call: Call
    ) -> pb.ListSessionsResponse:
        size = self._pages.size(request.page_size)
        position = self._pages.open(call, {}, request.page_token)
        found = await sessions.list_sessions(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=call.signed_in.id,
            after=convert.time_and_id(position),
            count=size + 1,
        )
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pages.seal(call, {}, convert.by_time_and_id(last.create_time, last.id))
        shown = [convert.session(one, call.signed_in.session_id) for one in found[:size]]
        return pb.ListSessionsResponse(sessions=shown, next_page_token=token)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, call: Call) -> Empty:
        await sessions.revoke_session(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=call.signed_in.id,
            session_id=convert.id_of(request.session_id),
        )
        return Empty()

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, call: Call
    ) -> pb.CreateApiKeyResponse:
        user = call.signed_in
        made = await keys.create_api_key(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=user.id,
            held=user.permissions,
            is_key=user.api_key_id is not None,
            name=convert.display_name(request.name, "name"),
            permissions=list(request.permissions),
            expire_time=convert.time_of(request.expire_time, "expireTime")
            if request.HasField("expire_time")
            else None,
        )
        return pb.CreateApiKeyResponse(api_key=convert.api_key(made.kept), key=made.key)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, call: Call
    ) -> pb.ListApiKeysResponse:
        size = self._pages.size(request.page_size)
        position = self._pages.open(call, {}, request.page_token)
        found = await keys.list_api_keys(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=call.signed_in.id,
            after=convert.time_and_id(position),
            count=size + 1,
        )
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pages.seal(call, {}, convert.by_time_and_id(last.create_time, last.id))
        shown = [convert.api_key(key) for key in found[:size]]
        return pb.ListApiKeysResponse(api_keys=shown, next_page_token=token)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, call: Call) -> Empty:
        await keys.revoke_api_key(
            self._desk,
            tenant_id=call.tenant_id,
            user_id=call.signed_in.id,
            key_id=convert.id_of(request.api_key_id),
        )
        return Empty()
