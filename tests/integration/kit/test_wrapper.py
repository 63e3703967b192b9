"""One wrapper per RPC, over real mTLS: who gets in, what is refused and how."""

import asyncio
import io
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc import status_pb2 as google_status_pb2
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from hazina.type.v1 import status_pb2
from services.kit import refusals, telemetry, tracing
from services.kit.config import ServiceConfig
from services.kit.errors import NotFound
from services.kit.identity import Call
from services.kit.policy import PolicyMissing
from services.kit.server import Service
from tests.harness import Harness, Person, Running, assert_refused, probe
from tests.integration.kit.conftest import MIGRATIONS


class Probe:
    """Handlers that do what the note says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def Ask(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "crash":
            raise RuntimeError("secret db password")
        if request.note == "not found":
            raise NotFound(thing="x")
        if request.note == "wrong type":
            return request
        return probe.ProbeResponse(note=call.tenant_id)

    async def Read(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "slow":
            await asyncio.sleep(5)
        return probe.ProbeResponse(note=call.actor)

    async def Pay(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        if request.note == "again":
            call.mark_replayed()
        return probe.ProbeResponse(note=call.idempotency_key)

    async def Guard(self, request: Any, call: Call) -> Any:
        return probe.ProbeResponse(note="in")

    async def Serve(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        return probe.ProbeResponse(note=call.caller)

    async def Watch(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield probe.ProbeResponse(note="1")
        if request.note == "break":
            raise NotFound
        if request.note == "stay":
            await asyncio.sleep(60)
        yield probe.ProbeResponse(note="2")

    async def Play(self, request: Any, call: Call) -> Any:
        return probe.ProbeResponse(note="played")


@pytest.fixture
def handlers() -> Probe:
    return Probe()


@pytest.fixture
async def service(harness: Harness, handlers: Probe) -> AsyncIterator[Running]:
    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: handlers})

    async with (
        harness.peers({}),
        harness.service("probe", build, migrations_folder=MIGRATIONS) as running,
    ):
        yield running


@pytest.fixture
def amina(harness: Harness) -> Person:
    return harness.person()


def ask(service: Running, **how: Any) -> Any:
    return service.stub(probe.ProbeServiceStub, **how)


# Who is calling: the peer


async def test_anyone_may_call_a_public_rpc_through_the_edge(service: Running) -> None:
    answer = await ask(service).Ask(probe.ProbeRequest())
    assert answer.note == "default"


async def test_a_public_call_may_name_its_tenant(service: Running) -> None:
    answer = await ask(service, tenant="kisumu").Ask(probe.ProbeRequest())
    assert answer.note == "kisumu"


async def test_a_tenant_that_cannot_exist_is_not_found(service: Running) -> None:
    for tenant in ("Kisumu", "*", "a" * 32, "-x", "a b"):
        with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
            await ask(service, tenant=tenant).Ask(probe.ProbeRequest())


async def test_the_edge_brings_nobody_to_a_service_rpc(service: Running) -> None:
    with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
        await ask(service).Serve(probe.ServeRequest())


async def test_a_forged_caller_header_from_the_edge_is_ignored(service: Running) -> None:
    headers = [("x-hazina-caller", "spiffe://hazina/payments")]
    with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
        await ask(service, headers=headers).Serve(probe.ServeRequest())


@pytest.mark.parametrize("identity", ["payments", "ops"])
async def test_an_allowed_service_calls_with_its_own_certificate(
    service: Running, identity: str
) -> None:
    answer = await ask(service, identity=identity).Serve(probe.ServeRequest())
    assert answer.note == identity


async def test_an_allowed_service_calls_through_the_mesh(service: Running) -> None:
    answer = await ask(service, through_mesh_as="payments").Serve(probe.ServeRequest())
    assert answer.note == "payments"


async def test_a_service_that_is_not_named_is_refused(service: Running) -> None:
    for how in ({"identity": "comms"}, {"through_mesh_as": "comms"}):
        with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await ask(service, **how).Serve(probe.ServeRequest())


async def test_a_service_cannot_pose_as_another_by_header(service: Running) -> None:
    headers = [("x-hazina-caller", "spiffe://hazina/payments")]
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await ask(service, identity="comms", headers=headers).Serve(probe.ServeRequest())


@pytest.mark.parametrize(
    "caller",
    [
        "",
        "spiffe://hazina/comms,spiffe://hazina/payments",
        "spiffe://evil/payments",
        "spiffe://hazina/payments ",
        "PAYMENTS",
    ],
)
async def test_a_caller_that_the_mesh_does_not_name_plainly_is_refused(
    service: Running, caller: str
) -> None:
    headers = [("x-hazina-caller", caller)] if caller else []
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await ask(service, identity="mesh", headers=headers).Serve(probe.ServeRequest())


async def test_two_caller_headers_are_none(service: Running) -> None:
    headers = [
        ("x-hazina-caller", "spiffe://hazina/comms"),
        ("x-hazina-caller", "spiffe://hazina/payments"),
    ]
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await ask(service, identity="mesh", headers=headers).Serve(probe.ServeRequest())


async def test_the_message_of_a_service_call_names_the_tenant(
    service: Running, handlers: Probe
) -> None:
    await ask(service, identity="payments").Serve(probe.ServeRequest(tenant_id="kisumu"))
    assert handlers.calls[-1].tenant_id == "kisumu"
    assert handlers.calls[-1].actor == "service:payments"


# Who is calling: the user


async def test_a_member_with_the_permission_is_let_in(
    service: Running, amina: Person, handlers: Probe
) -> None:
    answer = await ask(service, user=amina).Read(probe.ProbeRequest())
    assert answer.note == f"user:{amina.id}"
    [call] = handlers.calls
    assert (call.signed_in.session_id, call.tenant_id, call.caller) == (
        amina.session_id,
        "default",
        "edge",
    )


async def test_a_service_may_call_for_a_user_if_it_is_named(
    service: Running, amina: Person
) -> None:
    answer = await ask(service, user=amina, through_mesh_as="groups").Read(probe.ProbeRequest())
    assert answer.note == f"user:{amina.id}"
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await ask(service, user=amina, through_mesh_as="comms").Read(probe.ProbeRequest())
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await ask(service, through_mesh_as="groups").Read(probe.ProbeRequest())


async def test_a_call_without_a_token_is_told_to_sign_in(service: Running) -> None:
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await ask(service).Read(probe.ProbeRequest())


async def test_a_token_that_is_over_is_called_expired(service: Running, harness: Harness) -> None:
    late = harness.person(expires_in_seconds=-1)
    with assert_refused("UNAUTHENTICATED", "TOKEN_EXPIRED"):
        await ask(service, user=late).Read(probe.ProbeRequest())


async def test_a_token_for_another_audience_is_denied(service: Running, harness: Harness) -> None:
    other = harness.person(aud="elsewhere")
    with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
        await ask(service, user=other).Read(probe.ProbeRequest())


async def test_a_missing_permission_is_named(service: Running, harness: Harness) -> None:
    guest = harness.person(permissions=["comms.read"])
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING") as refusal:
        await ask(service, user=guest).Read(probe.ProbeRequest())
    assert refusal.metadata == {"permission": "wallet.read"}


async def test_permissions_count_in_the_tenant_of_the_call_only(
    service: Running, harness: Harness
) -> None:
    person = harness.person(
        tenants={"default": {"permissions": ["wallet.read"]}, "kisumu": {"permissions": []}}
    )
    await ask(service, user=person).Read(probe.ProbeRequest())
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        await ask(service, user=person, tenant="kisumu").Read(probe.ProbeRequest())


async def test_a_tenant_that_one_is_no_member_of_is_not_found(
    service: Running, amina: Person
) -> None:
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await ask(service, user=amina, tenant="kisumu").Read(probe.ProbeRequest())


async def test_a_fresh_second_factor_and_a_high_tier_open_the_guarded_rpc(
    service: Running, harness: Harness
) -> None:
    good = harness.person(kyc_tier=2, second_factor_age_seconds=599)
    assert (await ask(service, user=good).Guard(probe.ProbeRequest())).note == "in"
    with assert_refused("PERMISSION_DENIED", "KYC_TIER_TOO_LOW") as refusal:
        await ask(service, user=harness.person(kyc_tier=1)).Guard(probe.ProbeRequest())
    assert refusal.metadata == {"tier": "2"}
    for age in (601, None):
        stale = harness.person(kyc_tier=2, second_factor_age_seconds=age)
        with assert_refused("PERMISSION_DENIED", "STEP_UP_REQUIRED"):
            await ask(service, user=stale).Guard(probe.ProbeRequest())


async def test_an_ended_session_moves_no_money(
    service: Running, amina: Person, harness: Harness
) -> None:
    harness.sessions.ended.add(amina.session_id)
    with assert_refused("UNAUTHENTICATED", "SESSION_ENDED"):
        await ask(service, user=amina).Pay(probe.ProbeRequest(), key="k")
    await ask(service, user=amina).Read(probe.ProbeRequest())  # reading is not asked for


async def test_sessions_are_asked_once_a_second(
    service: Running, amina: Person, harness: Harness
) -> None:
    for number in range(10):
        await ask(service, user=amina).Pay(probe.ProbeRequest(), key=f"k-{number}")
    assert harness.sessions.asked == 1
    harness.sessions.ended.add(amina.session_id)
    await asyncio.sleep(1.1)
    with assert_refused("UNAUTHENTICATED", "SESSION_ENDED"):
        await ask(service, user=amina).Pay(probe.ProbeRequest(), key="k")


# What is asked


async def test_a_broken_rule_names_its_field_as_json_writes_it(service: Running) -> None:
    request = probe.ProbeRequest(
        line_items=[{"item_name": "ok"}, {"item_name": "too long"}], note="x" * 21
    )
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED") as refusal:
        await ask(service).Ask(request)
    assert refusal.fields == {"lineItems[1].itemName": "string.max_len", "note": "string.max_len"}


async def test_a_rule_of_a_shared_message_counts_too(service: Running) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "amount.currency"):
        await ask(service).Ask(probe.ProbeRequest(amount={"currency": "XXX"}))


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"note": "a\0b"}, "note"),
        ({"line_items": [{"item_name": "a"}, {"item_name": "\0"}]}, "lineItems[1].itemName"),
        ({"labels": {"a": "\0"}}, "labels"),
        ({"labels": {"\0": "a"}}, "labels"),
    ],
)
async def test_a_nul_character_is_refused_wherever_it_hides(
    service: Running, request_fields: Any, field: str
) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
        await ask(service).Ask(probe.ProbeRequest(**request_fields))


async def test_raw_bytes_may_hold_zeros(service: Running) -> None:
    await ask(service).Ask(probe.ProbeRequest(raw=b"\0\0"))


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\x08", b"\x12\x05abc"]
)
async def test_bytes_that_are_no_message_are_malformed(service: Running, data: bytes) -> None:
    raw: Any = service.channel("edge").unary_unary(f"/{probe.SERVICE}/Ask")
    with assert_refused("INVALID_ARGUMENT", "MALFORMED_REQUEST"):
        await raw(data, timeout=5)


async def test_no_bytes_whatever_make_the_wrapper_fail(
    service: Running, harness: Harness, amina: Person
) -> None:
    """Random bytes, and good messages with bytes changed: an answer or a refusal of the request, nothing else."""
    chance = random.Random(20261120)
    good = probe.ProbeRequest(
        note="hello",
        amount={"currency": "KES", "minor_units": 5},
        line_items=[{"item_name": "a"}],
        labels={"a": "b"},
    ).SerializeToString()
    metadata = (("authorization", f"Bearer {amina.token}"), ("idempotency-key", "k"))
    calls: list[Any] = [
        service.channel("edge").unary_unary(f"/{probe.SERVICE}/{name}") for name in ("Ask", "Pay")
    ]
    outcomes: Counter[str] = Counter()

    async def one() -> None:
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.5:
            data = bytearray(chance.randbytes(chance.randrange(40)))
        try:
            await chance.choice(calls)(bytes(data), timeout=10, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            outcomes[refusals.from_call_error(error).reason] += 1
        else:
            outcomes["OK"] += 1

    for _ in range(40):
        await asyncio.gather(*(one() for _ in range(25)))
    assert set(outcomes) == {"OK", "MALFORMED_REQUEST", "VALIDATION_FAILED"}


async def test_who_may_not_call_learns_nothing_of_the_rules(service: Running) -> None:
    raw: Any = service.channel("edge").unary_unary(f"/{probe.SERVICE}/Read")
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await raw(b"\xff", timeout=5)


@pytest.mark.parametrize(
    "path",
    ["/hazina.probe.v1.ProbeService/ask", "/hazina.probe.v1.ProbeService/Ask/", "//hazina.probe.v1.ProbeService/Ask",
     "hazina.probe.v1.ProbeService/Ask", "/hazina.probe.v1.ProbeService/%41sk", "/hazina.probe.v1.ProbeService/Ask?x=1"],
)  # fmt: skip
async def test_no_trick_with_paths_reaches_a_handler(
    service: Running, handlers: Probe, path: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        raw: Any = service.channel("edge").unary_unary(path)
        await raw(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert handlers.calls == []


# Idempotency keys


async def test_a_keyed_rpc_hands_the_key_and_the_fingerprint_on(
    service: Running, amina: Person, handlers: Probe
) -> None:
    for note in ("a", "a", "b"):
        await ask(service, user=amina).Pay(probe.ProbeRequest(note=note), key="k-1")
    first, same, other = handlers.calls
    assert first.idempotency_key == "k-1"
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert len(first.fingerprint) == 32


async def test_a_missing_key_is_asked_for(service: Running, amina: Person) -> None:
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"):
        await ask(service, user=amina).Pay(probe.ProbeRequest())


@pytest.mark.parametrize("key", ["x" * 256, " "])
async def test_a_key_that_is_none_is_refused(service: Running, amina: Person, key: str) -> None:
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_INVALID"):
        await ask(service, user=amina).Pay(probe.ProbeRequest(), key=key)


async def test_a_replay_says_so_in_the_initial_metadata(service: Running, amina: Person) -> None:
    for note, marked in (("first", False), ("again", True)):
        call = ask(service, user=amina).Pay(probe.ProbeRequest(note=note), key="k-1")
        await call
        assert (("idempotent-replayed", "true") in tuple(await call.initial_metadata())) is marked


# What comes back


async def test_an_exception_tells_nothing(service: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(service).Ask(probe.ProbeRequest(note="crash"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    everything = f"{caught.value} {caught.value.trailing_metadata()}"
    assert "secret" not in everything and "RuntimeError" not in everything


async def test_an_answer_of_the_wrong_type_is_our_fault(service: Running) -> None:
    with assert_refused("INTERNAL", "INTERNAL"):
        await ask(service).Ask(probe.ProbeRequest(note="wrong type"))


async def test_a_refusal_reads_as_google_rpc_status_and_flat(service: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(service, headers=[("x-request-id", "req-7")]).Ask(
            probe.ProbeRequest(note="not found")
        )
    [raw] = [
        value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"
    ]
    assert isinstance(raw, bytes)
    standard = google_status_pb2.Status.FromString(raw)
    info = error_details_pb2.ErrorInfo()
    assert standard.details[0].Unpack(info)
    assert (standard.code, standard.message) == (5, "There is no such thing.")
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "NOT_FOUND",
        "hazina",
        {"thing": "x"},
    )
    flat = status_pb2.Status.FromString(raw)
    assert (flat.status, flat.reason, flat.domain, dict(flat.metadata)) == (
        "NOT_FOUND", "NOT_FOUND", "hazina", {"thing": "x"},
    )  # fmt: skip
    assert (flat.request_id, flat.path) == ("req-7", "/hazina.probe.v1.ProbeService/Ask")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", flat.timestamp)


async def test_a_refusal_names_the_path_that_a_json_caller_asked_for(service: Running) -> None:
    headers = [("x-envoy-original-path", "/api/v1/probes?note=private")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(service, headers=headers).Ask(probe.ProbeRequest(note="not found"))
    [raw] = [
        value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"
    ]
    assert isinstance(raw, bytes)
    assert status_pb2.Status.FromString(raw).path == "/api/v1/probes"


async def test_a_request_id_that_could_harm_a_log_is_replaced(
    service: Running, handlers: Probe
) -> None:
    for bad in ('"x"', "a b", "x" * 200):
        await ask(service, headers=[("x-request-id", bad)]).Ask(probe.ProbeRequest())
        assert re.fullmatch(r"[0-9a-f]{32}", handlers.calls[-1].request_id)


async def test_an_rpc_without_behaviour_says_so_to_those_who_may_call_it(
    service: Running, amina: Person
) -> None:
    with assert_refused("UNIMPLEMENTED", "NOT_YET_AVAILABLE"):
        await ask(service, user=amina).Later(probe.ProbeRequest())
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await ask(service).Later(probe.ProbeRequest())


async def test_development_rpcs_exist_in_development(service: Running) -> None:
    assert (await ask(service).Play(probe.ProbeRequest())).note == "played"


async def test_development_rpcs_do_not_exist_in_production(
    harness: Harness, handlers: Probe
) -> None:
    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: handlers})

    production = {"HAZINA_PROFILE": "production"}
    async with harness.service(
        "probe", build, variables=production, migrations_folder=MIGRATIONS
    ) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(service).Play(probe.ProbeRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# Time


async def test_the_policy_caps_the_deadline(
    service: Running, amina: Person, handlers: Probe
) -> None:
    with assert_refused("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"):
        await ask(service, user=amina).Read(probe.ProbeRequest(note="slow"), timeout=None)
    remaining = handlers.calls[-1].deadline
    assert remaining is not None and remaining - time.time() < 1


async def test_a_shorter_deadline_of_the_caller_counts(
    service: Running, amina: Person, handlers: Probe
) -> None:
    started = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(service, user=amina).Read(probe.ProbeRequest(note="slow"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 0.9


async def test_more_calls_than_can_be_served_are_shed(
    harness: Harness, handlers: Probe, amina: Person
) -> None:
    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: handlers}, in_flight_max=4)

    async with (
        harness.peers({}),
        harness.service("probe", build, migrations_folder=MIGRATIONS) as service,
    ):

        async def one() -> str:
            try:
                await ask(service, user=amina).Read(probe.ProbeRequest(note="slow"), timeout=5)
            except grpc.aio.AioRpcError as error:
                return str(refusals.from_call_error(error).reason)
            return ""

        reasons = await asyncio.gather(*(one() for _ in range(12)))
    assert set(reasons) == {"OVERLOADED", "DEADLINE_EXCEEDED"}
    assert reasons.count("DEADLINE_EXCEEDED") >= 4


# Streams


async def test_a_stream_answers_until_its_end(service: Running, amina: Person) -> None:
    notes = [answer.note async for answer in ask(service, user=amina).Watch(probe.ProbeRequest())]
    assert notes == ["1", "2"]


async def test_a_stream_that_breaks_ends_in_a_refusal(service: Running, amina: Person) -> None:
    notes = []
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        async for answer in ask(service, user=amina).Watch(probe.ProbeRequest(note="break")):
            notes.append(answer.note)  # noqa: PERF401 - the stream breaks off
    assert notes == ["1"]


async def test_a_stream_is_guarded_like_any_call(service: Running) -> None:
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        async for _ in ask(service).Watch(probe.ProbeRequest()):
            pass


async def test_the_sixth_open_stream_of_a_person_is_refused(
    service: Running, amina: Person, harness: Harness
) -> None:
    watch = ask(service, user=amina).Watch
    open_streams = [watch(probe.ProbeRequest(note="stay"), timeout=None) for _ in range(5)]
    for stream in open_streams:
        await stream.read()
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS"):
        await watch(probe.ProbeRequest(note="stay")).read()
    other = ask(service, user=harness.person()).Watch(probe.ProbeRequest(note="stay"), timeout=None)
    assert (await other.read()).note == "1"
    open_streams[0].cancel()
    other.cancel()
    for _ in range(50):
        await asyncio.sleep(0.05)
        again = watch(probe.ProbeRequest(note="stay"), timeout=None)
        try:
            await again.read()
        except grpc.aio.AioRpcError:
            continue
        break
    else:
        raise AssertionError("the place of a closed stream was not given free")
    for stream in (*open_streams, again):
        stream.cancel()


# Records


async def test_audited_calls_leave_a_record_whatever_the_outcome(
    service: Running, harness: Harness, amina: Person
) -> None:
    headers = [("x-request-id", "req-1"), ("x-envoy-external-address", "203.0.113.9")]
    await ask(service, user=amina, headers=headers).Pay(probe.ProbeRequest(), key="k-1")
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"):
        await ask(service, user=amina).Pay(probe.ProbeRequest())
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await ask(service).Pay(probe.ProbeRequest())
    await ask(service, user=amina).Read(probe.ProbeRequest())  # not audited

    place = await harness.database("probe")
    admin = await asyncpg.connect(place.admin_url)
    rows = await admin.fetch("SELECT * FROM probe.audit_record ORDER BY create_time, id")
    await admin.close()
    actor = f"user:{amina.id}"
    assert [(row["actor"], row["tenant_id"], row["code"], row["reason"]) for row in rows] == [
        (actor, "default", "OK", ""),
        (actor, "default", "INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"),
        ("service:edge", "", "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
    ]
    assert (rows[0]["request_id"], rows[0]["address"]) == ("req-1", "203.0.113.9")
    assert rows[0]["method"] == "/hazina.probe.v1.ProbeService/Pay"


async def test_every_call_is_one_line_and_says_no_secret(
    service: Running,
    amina: Person,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(telemetry, "_lines", telemetry._Lines(written))
    headers = [("x-request-id", "req-9")]
    await ask(service, user=amina, headers=headers).Read(probe.ProbeRequest(note="private"))
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await ask(service, headers=headers).Read(probe.ProbeRequest())
    telemetry.flush()
    good, bad = (json.loads(line) for line in written.getvalue().splitlines())
    assert good["duration_ms"] > 0
    assert {key: good[key] for key in ("event", "service", "method", "request_id", "tenant", "user", "caller", "code", "reason")} == {
        "event": "rpc", "service": "probe", "method": "/hazina.probe.v1.ProbeService/Read", "request_id": "req-9",
        "tenant": "default", "user": str(amina.id), "caller": "edge", "code": "OK", "reason": "",
    }  # fmt: skip
    assert (bad["code"], bad["reason"], bad["user"]) == (
        "UNAUTHENTICATED",
        "CREDENTIALS_MISSING",
        "",
    )
    assert "private" not in written.getvalue() and amina.token not in written.getvalue()


async def test_every_call_is_counted_with_its_outcome(service: Running) -> None:
    def count(code: str, reason: str) -> float:
        labels = {
            "service": "probe",
            "method": "/hazina.probe.v1.ProbeService/Ask",
            "code": code,
            "reason": reason,
        }
        return REGISTRY.get_sample_value("hazina_rpc_seconds_count", labels) or 0.0

    before = count("OK", ""), count("NOT_FOUND", "NOT_FOUND")
    await ask(service).Ask(probe.ProbeRequest())
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await ask(service).Ask(probe.ProbeRequest(note="not found"))
    assert (count("OK", ""), count("NOT_FOUND", "NOT_FOUND")) == (before[0] + 1, before[1] + 1)


async def test_every_call_is_a_span_where_spans_are_wanted(
    service: Running, amina: Person, handlers: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    config = replace(service.config, otlp_endpoint="http://127.0.0.1:4317", trace_ratio=1.0)
    tracer = tracing.start(config, exporter)
    monkeypatch.setattr(telemetry, "tracer", tracer)
    parent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    await ask(service, user=amina, headers=parent).Read(probe.ProbeRequest())
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await ask(service, headers=parent).Ask(probe.ProbeRequest(note="not found"))
    async for _ in ask(service, user=amina, headers=parent).Watch(probe.ProbeRequest()):
        pass
    tracer.close()
    spans = {span.name.rpartition("/")[2]: span for span in exporter.get_finished_spans()}
    assert {"Read", "Ask", "Watch"} <= set(spans)
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {
        "0af7651916cd43dd8448eb211c80319c"
    }
    assert (spans["Ask"].attributes or {})["hazina.reason"] == "NOT_FOUND"
    assert handlers.calls[0].traceparent.split("-")[2] == format(
        spans["Read"].context.span_id, "016x"
    )


# Start-up


async def test_an_rpc_without_a_policy_stops_the_service_from_starting(harness: Harness) -> None:
    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.BARE: object()})

    with pytest.raises(
        PolicyMissing, match=r"hazina\.probe\.v1\.BareService\.Forgotten declares no policy"
    ):
        async with harness.service("probe", build, migrations_folder=MIGRATIONS):
            pass


async def test_a_handler_that_no_contract_names_stops_the_service_from_starting(
    harness: Harness,
) -> None:
    class Misspelt:
        async def Reed(self, request: Any, call: Call) -> None: ...

    async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
        return Service("probe", {probe.SERVICE: Misspelt()})

    with pytest.raises(ValueError, match="no RPC named Reed"):
        async with harness.service("probe", build, migrations_folder=MIGRATIONS):
            pass
