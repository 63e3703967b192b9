"""The RPCs of the groups service. An RPC that has no method here answers UNIMPLEMENTED / NOT_YET_AVAILABLE."""

__all__ = ["ContributionHandlers", "GroupHandlers", "WithdrawalHandlers"]


class GroupHandlers:
    """`hazina.groups.v1.GroupService`."""


class ContributionHandlers:
    """`hazina.groups.v1.ContributionService`."""


class WithdrawalHandlers:
    """`hazina.groups.v1.WithdrawalService`."""
