"""What a mesh weighs, as `hazina status` prints it."""

from __future__ import annotations

from mesh.stack import state
from mesh.stack.memory import pss_bytes
from tests.e2e.mesh import SERVICES, Mesh

SERVICE_BYTES_MAX = 150_000_000
MESH_BYTES_MAX = 1_100_000_000


def test_each_service_is_under_150_mb_and_the_mesh_under_1100(mesh: Mesh) -> None:
    seen = state.read(mesh.home)
    assert seen is not None
    weights = {part.name: pss_bytes(part.pid) for part in seen.parts if part.pid}

    too_heavy = {name: weights[name] for name in SERVICES if weights[name] >= SERVICE_BYTES_MAX}
    total = sum(weights.values()) + pss_bytes(seen.pid, alone=True)

    assert not too_heavy
    assert total < MESH_BYTES_MAX, weights
