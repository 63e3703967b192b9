"""Links of invitations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID

from services.groups.clients.links import InvitationLinks
from services.groups.domain import Invitation, Role

NOW = datetime(2026, 3, 4, tzinfo=UTC)
INVITATION = Invitation(
    "default", UUID(int=1), UUID(int=2), "a@b.co", Role.MEMBER, UUID(int=3), "A", NOW, NOW
)
LINKS = InvitationLinks(b"s" * 32, public_url="https://hazina.example/")


def token(invitation: Invitation, links: InvitationLinks = LINKS) -> str:
    return unquote(links.link(invitation).partition("token=")[2])


def test_a_link_leads_to_the_invitation_in_the_web_app() -> None:
    assert LINKS.link(INVITATION).startswith(
        f"https://hazina.example/#/invitations/{INVITATION.id}?token="
    )


def test_a_token_opens_its_own_invitation_only() -> None:
    assert LINKS.opens(token(INVITATION), INVITATION)
    others = (
        replace(INVITATION, id=UUID(int=9)),
        replace(INVITATION, tenant_id="other"),
        replace(INVITATION, expire_time=NOW + timedelta(seconds=1)),
    )
    for other in others:
        assert not LINKS.opens(token(INVITATION), other)


def test_nobody_else_can_make_a_token() -> None:
    forged = token(INVITATION, InvitationLinks(b"t" * 32, public_url="https://hazina.example"))
    for text in (forged, "", "x", token(INVITATION)[:-1]):
        assert not LINKS.opens(text, INVITATION)
