"""The RPCs of the comms service: parse, call, render."""

from uuid import UUID

from hazina.comms.v1 import development_service_pb2 as development_pb
from hazina.comms.v1 import message_service_pb2 as message_pb
from services.comms import convert, operations
from services.comms.clients.viewers import Arrival, Viewers
from services.comms.domain import Channel
from services.kit.identity import Call
from services.kit.pages import Pages

__all__ = ["DevelopmentHandlers", "MessageHandlers", "NotificationHandlers"]

_WAIT_SECONDS = 9.0


class MessageHandlers:
    """`hazina.comms.v1.MessageService`."""

    def __init__(self, post: operations.Post) -> None:
        self._post = post

    async def SendMessage(
        self, request: message_pb.SendMessageRequest, call: Call
    ) -> message_pb.SendMessageResponse:
        """Hand a message to its channel's provider, now."""
        remaining = call.remaining_seconds()
        already_sent = await operations.send_message(
            self._post,
            tenant_id=request.tenant_id,
            message_id=UUID(request.message_id),
            template=convert.template(request),
            locale=request.locale,
            recipient=convert.recipient(request),
            variables=request.variables,
            wait_seconds=_WAIT_SECONDS if remaining is None else remaining,
        )
        return message_pb.SendMessageResponse(already_sent=already_sent)


class NotificationHandlers:
    """`hazina.comms.v1.NotificationService`: nothing of it yet, so every RPC answers NOT_YET_AVAILABLE."""


class DevelopmentHandlers:
    """`hazina.comms.v1.DevelopmentService`; in the development profile only."""

    def __init__(self, viewers: Viewers, pages: Pages) -> None:
        self._viewers = viewers
        self._pages = pages

    async def ListSentMessages(
        self, request: development_pb.ListSentMessagesRequest, call: Call
    ) -> development_pb.ListSentMessagesResponse:
        """What was really received, newest first, of both channels together."""
        channels, address = convert.wanted(request.recipient)
        size = self._pages.size(request.page_size)
        filters = {"recipient": address}
        position = self._pages.open(call, filters, request.page_token) or {}
        arrivals: list[Arrival] = []
        for channel in channels:
            arrivals += await self._viewers.list(
                channel, recipient=address, limit=size + 1, before=position.get(channel, 0)
            )
        arrivals.sort(key=lambda arrival: (arrival.arrive_time, arrival.id), reverse=True)
        page = arrivals[:size]
        answer = development_pb.ListSentMessagesResponse(messages=convert.sent_messages(page))
        if len(arrivals) > size:
            answer.next_page_token = self._pages.seal(call, filters, _after(position, page))
        return answer


def _after(position: dict[str, int], page: list[Arrival]) -> dict[str, int]:
    """The position behind a page: for each channel the oldest message that was shown."""
    shown = dict(position)
    for arrival in page:
        shown[arrival.channel.value] = arrival.id
    return {channel.value: shown[channel.value] for channel in Channel if channel.value in shown}
