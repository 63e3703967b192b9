"""What is rendered: the facts that a reviewer would look for, one by one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.contract.generate import load
from mesh.contract.model import Contract
from mesh.edge import limits
from mesh.edge.access import path_regex
from mesh.edge.guide import guide
from mesh.edge.render import render, render_tokens
from mesh.edge.replies import REFUSALS
from mesh.edge.settings import DEVELOPMENT, EdgeSettings, Endpoint, static_files
from tests.unit.mesh.shop import ROOT

SETTINGS = EdgeSettings(endpoints={"shop": (Endpoint("127.0.0.1", 9000),)})

Json = dict[str, Any]


def files(contract: Contract, settings: EdgeSettings = SETTINGS) -> dict[str, Json]:
    return {
        name: yaml.load(text, Loader=yaml.CSafeLoader)
        for name, text in render(contract, settings).items()
    }


def listener(rendered: dict[str, Json], name: str) -> Json:
    found: Json = next(r for r in rendered["listeners.yaml"]["resources"] if r["name"] == name)
    return found


def manager(rendered: dict[str, Json], name: str) -> Json:
    found: Json = listener(rendered, name)["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def routes(rendered: dict[str, Json], name: str) -> list[Json]:
    resource = rendered[f"routes_{name}.yaml"]["resources"][0]
    found: list[Json] = resource["virtual_hosts"][0]["routes"]
    return found


def route(rendered: dict[str, Json], path: str, name: str = "edge") -> Json:
    return next(r for r in routes(rendered, name) if r["match"].get("path") == path)


def rules(rendered: dict[str, Json], name: str) -> Json:
    filters = manager(rendered, name)["http_filters"]
    found: Json = next(f for f in filters if f["name"] == "envoy.filters.http.rbac")
    policies: Json = found["typed_config"]["rules"]["policies"]
    return policies


def paths(policy: Json) -> list[str]:
    return [
        p["url_path"]["path"].get("exact", "") for p in policy["permissions"] if "url_path" in p
    ]


SHOP = "/hazina.shop.v1.ShopService/"


def test_the_chain_of_the_edge_has_the_designed_order(shop: Contract) -> None:
    _, real = load(ROOT)
    filters = [f["name"] for f in manager(files(real), "edge")["http_filters"]]
    assert filters == [
        "envoy.filters.http.cors",
        "envoy.filters.http.compressor",
        "envoy.filters.http.grpc_web",
        "hazina.rate_limit.address",
        "envoy.filters.http.body_size_limit",
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.ext_authz",
        "envoy.filters.http.grpc_json_transcoder",
        "envoy.filters.http.jwt_authn",
        "hazina.rate_limit.class",
        "envoy.filters.http.rbac",
        "envoy.filters.http.router",
    ]
    assert [f["name"] for f in manager(files(shop), "mesh")["http_filters"]] == [
        "envoy.filters.http.rbac",
        "envoy.filters.http.router",
    ]


def test_each_service_has_a_cluster_for_each_identity_of_envoy(shop: Contract) -> None:
    clusters = {c["name"]: c for c in files(shop)["clusters.yaml"]["resources"]}
    for name, identity in (("shop_edge", "edge"), ("shop_mesh", "mesh")):
        tls = clusters[name]["transport_socket"]["typed_config"]["common_tls_context"]
        assert tls["tls_certificate_sds_secret_configs"][0]["name"] == identity
        names = tls["combined_validation_context"]["default_validation_context"]
        assert names["match_typed_subject_alt_names"] == [
            {"san_type": "URI", "matcher": {"exact": "spiffe://hazina/shop"}}
        ]
        assert tls["tls_params"] == {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        }


def test_several_endpoints_and_names_are_possible(shop: Contract) -> None:
    endpoints = {"shop": (Endpoint("shop-1", 9000), Endpoint("shop-2", 9000))}
    clusters = files(shop, replace(SETTINGS, endpoints=endpoints))["clusters.yaml"]["resources"]
    found = next(c for c in clusters if c["name"] == "shop_edge")
    assert found["type"] == "STRICT_DNS"
    assert len(found["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 2


def test_a_user_rpc_needs_a_token_and_a_public_one_does_not(shop: Contract) -> None:
    rendered = files(shop)
    name = "envoy.filters.http.jwt_authn"
    assert route(rendered, SHOP + "BuyThing")["typed_per_filter_config"][name][
        "requirement_name"
    ] == ("signed_in")
    assert name not in route(rendered, SHOP + "GetHours")["typed_per_filter_config"]
    policies = rules(rendered, "edge")
    assert SHOP + "GetHours" in paths(policies["public"])
    assert SHOP + "BuyThing" in paths(policies["signed_in"])
    assert SHOP + "BuyThing" not in paths(policies["public"])


def test_a_service_rpc_is_nowhere_at_the_edge_and_by_name_in_the_mesh(shop: Contract) -> None:
    rendered = files(shop)
    assert all(r["match"].get("path") != SHOP + "CountSales" for r in routes(rendered, "edge"))
    assert all(SHOP + "CountSales" not in paths(p) for p in rules(rendered, "edge").values())
    policy = rules(rendered, "mesh")["hazina.shop.v1.ShopService/CountSales"]
    assert policy["principals"] == [
        {"authenticated": {"principal_name": {"exact": "spiffe://hazina/ops"}}}
    ]
    assert route(rendered, SHOP + "CountSales", "mesh")["route"]["cluster"] == "shop_mesh"


def test_reflection_is_for_the_operator(shop: Contract) -> None:
    principals = rules(files(shop), "mesh")["reflection"]["principals"]
    assert principals == [{"authenticated": {"principal_name": {"exact": "spiffe://hazina/ops"}}}]


def test_an_rpc_for_development_is_routed_in_that_profile_only(shop: Contract) -> None:
    path = SHOP + "TryThings"
    assert all(r["match"].get("path") != path for r in routes(files(shop), "edge"))
    development = files(shop, replace(SETTINGS, profile=DEVELOPMENT))
    assert route(development, path)
    assert "edge_development.binpb" in str(development["listeners.yaml"])
    assert "edge_development.binpb" not in str(files(shop)["listeners.yaml"])


def test_only_what_is_safe_is_retried(shop: Contract) -> None:
    rendered = files(shop)
    assert route(rendered, SHOP + "GetHours")["route"]["retry_policy"]["num_retries"] == 2
    assert route(rendered, SHOP + "CountSales", "mesh")["route"]["retry_policy"]["num_retries"] == 1
    for name in ("BuyThing", "PutPicture"):
        assert "retry_policy" not in route(rendered, SHOP + name)["route"]


def test_deadlines_are_added_and_capped(shop: Contract) -> None:
    found = route(files(shop), SHOP + "GetHours")
    assert found["request_headers_to_add"][0]["header"] == {"key": "grpc-timeout", "value": "1500m"}
    assert found["request_headers_to_add"][0]["append_action"] == "ADD_IF_ABSENT"
    assert found["route"]["max_stream_duration"] == {
        "grpc_timeout_header_max": "1.5s",
        "max_stream_duration": "1.5s",
    }


def test_a_stream_is_events_by_its_path_and_has_no_deadline(shop: Contract) -> None:
    found = next(r for r in routes(files(shop), "edge") if "as events" in r["name"])
    transcoder = found["typed_per_filter_config"]["envoy.filters.http.grpc_json_transcoder"]
    assert transcoder["print_options"]["stream_sse_style_delimited"] is True
    assert transcoder["match_incoming_request_route"] is True
    assert found["typed_per_filter_config"]["envoy.filters.http.compressor"]["disabled"] is True
    assert found["route"]["timeout"] == "0s"
    assert "request_headers_to_add" not in found


def test_a_larger_body_is_allowed_by_path_and_by_name(shop: Contract) -> None:
    rendered = files(shop)
    name = "envoy.filters.http.body_size_limit"
    by_name = route(rendered, SHOP + "PutPicture")
    by_path = next(r for r in routes(rendered, "edge") if r["name"].startswith("body of PUT"))
    for found in (by_name, by_path):
        assert found["typed_per_filter_config"][name]["max_request_bytes"] == 1_000_000
    assert by_path["match"]["safe_regex"]["regex"] == "/pictures/[^/]+"


def test_the_class_of_a_call_stands_on_its_route(shop: Contract) -> None:
    rendered = files(shop)
    for name, rate in (("BuyThing", "MONEY"), ("ListThings", "READ"), ("PutPicture", "AUTH")):
        metadata = route(rendered, SHOP + name)["metadata"]["filter_metadata"]
        assert metadata == {"hazina": {"class": rate}}
    assert "metadata" not in route(rendered, SHOP + "GetHours")


@pytest.mark.parametrize(
    ("calls", "period", "burst", "expected"),
    [
        (60, 60, 60, (60, 1, 1.0)),
        (600, 60, 600, (600, 1, 0.1)),
        (60_000, 60, 60_000, (60_000, 50, 0.05)),
        (50, 1, 100, (100, 2, 0.05)),
        (3, 60, 3, (3, 1, 20.0)),
        (0.5, 60, 0.5, (1, 1, 120.0)),
    ],
)
def test_buckets_fill_no_faster_than_envoy_allows(
    calls: float, period: float, burst: float, expected: tuple[int, int, float]
) -> None:
    made = limits.bucket(calls, period, burst)
    assert (made.tokens_max, made.tokens_per_fill, made.fill_seconds) == expected
    rate = made.tokens_per_fill / made.fill_seconds
    assert rate == pytest.approx(calls / period, rel=0.25)


def test_limits_count_everyone_and_remember_many(shop: Contract) -> None:
    filters = manager(files(shop), "edge")["http_filters"]
    for found in (f["typed_config"] for f in filters if f["name"].startswith("hazina.rate_limit")):
        assert found["filter_enabled"]["default_value"]["numerator"] == 100
        assert found["filter_enforced"]["default_value"]["numerator"] == 100
        assert found["max_dynamic_descriptors"] >= 10_000


def test_the_scale_widens_every_limit(shop: Contract) -> None:
    def tokens(scale: float) -> list[int]:
        filters = manager(files(shop, replace(SETTINGS, rate_scale=scale)), "edge")["http_filters"]
        return [
            descriptor["token_bucket"]["max_tokens"]
            for f in filters
            if f["name"].startswith("hazina.rate_limit")
            for descriptor in f["typed_config"]["descriptors"]
        ]

    assert tokens(1) == [100, 60, 600, 10, 300]
    assert tokens(100) == [10_000, 6_000, 60_000, 1_000, 30_000]


def test_the_mesh_shows_and_asks_for_certificates(shop: Contract) -> None:
    found = listener(files(shop), "mesh")["filter_chains"][0]["transport_socket"]["typed_config"]
    assert found["require_client_certificate"] is True
    assert found["common_tls_context"]["validation_context_sds_secret_config"]["name"] == (
        "authorities"
    )


def test_a_client_cannot_bring_a_forwarded_certificate(shop: Contract) -> None:
    rendered = files(shop)
    assert manager(rendered, "edge")["forward_client_cert_details"] == "SANITIZE"
    assert manager(rendered, "mesh")["forward_client_cert_details"] == "SANITIZE_SET"


def test_only_the_edge_faces_outwards(shop: Contract) -> None:
    rendered = files(shop, replace(SETTINGS, edge_address="0.0.0.0"))
    addresses = {
        found["name"]: found["address"]["socket_address"]["address"]
        for found in rendered["listeners.yaml"]["resources"]
    }
    assert addresses == {
        "edge": "0.0.0.0",
        "edge_tls": "0.0.0.0",
        "mesh": "127.0.0.1",
        "metrics": "127.0.0.1",
    }
    assert "pipe" in rendered["envoy.yaml"]["admin"]["address"]


def test_browsers_are_told_to_stay_with_tls_in_production_only(shop: Contract) -> None:
    assert "strict-transport-security" in str(manager(files(shop), "edge_tls"))
    assert "strict-transport-security" not in str(manager(files(shop), "edge"))
    development = files(shop, replace(SETTINGS, profile=DEVELOPMENT))
    assert "strict-transport-security" not in str(development["listeners.yaml"])


def test_keys_are_inside_the_tokens_file(shop: Contract) -> None:
    text = render_tokens(replace(SETTINGS, jwks='{"keys":[]}'))
    resource = yaml.load(text, Loader=yaml.CSafeLoader)["resources"][0]["typed_config"]
    provider = resource["providers"]["hazina"]
    assert provider["local_jwks"] == {"inline_string": '{"keys":[]}'}
    assert provider["from_headers"] == [{"name": "authorization", "value_prefix": "Bearer "}]
    assert provider["require_expiration"] is True
    assert render(shop, SETTINGS)["tokens.yaml"] == render_tokens(SETTINGS)


def test_every_refusal_is_a_shared_reason(shop: Contract) -> None:
    for refusal in REFUSALS:
        assert ("hazina.type.v1", refusal.reason) in shop.reasons


def test_traces_go_to_the_collector_when_there_is_one(shop: Contract) -> None:
    settings = replace(SETTINGS, otlp=Endpoint("127.0.0.1", 4317), trace_ratio=0.25)
    rendered = files(shop, settings)
    assert manager(rendered, "edge")["tracing"]["random_sampling"] == {"value": 25.0}
    assert any(c["name"] == "traces" for c in rendered["clusters.yaml"]["resources"])
    assert "tracing" not in manager(files(shop), "edge")


def test_pages_are_found_and_served_by_path(tmp_path: Path) -> None:
    found = {file.path: file for file in static_files(ROOT, "..")}
    assert {"/", "/docs", "/docs/docs.js", "/docs/docs.css", "/openapi.json"} <= set(found)
    assert found["/docs/docs.js"].content_type.startswith("text/javascript")
    assert "unsafe-inline" not in found["/docs"].content_security_policy
    for file in static_files(ROOT):
        assert Path(file.file).is_file()


def test_a_path_becomes_an_expression_over_the_whole_path(shop: Contract) -> None:
    from mesh.contract.model import Binding

    def regex(path: str) -> str:
        return path_regex(Binding(method="GET", path=path))

    assert regex("/a/{b}:watch") == "/a/[^/]+:watch"
    assert regex("/a.b/{c=d/*}/{e=**}") == r"/a\.b/d/[^/]+/.+"


def test_rendering_is_the_same_each_time(shop: Contract) -> None:
    assert render(shop, SETTINGS) == render(shop, SETTINGS)


def test_what_both_edge_listeners_share_is_written_once_and_named(shop: Contract) -> None:
    text = render(shop, SETTINGS)["listeners.yaml"]
    anchors = re.findall(r"[ ]&(\w+)$", text, flags=re.MULTILINE)
    assert "rbac" in anchors and "local_reply_config" in anchors
    assert re.findall(r"[ ]\*(\w+)$", text, flags=re.MULTILINE) == anchors
    assert not re.search(r"[&*]id\d", text)
    rendered = files(shop)
    assert rules(rendered, "edge") == rules(rendered, "edge_tls")


def test_the_guide_explains_every_link_of_the_chain() -> None:
    _, real = load(ROOT)
    text = guide(real, SETTINGS)
    for found in manager(files(real), "edge")["http_filters"]:
        name = found["name"].removeprefix("envoy.filters.http.").replace(".", "_")
        assert f"`{name}`" in text
