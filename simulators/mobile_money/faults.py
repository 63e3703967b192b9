"""Faults: what goes wrong, for whom, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KINDS = (
    "late",
    "duplicate",
    "out_of_order",
    "wrong_amount",
    "silent",
    "failed",
    "failed_then_success",
    "accept_then_drop",
    "server_error",
    "slow",
)
ANYBODY = "*"
ENDLESS = -1


@dataclass
class Fault:
    """One fault that is switched on. `count` requests meet it; -1 means all of them."""

    kind: str
    phone: str = ANYBODY
    operation: str = ""  # "stk" or "b2c"; empty for both
    count: int = 1
    seconds: float = 3.0  # late, slow; failed_then_success: until the success
    copies: int = 2  # duplicate
    amount: int = 0  # wrong_amount: what is moved instead, in shillings
    code: int = 1  # failed, failed_then_success: the result code
    when: str = "before"  # server_error: before or after the request was taken

    def meets(self, operation: str, phone: str) -> bool:
        """Whether a request meets it."""
        return (
            self.count != 0 and self.phone in (ANYBODY, phone) and self.operation in ("", operation)
        )


class Faults:
    """Everything that is switched on."""

    def __init__(self) -> None:
        self._on: list[Fault] = []

    def switch_on(self, told: Mapping[str, Any]) -> Fault:
        """Add a fault. Raises ValueError for what is not one."""
        try:
            fault = Fault(**told)
        except TypeError as error:
            raise ValueError(str(error)) from None
        for name, default in asdict(Fault("late")).items():
            value = getattr(fault, name)
            if not isinstance(value, (int, float) if isinstance(default, float) else type(default)):
                raise ValueError(f"{name} must be {type(default).__name__}")
        if fault.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if fault.operation not in ("", "stk", "b2c") or fault.when not in ("before", "after"):
            raise ValueError("operation is stk or b2c, when is before or after")
        self._on.append(fault)
        return fault

    def switch_off(self) -> None:
        """End all faults."""
        self._on.clear()

    def take(self, operation: str, phone: str) -> dict[str, Fault]:
        """The faults that a request meets, by kind; each counts one down."""
        met: dict[str, Fault] = {}
        for fault in self._on:
            if fault.kind not in met and fault.meets(operation, phone):
                met[fault.kind] = fault
                if fault.count != ENDLESS:
                    fault.count -= 1
        return met

    def listed(self) -> list[dict[str, Any]]:
        """What is switched on now."""
        return [asdict(fault) for fault in self._on if fault.count != 0]
