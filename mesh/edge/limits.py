"""Rate limits. One bucket per class and subject, over all RPCs of the class: the class stands on the route."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.contract.model import Rate
from mesh.edge.parts import JWT_FILTER, JWT_METADATA, Json, http_filter, seconds
from mesh.edge.settings import EdgeSettings

ROUTE_METADATA = "hazina"
SUBJECTS_MAX = 10_000
# Envoy refuses to fill more often.
FILL_SECONDS_MIN = 0.05

PER_PERSON = {Rate.MONEY: 60, Rate.READ: 600, Rate.BULK: 10}
PER_ADDRESS = {Rate.AUTH: 300}
ADDRESS_PER_SECOND = 50
ADDRESS_BURST = 100


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket."""

    tokens_max: int
    tokens_per_fill: int
    fill_seconds: float

    def json(self) -> Json:
        """As Envoy reads it."""
        return {
            "max_tokens": self.tokens_max,
            "tokens_per_fill": self.tokens_per_fill,
            "fill_interval": seconds(self.fill_seconds),
        }


def bucket(calls: float, period_seconds: float, burst: float) -> Bucket:
    """`calls` in each period, filled one by one where that is not too often, holding at most `burst`."""
    fill_seconds = max(FILL_SECONDS_MIN, period_seconds / calls)
    return Bucket(
        tokens_max=max(1, round(burst)),
        tokens_per_fill=max(1, round(calls * fill_seconds / period_seconds)),
        fill_seconds=fill_seconds,
    )


def by_address(settings: EdgeSettings) -> Json:
    """Every address, before anything else is looked at."""
    limit = bucket(ADDRESS_PER_SECOND * settings.rate_scale, 1, ADDRESS_BURST * settings.rate_scale)
    return _limit(
        "address",
        rate_limits=[{"actions": [{"remote_address": {}}]}],
        descriptors=[{"entries": [{"key": "remote_address"}], "token_bucket": limit.json()}],
    )


def by_class(settings: EdgeSettings) -> Json:
    """The class of the route together with the person, or with the address where nobody is signed in yet."""
    rate_class = {
        "metadata": {
            "descriptor_key": "class",
            "metadata_key": {"key": ROUTE_METADATA, "path": [{"key": "class"}]},
            "source": "ROUTE_ENTRY",
        }
    }
    subject = {
        "metadata": {
            "descriptor_key": "subject",
            "metadata_key": {
                "key": JWT_FILTER,
                "path": [{"key": JWT_METADATA}, {"key": "sub"}],
            },
            "source": "DYNAMIC",
        }
    }
    descriptors = []
    for rates, second in ((PER_PERSON, "subject"), (PER_ADDRESS, "remote_address")):
        for rate, per_minute in rates.items():
            calls = per_minute * settings.rate_scale
            descriptors.append(
                {
                    "entries": [{"key": "class", "value": rate.name}, {"key": second}],
                    "token_bucket": bucket(calls, 60, calls).json(),
                }
            )
    return _limit(
        "class",
        rate_limits=[
            {"actions": [rate_class, subject]},
            {"actions": [rate_class, {"remote_address": {}}]},
        ],
        descriptors=descriptors,
    )


def _limit(name: str, *, rate_limits: list[Json], descriptors: list[Json]) -> Json:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return http_filter(
        f"hazina.rate_limit.{name}",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix=f"rate_limit_{name}",
        # Both are 0 % when left out, which would mean no limit at all.
        filter_enabled=always,
        filter_enforced=always,
        # Without it only 20 subjects are remembered, and the 21st gives the first a full bucket.
        max_dynamic_descriptors=SUBJECTS_MAX,
        always_consume_default_token_bucket=False,
        # The numbers of a person's class are worth telling; those of the address would only stand beside them.
        enable_x_ratelimit_headers="DRAFT_VERSION_03" if name == "class" else "OFF",
        enable_retry_after_header=True,
        rate_limited_as_resource_exhausted=True,
        rate_limits=rate_limits,
        descriptors=descriptors,
    )
