"""`hazina.auth.v1.PlatformService`."""

from collections.abc import Mapping

from hazina.auth.v1 import platform_service_pb2 as pb
from services.auth import convert
from services.auth.operations import readiness
from services.auth.operations.readiness import Probe
from services.kit.identity import Call


class PlatformHandlers:
    """The state of the whole. `probes` asks each part by its name."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes

    async def GetReadiness(self, request: pb.GetReadinessRequest, call: Call) -> pb.Readiness:
        return convert.readiness(await readiness.get_readiness(self._probes))
