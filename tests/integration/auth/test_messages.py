"""Codes on their way to people."""

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

    async def is_done() -> bool:
        jobs = await auth.rows(
            "SELECT 1 FROM auth_jobs.procrastinate_jobs WHERE task_name = 'send_code'"
        )
        return not jobs

    await eventually_true(is_done)
    assert auth.comms.asked == 1
