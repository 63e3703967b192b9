"""UpdateMe."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from hazina.auth.v1 import auth_events_pb2, user_pb2
from hazina.auth.v1.user_service_pb2 import GetMeRequest, UpdateMeRequest
from hazina.event.v1 import envelope_pb2
from tests.factories.auth import Account, Auth
from tests.harness import assert_refused


async def update(auth: Auth, account: Account, *paths: str, **values: Any) -> Any:
    """Change what the paths name."""
    request = UpdateMeRequest(user=user_pb2.User(**values), update_mask=FieldMask(paths=paths))
    return (await auth.users(account).UpdateMe(request)).user


async def test_only_what_the_mask_names_changes(auth: Auth) -> None:
    account = await auth.account(name="Asha")
    changed = await update(auth, account, "locale", display_name="Other", locale="sw")
    assert (changed.display_name, changed.locale) == ("Asha", "sw")
    changed = await update(auth, account, "display_name", display_name=" Asha  M. ", locale="en")
    assert (changed.display_name, changed.locale) == ("Asha M.", "sw")
    me = await auth.users(account).GetMe(GetMeRequest())
    assert me == changed


async def test_each_tenant_hears_of_a_change_and_versions_have_no_gaps(auth: Auth) -> None:
    account = await auth.account()
    await auth.tenant("acme")
    await auth.add_member(account, "acme")
    await update(auth, account, "display_name", display_name="New Name")
    await update(auth, account, "display_name", display_name="New Name")  # changes nothing
    rows = await auth.rows(
        "SELECT type, tenant_id, aggregate_version, envelope FROM outbox ORDER BY position"
    )
    assert [(row["type"], row["tenant_id"], row["aggregate_version"]) for row in rows] == [
        ("auth.user.verified", "default", 1),
        ("auth.member.added", "acme", 2),
        ("auth.user.updated", "acme", 3),
        ("auth.user.updated", "default", 4),
    ]
    payload = auth_events_pb2.UserUpdated()
    assert envelope_pb2.Envelope.FromString(rows[-1]["envelope"]).payload.Unpack(payload)
    assert payload.display_name == "New Name"


async def test_a_profile_that_changed_meanwhile_is_not_overwritten(auth: Auth) -> None:
    account = await auth.account()
    read = (await auth.users(account).GetMe(GetMeRequest())).etag
    changed = await update(auth, account, "display_name", display_name="First", etag=read)
    with assert_refused("ABORTED", "ETAG_MISMATCH"):
        await update(auth, account, "display_name", display_name="Second", etag=read)
    assert (await update(auth, account, "locale", locale="sw", etag=changed.etag)).locale == "sw"


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    for field, paths, values in (
        ("updateMask", (), {"display_name": "A"}),
        ("updateMask", ("email",), {"email": "eve@example.com"}),
        ("updateMask", ("kyc_tier",), {"kyc_tier": 2}),
        ("user.displayName", ("display_name",), {"display_name": ""}),
        ("user.displayName", ("display_name",), {"display_name": "x" * 81}),
        ("user.locale", ("locale",), {"locale": "xx"}),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await update(auth, account, *paths, **values)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "user"):
        await auth.users(account).UpdateMe(UpdateMeRequest())
