"""The rules of an RPC, read from its contract."""

from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor

from hazina.policy.v1 import policy_pb2

__all__ = ["PolicyMissing", "RpcPolicy", "read"]


class PolicyMissing(Exception):
    """An RPC has no policy, or an incomplete one; the message names the RPC. The service does not start."""


@dataclass(frozen=True, slots=True)
class RpcPolicy:
    """What `hazina.policy.v1.Policy` says, in the form that the wrapper works with."""

    path: str
    access: str
    permissions: frozenset[str]
    callers: frozenset[str]
    rate: str
    timeout_seconds: float | None
    is_keyed: bool
    needs_step_up: bool
    kyc_tier_min: int
    is_audited: bool
    is_development_only: bool
    is_stream: bool


_FOREIGN = {
    # Envoy asks auth about API keys. The contract is Envoy's, so it cannot carry our option; only the edge may ask.
    "/envoy.service.auth.v3.Authorization/Check": 1.0,
}
"""Paths of RPCs whose contract is not ours, with their timeout. They are PUBLIC with no callers: peer `edge` only."""


def read(method: MethodDescriptor) -> RpcPolicy:
    """The policy of an RPC. Raises PolicyMissing."""
    service = method.containing_service.full_name
    path = f"/{service}/{method.name}"
    if path in _FOREIGN:
        return RpcPolicy(
            path=path,
            access="PUBLIC",
            permissions=frozenset(),
            callers=frozenset(),
            rate="RATE_UNSPECIFIED",
            timeout_seconds=_FOREIGN[path],
            is_keyed=False,
            needs_step_up=False,
            kyc_tier_min=0,
            is_audited=False,
            is_development_only=False,
            is_stream=False,
        )
    options = method.GetOptions()
    if not options.HasExtension(policy_pb2.policy):
        raise PolicyMissing(
            f"{service}.{method.name} declares no policy (option hazina.policy.v1.policy)"
        )
    policy = options.Extensions[policy_pb2.policy]
    if method.client_streaming:
        raise PolicyMissing(
            f"{service}.{method.name} streams requests, which the wrapper does not serve"
        )
    if policy.access == policy_pb2.Policy.ACCESS_UNSPECIFIED:
        raise PolicyMissing(f"{service}.{method.name} declares no access")
    if policy.idempotency == policy_pb2.Policy.IDEMPOTENCY_UNSPECIFIED:
        raise PolicyMissing(f"{service}.{method.name} declares no idempotency")
    timeout = policy.timeout.ToMilliseconds() / 1000
    if timeout <= 0 and not method.server_streaming:
        raise PolicyMissing(f"{service}.{method.name} declares no timeout")
    return RpcPolicy(
        path=path,
        access=policy_pb2.Policy.Access.Name(policy.access),
        permissions=frozenset(policy.permissions),
        callers=frozenset(policy.callers),
        rate=policy_pb2.Policy.Rate.Name(policy.rate),
        timeout_seconds=timeout if timeout > 0 and not method.server_streaming else None,
        is_keyed=policy.idempotency == policy_pb2.Policy.KEYED,
        needs_step_up=policy.step_up,
        kyc_tier_min=policy.min_kyc_tier,
        is_audited=policy.audited,
        is_development_only=policy.development_only,
        is_stream=method.server_streaming,
    )
