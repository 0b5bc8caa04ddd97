"""Running projectors."""

from typing import ClassVar

from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.messages import (
    Empty,
    EventBook,
    EventRequest,
    Projection,
    SpeculateProjectorRequest,
    correlation_id_of,
)
from angzarr.messages.services import PROJECTOR_COORDINATOR, Service

_HANDLE = Method.of(PROJECTOR_COORDINATOR, "Handle", Empty)
_HANDLE_SYNC = Method.of(PROJECTOR_COORDINATOR, "HandleSync", Projection)
_HANDLE_SPECULATIVE = Method.of(PROJECTOR_COORDINATOR, "HandleSpeculative", Projection)


class ProjectorClient(SingleServiceClient):
    """Client of ProjectorCoordinatorService."""

    services: ClassVar[tuple[Service, ...]] = (PROJECTOR_COORDINATOR,)

    async def handle(self, book: EventBook, timeout: float | None = None) -> None:
        """Give the projectors events, without waiting for them.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        await self._calls.write(_HANDLE, self.stub, book, correlation_id_of(book), timeout)

    async def handle_sync(self, request: EventRequest, timeout: float | None = None) -> Projection:
        """Give the projectors events, and wait for what they make of them.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            _HANDLE_SYNC, self.stub, request, correlation_id_of(request.events), timeout
        )

    async def handle_speculative(
        self, request: SpeculateProjectorRequest, timeout: float | None = None
    ) -> Projection:
        """What the projectors would make of events; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            _HANDLE_SPECULATIVE, self.stub, request, correlation_id_of(request.events), timeout
        )
