"""CreateApiKey."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest
from tests.factories.auth import Account, Auth
from tests.harness import assert_refused


async def create(auth: Auth, account: Account, *permissions: str, **fields: Any) -> Any:
    """A key of the account."""
    request = CreateApiKeyRequest(
        **{"name": "Ledger export", "permissions": permissions or ["wallet.read"], **fields}
    )
    return await auth.users(account).CreateApiKey(request)


async def test_the_key_is_shown_once_and_kept_as_a_hash(auth: Auth) -> None:
    account = await auth.account()
    made = await create(auth, account, "wallet.read", "payments.read")
    assert made.key.startswith(f"{made.api_key.prefix}_") and len(made.key) > 50
    assert list(made.api_key.permissions) == ["payments.read", "wallet.read"]
    life = made.api_key.expire_time.ToDatetime() - made.api_key.create_time.ToDatetime()
    assert life == timedelta(days=90) and not made.api_key.HasField("last_use_time")
    [row] = await auth.rows("SELECT * FROM api_key")
    secret = made.key.removeprefix(made.api_key.prefix)
    assert all(secret not in str(value) for value in row.values())


async def test_a_key_may_not_do_what_its_maker_may_not(auth: Auth) -> None:
    account = await auth.account()
    for lacking in ("payments.resolve", "made.up"):
        with assert_refused("PERMISSION_DENIED", "PERMISSION_NOT_GRANTABLE") as refusal:
            await create(auth, account, "wallet.read", lacking)
        assert refusal.metadata["permission"] == lacking


async def test_a_key_makes_no_keys(auth: Auth) -> None:
    account = await auth.account()
    key = await create(auth, account, "auth.profile", "wallet.read")
    account.access_token = await auth.exchange(key.key)
    with assert_refused("PERMISSION_DENIED", "PERMISSION_NOT_GRANTABLE"):
        await create(auth, account, "wallet.read")


async def test_a_person_has_five_live_keys_at_most(auth: Auth) -> None:
    account = await auth.account()
    for _ in range(5):
        await create(auth, account)
    with assert_refused("FAILED_PRECONDITION", "TOO_MANY_API_KEYS"):
        await create(auth, account)
    await auth.rows(
        "UPDATE api_key SET expire_time = now() WHERE id = (SELECT id FROM api_key LIMIT 1)"
    )
    await create(auth, account)


async def test_its_end_is_at_most_a_year_ahead(auth: Auth) -> None:
    account = await auth.account()
    now = datetime.now(UTC)
    made = await create(auth, account, expire_time=stamp(now + timedelta(days=365)))
    assert made.api_key.expire_time.ToDatetime(UTC) == now + timedelta(days=365)
    for wrong in (now - timedelta(seconds=1), now + timedelta(days=367)):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "expireTime"):
            await create(auth, account, expire_time=stamp(wrong))
    for seconds in (2**62, -(2**62)):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "expireTime"):
            await create(auth, account, expire_time=Timestamp(seconds=seconds))


def stamp(time: datetime) -> Timestamp:
    """A time on the wire."""
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    for field, values in (
        ("name", {"name": ""}),
        ("name", {"name": "   "}),
        ("name", {"name": "x" * 81}),
        ("permissions", {"permissions": []}),
        ("permissions", {"permissions": ["wallet.read", "wallet.read"]}),
        ("permissions[0]", {"permissions": [""]}),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await create(auth, account, **values)
