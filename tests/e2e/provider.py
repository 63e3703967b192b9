"""The mobile money simulator's other side: faults for one phone, and an end to its silence."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.mesh import Mesh


class MobileMoney:
    """Tells the simulator what is to go wrong."""

    def __init__(self, mesh: Mesh) -> None:
        self._url = f"http://127.0.0.1:{mesh.ports.mobile_money}"

    def fault(self, kind: str, phone: str, **details: Any) -> None:
        """Switch a fault on for the next request of one phone."""
        told = {"kind": kind, "phone": phone.removeprefix("+"), **details}
        answer = httpx.post(f"{self._url}/_faults", json=told, timeout=10)
        assert answer.status_code == 200, answer.text

    def speak(self) -> None:
        """End the silence about everything that met `silent`."""
        httpx.post(f"{self._url}/_speak", timeout=30).raise_for_status()

    def payments(self, phone: str) -> list[dict[str, Any]]:
        """What the provider has in its books for one phone."""
        document = httpx.get(f"{self._url}/_state", timeout=10).json()
        return [one for one in document["payments"] if one["phone"] == phone.removeprefix("+")]
