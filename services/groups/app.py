"""Composition root of the groups service."""

from contextlib import AsyncExitStack
from types import ModuleType

from hazina.groups.v1 import contribution_service_pb2, group_service_pb2, withdrawal_service_pb2
from services.groups.handlers import ContributionHandlers, GroupHandlers, WithdrawalHandlers
from services.kit.config import ServiceConfig
from services.kit.database import Database
from services.kit.server import Service

__all__ = ["build"]


async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
    """Make the parts of the service."""
    database = Database(
        config.database_url, schema="groups", application_name="groups", pool_size=2
    )
    stack.push_async_callback(database.close)
    return Service(
        name="groups",
        servicers={
            _full_name(group_service_pb2, "GroupService"): GroupHandlers(),
            _full_name(contribution_service_pb2, "ContributionService"): ContributionHandlers(),
            _full_name(withdrawal_service_pb2, "WithdrawalService"): WithdrawalHandlers(),
        },
        checks={"database": database.check},
    )


def _full_name(contract: ModuleType, service: str) -> str:
    """The full name of a service; naming it also makes its contract known to this process."""
    return str(contract.DESCRIPTOR.services_by_name[service].full_name)
