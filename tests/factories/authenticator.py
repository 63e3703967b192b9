"""Authenticator apps of people in tests."""

import time

import pyotp

from hazina.auth.v1 import user_service_pb2
from tests.factories.auth import Account, Auth


async def enable_totp(auth: Auth, account: Account) -> pyotp.TOTP:
    """Turn an authenticator app on, and answer it."""
    users = auth.users(account)
    enrolled = await users.EnrollTotp(user_service_pb2.EnrollTotpRequest())
    app = pyotp.TOTP(enrolled.secret)
    await users.ConfirmTotp(user_service_pb2.ConfirmTotpRequest(totp_code=app.now()))
    return app


async def fresh_code(auth: Auth, account: Account, app: pyotp.TOTP) -> str:
    """A code that was not used: the service forgets which one was, as if half a minute had passed."""
    await auth.rows("UPDATE totp SET last_step = 0 WHERE user_id = $1", account.id)
    return app.now()


def wrong_code(app: pyotp.TOTP) -> str:
    """Six digits that are no code of these minutes."""
    now = int(time.time())
    good = {app.at(now + offset) for offset in range(-90, 91, 30)}
    return next(code for code in (f"{digit}" * 6 for digit in range(10)) if code not in good)
