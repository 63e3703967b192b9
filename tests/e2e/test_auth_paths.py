"""The auth paths of the promised HTTP surface, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from collections.abc import Iterator

import jwt
import pytest

from tests.e2e.client import HTTP_1, HTTP_2, Client, kes, new_key
from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.people import PASSWORD, PIN, People, Person, any_email, any_phone


@pytest.fixture(params=[HTTP_1, HTTP_2])
def client(mesh: Mesh, request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(mesh.edge, protocol=request.param) as opened:
        yield opened


def test_sign_up_by_email_asks_for_the_code_that_is_sent(client: Client, people: People) -> None:
    email = any_email("Wanjiku")

    answer = client.post(
        "/api/v1/auth/signup",
        {"email": email, "password": PASSWORD, "displayName": "Wanjiku Kamau"},
    )

    body = answer.ok()
    assert answer.http_version == ("HTTP/1.1" if client.protocol == HTTP_1 else "HTTP/2")
    assert body["verificationRequired"] is True
    assert body["user"]["id"]
    assert body["user"]["displayName"] == "Wanjiku Kamau"
    assert (body["user"]["email"], body["user"]["phone"]) == (email, "")
    assert body["user"]["verified"] is False

    session = client.post(
        "/api/v1/auth/verify", {"identifier": email, "code": people.await_code(email)}
    ).ok()
    assert session["user"]["id"] == body["user"]["id"]
    assert session["user"]["verified"] is True
    assert session["accessToken"] and session["refreshToken"]
    assert 0 < session["expiresIn"] <= 900


def test_sign_up_by_phone_with_a_pin(client: Client, people: People) -> None:
    phone = any_phone()

    body = client.post(
        "/api/v1/auth/signup", {"phone": phone, "pin": PIN, "displayName": "Otieno"}
    ).ok()
    session = client.post(
        "/api/v1/auth/verify", {"identifier": phone, "code": people.await_code(phone)}
    ).ok()

    assert body["user"]["phone"] == session["user"]["phone"] == phone
    assert client.post("/api/v1/auth/login", {"identifier": phone, "pin": PIN}).ok()["accessToken"]


def test_a_taken_identifier_answers_the_same_and_changes_nothing(
    client: Client, people: People
) -> None:
    owner = people.sign_up("Owner")
    request = {"email": owner.identifier, "password": "another-password-9", "displayName": "Thief"}

    body = client.post("/api/v1/auth/signup", request).ok()

    assert body["verificationRequired"] is True
    assert body["user"]["id"] != owner.id
    assert body["user"]["displayName"] == "Thief"
    login = {"identifier": owner.identifier, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", login).ok()["user"]["displayName"] == "Owner"


def test_login_answers_a_session_and_a_wrong_secret_does_not(
    client: Client, people: People
) -> None:
    person = people.sign_up("Njeri")

    session = client.post(
        "/api/v1/auth/login", {"identifier": person.identifier, "password": PASSWORD}
    ).ok()
    wrong = client.post(
        "/api/v1/auth/login", {"identifier": person.identifier, "password": "not-it-at-all"}
    )
    unknown = client.post(
        "/api/v1/auth/login", {"identifier": any_email("nobody"), "password": "not-it-at-all"}
    )

    assert session["user"]["id"] == person.id
    assert wrong.status == unknown.status == 401
    assert wrong.refusal().reason == unknown.refusal().reason == "CREDENTIALS_INVALID"
    assert wrong.refusal().message == unknown.refusal().message


def test_an_unverified_person_is_told_only_after_the_right_secret(client: Client) -> None:
    email = any_email("waiting")
    client.post(
        "/api/v1/auth/signup", {"email": email, "password": PASSWORD, "displayName": "W"}
    ).ok()

    right = client.post("/api/v1/auth/login", {"identifier": email, "password": PASSWORD})
    wrong = client.post("/api/v1/auth/login", {"identifier": email, "password": "not-it-at-all"})

    assert right.refusal().reason == "IDENTITY_NOT_VERIFIED"
    assert wrong.refusal().reason == "CREDENTIALS_INVALID"


def test_a_refresh_token_works_once_and_reuse_ends_the_session(
    client: Client, people: People
) -> None:
    person = people.sign_up("Kip")
    first = person.refresh_token

    second = client.post("/api/v1/auth/refresh", {"refreshToken": first}).ok()["refreshToken"]
    third = client.post("/api/v1/auth/refresh", {"refreshToken": second}).ok()["refreshToken"]
    reused = client.post("/api/v1/auth/refresh", {"refreshToken": first})
    after = client.post("/api/v1/auth/refresh", {"refreshToken": third})

    assert len({first, second, third}) == 3
    assert (reused.status, reused.refusal().reason) == (401, "REFRESH_TOKEN_REUSED")
    assert after.status == 401


def test_logout_ends_the_session(client: Client, people: People) -> None:
    person = people.sign_up("Leah")

    out = client.post("/api/v1/auth/logout", {"refreshToken": person.refresh_token})
    again = client.post("/api/v1/auth/logout", {"refreshToken": person.refresh_token})
    refreshed = client.post("/api/v1/auth/refresh", {"refreshToken": person.refresh_token})

    assert (out.ok(), again.ok()) == ({}, {})
    assert refreshed.status == 401


def test_recovery_sends_a_code_and_sets_a_new_secret(client: Client, people: People) -> None:
    person = people.sign_up("Moses")
    codes = len(people.codes(person.identifier))

    asked = client.post("/api/v1/auth/recover", {"identifier": person.identifier}).ok()
    unknown = client.post("/api/v1/auth/recover", {"identifier": any_email("nobody")}).ok()
    code = people.await_code(person.identifier, seen=codes)
    session = client.post(
        "/api/v1/auth/recover",
        {"identifier": person.identifier, "code": code, "newPassword": "a-brand-new-secret"},
    ).ok()

    assert asked == unknown and asked["codeSent"] is True
    assert session["accessToken"] and session["user"]["id"] == person.id
    login = {"identifier": person.identifier, "password": "a-brand-new-secret"}
    assert client.post("/api/v1/auth/login", login).status == 200
    login = {"identifier": person.identifier, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", login).status == 401


def test_the_public_keys_verify_the_tokens(client: Client, people: People) -> None:
    person = people.sign_up("Nia")

    keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").ok())
    header = jwt.get_unverified_header(person.access_token)
    claims = jwt.decode(
        person.access_token,
        next(key for key in keys.keys if key.key_id == header["kid"]),
        algorithms=["EdDSA"],
        audience="hazina",
        issuer="hazina",
    )

    assert claims["sub"] == person.id
    assert claims["exp"] - claims["iat"] == 900


def test_a_person_reads_their_own_profile(asha: Person, client: Client) -> None:
    with client.as_(asha.access_token) as signed_in:
        profile = signed_in.get("/api/v1/users/me").ok()
    anonymous = client.get("/api/v1/users/me")

    assert profile["id"] == asha.id
    assert profile["displayName"] == "Asha Mwangi"
    assert profile["email"] == asha.identifier
    assert profile["memberships"] == [{"tenantId": "default", "roles": ["member"]}]
    assert (anonymous.status, anonymous.refusal().reason) == (401, "CREDENTIALS_MISSING")


def test_people_are_found_by_name_email_and_phone(
    asha: Person, brian: Person, client: Client
) -> None:
    with client.as_(asha.access_token) as signed_in:

        def find(query: str) -> list[str]:
            users = signed_in.get("/api/v1/users", query=query, pageSize=100).ok()["users"]
            return [user["id"] for user in users]

        assert find(asha.identifier) == [asha.id]
        assert find(brian.identifier) == [brian.id]
        assert find(any_email("nobody")) == []
        summary = signed_in.get("/api/v1/users", query=brian.identifier).ok()["users"][0]
        assert summary["displayName"] == "Brian Otieno"
        assert brian.identifier not in str(summary), (
            "a phone number is shown with its middle hidden"
        )
        assert signed_in.get("/api/v1/users", query="Brian").ok()["users"]


def test_an_api_key_does_what_its_maker_may_and_no_more(asha: Person, client: Client) -> None:
    with client.as_(asha.access_token) as signed_in:
        made = signed_in.post(
            "/api/v1/apiKeys", {"name": "till", "permissions": ["wallet.read"]}
        ).ok()
        with client.as_("", **{"x-api-key": made["key"]}) as machine:
            wallets = machine.get("/api/v1/wallets").ok()["wallets"]
            refused = machine.get("/api/v1/transactions")
        with client.as_("", **{"x-api-key": "not-a-key"}) as machine:
            unknown = machine.get("/api/v1/wallets")
        assert signed_in.post(f"/api/v1/apiKeys/{made['apiKey']['id']}:revoke").status == 200

    assert {wallet["currency"] for wallet in wallets} >= {"KES", "BTC"}
    assert refused.refusal().reason == "PERMISSION_MISSING"
    assert refused.refusal().metadata["permission"] == "payments.read"
    assert (unknown.status, unknown.refusal().reason) == (401, "API_KEY_INVALID")


def test_after_logout_the_access_token_moves_no_money(people: People, brian: Person) -> None:
    person = people.sign_up("Leaver", money="10")
    person.client.post("/api/v1/auth/logout", {"refreshToken": person.refresh_token}).ok()
    request = {
        "sourceWalletId": person.wallet()["id"],
        "destination": {"identifier": brian.identifier},
        "amount": kes("1"),
    }

    def refused() -> bool:
        answer = person.client.post("/api/v1/transfers", request, key=new_key())
        return answer.status == 401 and answer.refusal().reason == "SESSION_ENDED"

    wait_until("the ended session is known everywhere", refused, seconds=5)
