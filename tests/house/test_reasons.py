"""Every refusal is in the contract, once, with the same code; and what the contract promises can happen."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from services.kit.errors import ServiceError
from tests.house.tree import ROOT, SERVICES, implemented
from tests.matrix.contracts import SHARED_DOMAIN, reasons, rpcs

_WITH_ERRORS = [
    service for service in SERVICES if (ROOT / "services" / service / "errors.py").exists()
]


@pytest.mark.parametrize("service", _WITH_ERRORS)
def test_each_refusal_of_a_service_is_in_its_contract_with_the_same_code(service: str) -> None:
    wrong = [
        f"{error.__name__}: {_domain(error)}/{error.reason} {error.code}, the contract says {_contract_code(error)}"
        for error in _errors(f"services.{service}.errors")
        if _contract_code(error) != error.code
    ]

    assert not wrong, (
        f"Give the class in services/{service}/errors.py the domain, reason and code of "
        f"proto/hazina/{service}/v1/{service}_errors.proto, or add the reason there:\n  "
        + "\n  ".join(wrong)
    )


@pytest.mark.parametrize(
    "module", ["services.kit.errors", *(f"services.{s}.errors" for s in _WITH_ERRORS)]
)
def test_each_reason_has_one_class(module: str) -> None:
    counts = Counter((_domain(error), error.reason) for error in _errors(module))
    twice = [f"{domain}/{reason}" for (domain, reason), count in counts.items() if count > 1]

    assert not twice, f"Two classes of {module} say the same; keep one: {', '.join(twice)}"


def test_each_refusal_of_the_kit_is_in_the_shared_contract_with_the_same_code() -> None:
    wrong = [
        f"{error.__name__}: {error.reason} {error.code}, the contract says {_contract_code(error)}"
        for error in _errors("services.kit.errors")
        if error.reason and _contract_code(error) != error.code
    ]

    assert not wrong, (
        "Give the class in services/kit/errors.py the reason and code of "
        "proto/hazina/type/v1/error_reason.proto:\n  " + "\n  ".join(wrong)
    )


@pytest.mark.parametrize("service", _WITH_ERRORS)
def test_each_reason_that_an_rpc_promises_can_happen(service: str) -> None:
    domain = f"{service}.{SHARED_DOMAIN}"
    promised = {
        reason
        for rpc in rpcs()
        if rpc.service == service and implemented(rpc)
        for reason in rpc.policy.reasons
        if (domain, reason) in reasons()
    }
    known = {error.reason for error in _errors(f"services.{service}.errors")}
    missing = sorted(reason for reason in promised - known if not _is_written(service, reason))

    assert not missing, (
        f"The policies of {service} promise reasons that no class of services/{service}/errors.py and no line of "
        f"the service says: {', '.join(missing)}. Write the class, or take the reason off the policy."
    )


def test_each_reason_that_a_policy_names_is_in_a_contract() -> None:
    unknown = [
        f"{rpc.label}: {reason}"
        for rpc in rpcs()
        for reason in rpc.policy.reasons
        if (SHARED_DOMAIN, reason) not in reasons()
        and (f"{rpc.service}.{SHARED_DOMAIN}", reason) not in reasons()
    ]

    assert not unknown, "Add the reason to the service's ErrorReason:\n  " + "\n  ".join(unknown)


def _errors(module_name: str) -> Sequence[type[ServiceError]]:
    """Classes with a reason that are written in the module itself."""
    module: Any = importlib.import_module(module_name)
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, ServiceError)
        and value.__module__ == module_name
        and vars(value).get("reason")
    ]


def _domain(error: type[ServiceError]) -> str:
    return error.domain


def _contract_code(error: type[ServiceError]) -> str | None:
    reason = reasons().get((error.domain, error.reason))
    return reason.code if reason else None


def _is_written(service: str, reason: str) -> bool:
    """Verdicts of the ledger and failures of transactions are words, not exceptions."""
    return any(
        f'"{reason}"' in path.read_text()
        for path in (ROOT / "services" / service).rglob("*.py")
        if path.name != "errors.py"
    )
