"""Running projectors."""

from angzarr.client.base import SingleServiceClient
from angzarr.messages import (
    EventBook,
    EventRequest,
    Projection,
    SpeculateProjectorRequest,
    correlation_id_of,
)
from angzarr.messages.services import PROJECTOR_COORDINATOR


class ProjectorClient(SingleServiceClient):
    """Client of ProjectorCoordinatorService."""

    services = (PROJECTOR_COORDINATOR,)

    async def handle(self, book: EventBook, timeout: float | None = None) -> None:
        """Give the projectors events, without waiting for them.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        await self._calls.write(self._stub.handle, book, correlation_id_of(book), timeout)

    async def handle_sync(self, request: EventRequest, timeout: float | None = None) -> Projection:
        """Give the projectors events, and wait for what they make of them.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            self._stub.handle_sync, request, correlation_id_of(request.events), timeout
        )

    async def handle_speculative(
        self, request: SpeculateProjectorRequest, timeout: float | None = None
    ) -> Projection:
        """What the projectors would make of events; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            self._stub.handle_speculative, request, correlation_id_of(request.events), timeout
        )
