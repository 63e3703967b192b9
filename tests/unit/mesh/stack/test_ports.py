"""Every port is an offset from one number, and no two parts share one."""

from __future__ import annotations

import pytest

from mesh.stack.ports import SERVICES, Ports


def test_no_two_parts_share_a_port() -> None:
    ports = Ports(8080)
    fixed = [
        getattr(ports, name) for name, kind in vars(Ports).items() if isinstance(kind, property)
    ]
    every = (
        fixed
        + [ports.service(name) for name in SERVICES]
        + [ports.metrics(name) for name in SERVICES]
    )
    assert len(every) == len(set(every))
    assert all(8080 <= port < 8110 for port in every)


def test_the_default_is_8080() -> None:
    assert Ports.from_environment({}).edge == 8080


@pytest.mark.parametrize("text", ["80", "65530", "x", "-1"])
def test_an_impossible_base_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="HAZINA_PORT_BASE"):
        Ports.from_environment({"HAZINA_PORT_BASE": text})
