"""A service of two processes: the sick one is put aside, the healthy one goes on. And a traced Envoy starts clean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mesh.contract.generate import load
from mesh.edge.render import render
from mesh.edge.settings import Endpoint
from tests.integration.edge.harness import (
    ROOT,
    WAIT_SECONDS,
    Edge,
    complaints,
    eventually,
    free_base,
    running,
    start_envoy,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge whose wallet has a second endpoint, where nobody listens yet."""
    yield from running(tmp_path_factory.mktemp("edge"), second_endpoint="wallet")


def test_one_dead_endpoint_of_two_is_not_noticed_by_callers(edge: Edge) -> None:
    assert len(edge.settings.endpoints["wallet"]) == 2

    def ten() -> set[int]:
        return {
            edge.http.get("/api/v1/wallets", headers=edge.headers()).status_code for _ in range(10)
        }

    # Safe calls are tried on the other one, and health checks put the dead one aside for all others.
    assert ten() == {200}

    def healthy() -> bool:
        text = edge.http.get(f"http://127.0.0.1:{edge.settings.metrics_port}/stats/prometheus").text
        name = 'envoy_cluster_membership_healthy{envoy_cluster_name="wallet_edge"} 1'
        return name in text

    assert eventually(healthy)
    assert ten() == {200}


def test_names_as_endpoints_and_a_collector_start_without_a_warning(
    edge: Edge, tmp_path: Any
) -> None:
    _, contract = load(ROOT)
    settings = replace(
        edge.settings,
        port_base=free_base(),
        endpoints={name: [Endpoint("localhost", 9)] for name in contract.owners},
        configuration_directory=str(tmp_path),
        admin_socket=str(tmp_path / "admin.sock"),
        otlp=Endpoint("127.0.0.1", 9),
    )
    for name, text in render(contract, settings).items():
        (tmp_path / name).write_text(text)
    process = start_envoy(tmp_path, tmp_path / "log")
    try:
        wait_until_ready(process, settings.metrics_port, tmp_path / "log")
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
    assert [line for line in complaints(tmp_path / "log") if "SIGTERM" not in line] == []
