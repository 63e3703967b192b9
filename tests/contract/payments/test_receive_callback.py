"""ReceiveCallback: kept as it came, answered at once; a wrong address is none of ours."""

import json

import pytest
from google.api import httpbody_pb2
from sqlalchemy import text

from hazina.payments.v1.hook_service_pb2 import ReceiveCallbackRequest
from tests.contract.payments.conftest import World
from tests.factories.payments import HOOK_SECRET
from tests.harness import assert_refused


def callback(
    body: bytes = b"{}", *, provider: str = "daraja", secret: str = HOOK_SECRET
) -> ReceiveCallbackRequest:
    """A callback."""
    return ReceiveCallbackRequest(
        provider=provider,
        secret=secret,
        body=httpbody_pb2.HttpBody(content_type="application/json", data=body),
    )


@pytest.mark.parametrize("body", [b'{"Body":{}}', b"", b"not json \xff\x00", b"[" * 10_000])
async def test_whatever_comes_is_kept_as_it_came_and_accepted(world: World, body: bytes) -> None:
    answer = await world.hooks().ReceiveCallback(callback(body))
    assert json.loads(answer.data) == {"ResultCode": 0, "ResultDesc": "Accepted"}
    assert answer.content_type == "application/json"
    database = world.database()
    async with database.unit(None) as session:
        rows = (await session.execute(text("SELECT rail, body FROM callback"))).all()
    await database.close()
    assert [(row.rail, bytes(row.body)) for row in rows] == [("mpesa", body)]


@pytest.mark.parametrize(
    ("provider", "secret"),
    [
        ("daraja", "wrong"),
        ("other", HOOK_SECRET),
        ("daraja", f"{HOOK_SECRET}."),
        ("daraja", f"{HOOK_SECRET}.0190b7a0000070008000000000000000.c.{'0' * 32}"),
        ("daraja", f"{HOOK_SECRET}.é.c.é"),
    ],
)
async def test_a_wrong_secret_seal_or_provider_is_not_found(
    world: World, provider: str, secret: str
) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.hooks().ReceiveCallback(callback(provider=provider, secret=secret))
