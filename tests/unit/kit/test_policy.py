"""Policies as the wrapper reads them, for every RPC that we have."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from services.kit import policy

ROOT = Path(__file__).resolve().parents[3] / "gen" / "python"


def methods() -> Iterator[MethodDescriptor]:
    for path in sorted(ROOT.glob("hazina/*/v1/*_pb2.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            yield from service.methods


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: str(method.full_name))
def test_every_rpc_has_a_complete_policy(method: MethodDescriptor) -> None:
    found = policy.read(method)
    assert found.path == f"/{method.containing_service.full_name}/{method.name}"
    assert found.access in {"PUBLIC", "USER", "SERVICE"}
    if found.access == "SERVICE":
        assert found.callers, "nobody could call it"
    assert found.is_stream or found.timeout_seconds


def test_envoys_own_contract_is_open_to_the_edge_alone() -> None:
    from envoyproxy.service.auth.v3 import external_auth_pb2

    [method] = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"].methods
    found = policy.read(method)
    assert (found.access, found.callers, found.timeout_seconds) == ("PUBLIC", frozenset(), 1.0)
