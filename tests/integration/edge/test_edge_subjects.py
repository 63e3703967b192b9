"""The memory of the limits is larger than Envoy's default of 20 subjects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh.edge import limits
from tests.integration.edge.harness import Edge, running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The bucket of the address is not what is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "ADDRESS_BURST", 1e6)
        patch.setattr(limits, "ADDRESS_PER_SECOND", 1e6)
        # MONEY: 60 times 0.05 is 3 calls a minute.
        yield from running(tmp_path_factory.mktemp("edge"), rate_scale=0.05)


def person(number: int) -> str:
    return f"0191b0a5-0000-7000-8000-{number:012d}"


def test_the_first_of_forty_people_is_still_known(edge: Edge) -> None:
    def pays(number: int) -> int:
        answer = edge.http.post(
            "/api/v1/transfers", json={}, headers=edge.headers(subject=person(number))
        )
        return answer.status_code

    assert [pays(0) for _ in range(4)] == [200, 200, 200, 429]
    for number in range(1, 41):
        assert pays(number) == 200
    assert pays(0) == 429
