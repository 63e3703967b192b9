"""Calls to other services, over mTLS."""

from uuid import uuid4

import pytest

from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from services.auth.clients import Comms, Health
from services.auth.domain import Identifier
from services.kit.channels import Channels
from services.kit.errors import ServiceUnavailable
from tests.factories.auth import FakeComms
from tests.harness import Harness

ASHA, BRIAN = Identifier("email", "asha@example.com"), Identifier("phone", "+254712345678")


async def test_messages_reach_comms_as_its_contract_wants_them(harness: Harness) -> None:
    fake = FakeComms()
    async with harness.peers({"hazina.comms.v1.MessageService": fake}):
        channels = Channels(await harness.config("auth"))
        comms = Comms(channels)
        code_id, notice_id = uuid4(), uuid4()
        for _ in range(2):  # the same id twice is sent once
            await comms.send_sign_up_code(
                tenant_id="default", message_id=code_id, to=ASHA, locale="en", code="123456"
            )
        await comms.send_recovery_code(
            tenant_id="acme", message_id=uuid4(), to=BRIAN, locale="sw", code="654321"
        )
        await comms.send_identifier_taken(
            tenant_id="default", message_id=notice_id, to=ASHA, locale="en"
        )
        await channels.close()
    first, second, third = fake.messages
    assert first == SendMessageRequest(
        tenant_id="default",
        message_id=str(code_id),
        template=SendMessageRequest.SIGN_UP_CODE,
        email="asha@example.com",
        locale="en",
        variables={"code": "123456", "minutes": "10"},
    )
    assert (second.phone, second.locale, second.tenant_id) == ("+254712345678", "sw", "acme")
    assert second.template == SendMessageRequest.RECOVERY_CODE
    assert third.template == SendMessageRequest.IDENTIFIER_TAKEN and not third.variables


async def test_who_cannot_be_reached_is_unavailable(harness: Harness) -> None:
    channels = Channels(await harness.config("auth"))
    with pytest.raises(ServiceUnavailable):
        await Health(channels).serves("wallet")
    with pytest.raises(ServiceUnavailable):
        await Comms(channels).send_identifier_taken(
            tenant_id="default", message_id=uuid4(), to=ASHA, locale="en"
        )
    await channels.close()
