"""Refusals of the groups service. The reasons are those of `hazina.groups.v1.ErrorReason`."""

from services.kit.errors import ServiceError

__all__ = ["GroupsError"]


class GroupsError(ServiceError):
    """The groups service refused."""

    domain = "groups.hazina"
