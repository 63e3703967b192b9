"""ResendCode."""

from google.protobuf.empty_pb2 import Empty

from hazina.auth.v1 import auth_service_pb2 as pb
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_a_new_code_goes_out_and_both_work(auth: Auth) -> None:
    await auth.sign_up()
    first = await auth.code("asha@example.com")
    await auth.accounts().ResendCode(pb.ResendCodeRequest(identifier="ASHA@example.com"))
    second = await auth.code("asha@example.com", count=2)
    assert first != second
    assert (await auth.verify("asha@example.com", second)).user.verified


async def test_everybody_gets_the_same_answer(auth: Auth) -> None:
    await auth.account("verified@example.com")
    await auth.sign_up("waiting@example.com")
    for identifier in ("verified@example.com", "waiting@example.com", "nobody@example.com", "???"):
        request = pb.ResendCodeRequest(identifier=identifier)
        assert await auth.accounts().ResendCode(request) == Empty()
    await auth.code("waiting@example.com", count=2)
    assert len(auth.comms.sent_to("verified@example.com")) == 1
    assert not auth.comms.sent_to("nobody@example.com")


async def test_too_many_codes_must_wait(strict_auth: Auth) -> None:
    request = pb.ResendCodeRequest(identifier="asha@example.com")
    for _ in range(5):
        await strict_auth.accounts().ResendCode(request)
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await strict_auth.accounts().ResendCode(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "identifier"):
        await auth.accounts().ResendCode(pb.ResendCodeRequest(identifier="ab"))
