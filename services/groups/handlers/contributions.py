"""`hazina.groups.v1.ContributionService`."""

from uuid import UUID

from hazina.groups.v1 import contribution_service_pb2
from services.groups import convert
from services.groups.operations import contributions, groups
from services.groups.operations.desk import Desk
from services.kit.identity import Call
from services.kit.pages import Pages

__all__ = ["ContributionHandlers"]


class ContributionHandlers:
    """`hazina.groups.v1.ContributionService`."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    async def CreateContribution(
        self, request: contribution_service_pb2.CreateContributionRequest, call: Call
    ) -> contribution_service_pb2.CreateContributionResponse:
        order = convert.contribution_order(request)
        made = await contributions.create_contribution(self._desk, call, order)
        return contribution_service_pb2.CreateContributionResponse(
            contribution=convert.contribution(made)
        )

    async def ListContributions(
        self, request: contribution_service_pb2.ListContributionsRequest, call: Call
    ) -> contribution_service_pb2.ListContributionsResponse:
        filters = {"group_id": request.group_id}
        size = Pages.size(request.page_size)
        before_id = convert.before_id(self._pages.open(call, filters, request.page_token))
        group, found, totals, members = await contributions.list_contributions(
            self._desk, call, UUID(request.group_id), before_id=before_id, size=size + 1
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.seal(call, filters, {"before": str(page[-1].id)})
        return contribution_service_pb2.ListContributionsResponse(
            contributions=[convert.contribution(one) for one in page],
            next_page_token=token,
            total=convert.money(group.currency, totals.contributed_minor),
            cash_total=convert.money(group.currency, totals.cash_minor),
            members=convert.members(group, members, self._desk.clock.now()),
        )

    async def ConfirmContribution(
        self, request: contribution_service_pb2.ConfirmContributionRequest, call: Call
    ) -> contribution_service_pb2.ConfirmContributionResponse:
        confirmed = await contributions.confirm_contribution(
            self._desk, call, UUID(request.group_id), UUID(request.contribution_id)
        )
        return contribution_service_pb2.ConfirmContributionResponse(
            contribution=convert.contribution(confirmed)
        )

    async def BatchGetGroupTotals(
        self, request: contribution_service_pb2.BatchGetGroupTotalsRequest, call: Call
    ) -> contribution_service_pb2.BatchGetGroupTotalsResponse:
        group_ids = [UUID(one) for one in request.group_ids]
        found = await groups.batch_get_group_totals(self._desk, call, group_ids)
        return contribution_service_pb2.BatchGetGroupTotalsResponse(
            group_totals=[convert.totals(one) for one in found]
        )
