"""Codes on their way to people."""

from hazina.auth.v1.auth_service_pb2 import RecoverRequest, ResendCodeRequest
from tests.factories.auth import Auth, eventually, eventually_true


async def test_a_code_is_sent_once_comms_is_back(auth: Auth) -> None:
    auth.comms.refuses = 2
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    assert auth.comms.asked == 3 and len(auth.comms.messages) == 1
    assert (await auth.verify("asha@example.com", code)).user.verified


async def test_a_code_that_was_used_is_not_sent_any_more(auth: Auth) -> None:
    auth.comms.refuses = 1
    await auth.sign_up()
    await eventually(lambda: auth.comms.asked == 1)
    await auth.rows("UPDATE verification_code SET use_time = now()")
    await eventually_true(lambda: no_job_waits(auth))
    assert auth.comms.asked == 1


async def test_a_recipient_whom_the_provider_refuses_is_not_asked_for_again(auth: Auth) -> None:
    auth.comms.refused.add("asha@example.com")
    await auth.sign_up("asha@example.com")
    await eventually_true(lambda: no_job_waits(auth))
    assert auth.comms.asked == 1 and not auth.comms.messages


async def test_for_an_identifier_that_gets_no_code_a_job_finds_nothing(auth: Auth) -> None:
    await auth.accounts().Recover(RecoverRequest(identifier="nobody@example.com"))
    await auth.accounts().ResendCode(ResendCodeRequest(identifier="nobody@example.com"))
    await eventually_true(lambda: no_job_waits(auth))
    assert auth.comms.asked == 0


async def no_job_waits(auth: Auth) -> bool:
    """Whether all codes were handed on, or given up."""
    query = "SELECT 1 FROM auth_jobs.procrastinate_jobs WHERE task_name = 'send_code'"
    return not await auth.rows(query)
