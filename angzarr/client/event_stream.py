"""Following events as they happen."""

from collections.abc import AsyncGenerator
from typing import ClassVar

from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.messages import EventBook, EventStreamFilter
from angzarr.messages.services import EVENT_STREAM, Service

_SUBSCRIBE = Method.of(EVENT_STREAM, "Subscribe", EventBook)


class EventStreamClient(SingleServiceClient):
    """Client of EventStreamService."""

    services: ClassVar[tuple[Service, ...]] = (EVENT_STREAM,)

    async def subscribe(
        self, correlation_id: str, timeout: float | None = None
    ) -> AsyncGenerator[EventBook, None]:
        """The events of one exchange, as they happen, until the server ends the stream or the iteration is left.

        Args:
            correlation_id: which exchange.
            timeout: seconds for the whole subscription; None for the channel's default.

        Raises:
            ClientError: as ``QueryClient.get_event_book``. A subscription that breaks after its first book is not
                resumed: events in between would be lost unseen.
        """
        books = self._calls.stream(
            _SUBSCRIBE, self.stub, EventStreamFilter(correlation_id=correlation_id), correlation_id, timeout
        )
        try:
            async for book in books:
                yield book
        finally:
            await books.aclose()
