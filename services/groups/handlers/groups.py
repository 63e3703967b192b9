"""`hazina.groups.v1.GroupService`."""

from uuid import UUID

from google.protobuf import empty_pb2

from hazina.groups.v1 import group_pb2, group_service_pb2
from services.groups import convert
from services.groups.operations import exits, groups, invitations, members
from services.groups.operations.desk import Desk
from services.kit.identity import Call
from services.kit.pages import Pages

__all__ = ["GroupHandlers"]


class GroupHandlers:
    """`hazina.groups.v1.GroupService`."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def CreateGroup(
        self, request: group_service_pb2.CreateGroupRequest, call: Call
    ) -> group_service_pb2.CreateGroupResponse:
        wanted = convert.new_group(request, call.tenant_id)
        made = await groups.create_group(self._desk, call, wanted)
        return group_service_pb2.CreateGroupResponse(group=convert.group(made))

    async def ListGroups(
        self, request: group_service_pb2.ListGroupsRequest, call: Call
    ) -> group_service_pb2.ListGroupsResponse:
        size = Pages.size(request.page_size)
        after = convert.after_name(self._pages.open(call, {}, request.page_token))
        found = await groups.list_groups(self._desk, call, after=after, size=size + 1)
        page = found[:size]
        token = ""
        if len(found) > size:
            last = page[-1].group
            token = self._pages.seal(call, {}, {"name": last.name, "id": str(last.id)})
        return group_service_pb2.ListGroupsResponse(
            groups=[convert.group(one) for one in page], next_page_token=token
        )

    async def GetGroup(
        self, request: group_service_pb2.GetGroupRequest, call: Call
    ) -> group_pb2.Group:
        return convert.group(await groups.get_group(self._desk, call, UUID(request.group_id)))

    async def UpdateGroup(
        self, request: group_service_pb2.UpdateGroupRequest, call: Call
    ) -> group_service_pb2.UpdateGroupResponse:
        group_id = UUID(request.group_id)
        view = await groups.get_group(self._desk, call, group_id)
        changes = convert.changes(request, view.group.currency)
        changed = await groups.update_group(
            self._desk, call, group_id, changes, etag=request.group.etag
        )
        return group_service_pb2.UpdateGroupResponse(group=convert.group(changed))

    async def ListMembers(
        self, request: group_service_pb2.ListMembersRequest, call: Call
    ) -> group_service_pb2.ListMembersResponse:
        filters = {"group_id": request.group_id, "behind_only": str(request.behind_only)}
        size = Pages.size(request.page_size)
        after = convert.after_name(self._pages.open(call, filters, request.page_token))
        group, found = await members.list_members(
            self._desk,
            call,
            UUID(request.group_id),
            behind_only=request.behind_only,
            after=after,
            size=size + 1,
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            last = page[-1][0]
            token = self._pages.seal(call, filters, {"name": last.name, "id": str(last.user_id)})
        return group_service_pb2.ListMembersResponse(
            members=[convert.member(group, one, owed) for one, owed in page],
            next_page_token=token,
        )

    async def ChangeMemberRole(
        self, request: group_service_pb2.ChangeMemberRoleRequest, call: Call
    ) -> group_service_pb2.ChangeMemberRoleResponse:
        group, member, owed = await members.change_member_role(
            self._desk,
            call,
            UUID(request.group_id),
            UUID(request.user_id),
            convert.role(request.role),
        )
        return group_service_pb2.ChangeMemberRoleResponse(
            member=convert.member(group, member, owed)
        )

    async def RemoveMember(
        self, request: group_service_pb2.RemoveMemberRequest, call: Call
    ) -> empty_pb2.Empty:
        await exits.remove_member(self._desk, call, UUID(request.group_id), UUID(request.user_id))
        return empty_pb2.Empty()

    async def LeaveGroup(
        self, request: group_service_pb2.LeaveGroupRequest, call: Call
    ) -> empty_pb2.Empty:
        await exits.leave_group(self._desk, call, UUID(request.group_id))
        return empty_pb2.Empty()

    async def CreateInvitation(
        self, request: group_service_pb2.CreateInvitationRequest, call: Call
    ) -> group_service_pb2.CreateInvitationResponse:
        made = await invitations.create_invitation(
            self._desk,
            call,
            UUID(request.group_id),
            convert.identifier(request.identifier),
            convert.role(request.role),
        )
        return group_service_pb2.CreateInvitationResponse(invitation=convert.invitation(made))

    async def ListInvitations(
        self, request: group_service_pb2.ListInvitationsRequest, call: Call
    ) -> group_service_pb2.ListInvitationsResponse:
        size = Pages.size(request.page_size)
        before_id = convert.before_id(self._pages.open(call, {}, request.page_token))
        found = await invitations.list_invitations(
            self._desk, call, before_id=before_id, size=size + 1
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.seal(call, {}, {"before": str(page[-1].invitation.id)})
        return group_service_pb2.ListInvitationsResponse(
            invitations=[convert.invitation(one) for one in page], next_page_token=token
        )

    async def GetInvitation(
        self, request: group_service_pb2.GetInvitationRequest, call: Call
    ) -> group_pb2.Invitation:
        found = await invitations.get_invitation(
            self._desk, call, UUID(request.invitation_id), request.token
        )
        return convert.invitation(found)

    async def AcceptInvitation(
        self, request: group_service_pb2.AcceptInvitationRequest, call: Call
    ) -> group_service_pb2.AcceptInvitationResponse:
        joined = await invitations.accept_invitation(
            self._desk, call, UUID(request.invitation_id), request.token
        )
        return group_service_pb2.AcceptInvitationResponse(group=convert.group(joined))

    async def DeclineInvitation(
        self, request: group_service_pb2.DeclineInvitationRequest, call: Call
    ) -> empty_pb2.Empty:
        await invitations.decline_invitation(self._desk, call, UUID(request.invitation_id))
        return empty_pb2.Empty()
