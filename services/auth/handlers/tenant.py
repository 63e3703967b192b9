"""`hazina.auth.v1.TenantService`: what operators do."""

from google.protobuf.empty_pb2 import Empty

from hazina.auth.v1 import directory_service_pb2 as pb
from services.auth import convert, domain
from services.auth.operations import directory
from services.auth.operations.desk import Desk
from services.kit.identity import Call
from services.kit.pages import Pages


class TenantHandlers:
    """Tenants and who belongs to them."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def CreateTenant(
        self, request: pb.CreateTenantRequest, call: Call
    ) -> pb.CreateTenantResponse:
        tenant = await directory.create_tenant(
            self._desk,
            tenant_id=request.tenant_id,
            display_name=convert.display_name(request.display_name),
            bundles=convert.role_bundles(),
        )
        return pb.CreateTenantResponse(tenant=convert.tenant(tenant))

    async def ListTenants(
        self, request: pb.ListTenantsRequest, call: Call
    ) -> pb.ListTenantsResponse:
        size = self._pages.size(request.page_size)
        position = self._pages.open(call, {}, request.page_token)
        after = "" if position is None else str(position["id"])
        found = await directory.list_tenants(self._desk, after=after, count=size + 1)
        is_more = len(found) > size
        token = self._pages.seal(call, {}, {"id": found[size - 1].id}) if is_more else ""
        tenants = [convert.tenant(one) for one in found[:size]]
        return pb.ListTenantsResponse(tenants=tenants, next_page_token=token)

    async def AddMember(self, request: pb.AddMemberRequest, call: Call) -> pb.AddMemberResponse:
        member = await directory.add_member(
            self._desk,
            tenant_id=request.tenant_id,
            identifier=domain.parse_identifier(request.identifier),
            roles=list(request.roles),
            actor=call.actor,
        )
        return pb.AddMemberResponse(member=convert.member(member))

    async def ListMembers(
        self, request: pb.ListMembersRequest, call: Call
    ) -> pb.ListMembersResponse:
        size = self._pages.size(request.page_size)
        filters = {"tenantId": request.tenant_id}
        position = self._pages.open(call, filters, request.page_token)
        found = await directory.list_members(
            self._desk,
            tenant_id=request.tenant_id,
            after=convert.time_and_id(position),
            count=size + 1,
        )
        token = ""
        if len(found) > size:
            last = found[size - 1]
            position = convert.by_time_and_id(last.create_time, last.user_id)
            token = self._pages.seal(call, filters, position)
        members = [convert.member(one) for one in found[:size]]
        return pb.ListMembersResponse(members=members, next_page_token=token)

    async def SuspendUser(self, request: pb.SuspendUserRequest, call: Call) -> Empty:
        await directory.suspend_user(
            self._desk,
            identifier=domain.parse_identifier(request.identifier),
            note=request.note,
            actor=call.actor,
        )
        return Empty()

    async def UnsuspendUser(self, request: pb.UnsuspendUserRequest, call: Call) -> Empty:
        await directory.unsuspend_user(
            self._desk,
            identifier=domain.parse_identifier(request.identifier),
            note=request.note,
            actor=call.actor,
        )
        return Empty()
