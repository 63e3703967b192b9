"""Codes of authenticator apps."""

import hmac
from datetime import datetime

import pyotp

from services.auth import domain
from services.auth.domain import Totp
from services.auth.operations.desk import Desk
from services.auth.store import sessions
from services.kit.database import Session


def matching_step(desk: Desk, totp: Totp, code: str, now: datetime) -> int | None:
    """The step that this code belongs to; None when it is wrong or was used before."""
    app = pyotp.TOTP(desk.derivation.open_totp(totp.user_id, totp.sealed_secret))
    matching = [
        step
        for step in domain.totp_steps(now, totp.last_step)
        if hmac.compare_digest(app.generate_otp(step), code)
    ]
    return max(matching, default=None)


async def use(desk: Desk, session: Session, totp: Totp, code: str, now: datetime) -> bool:
    """Whether the code is good; if it is, it does not work again."""
    step = matching_step(desk, totp, code, now)
    if step is None:
        return False
    await sessions.use_totp(session, totp.user_id, step)
    return True
