"""Running process managers."""

from typing import ClassVar

from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.messages import (
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleResponse,
    SpeculatePmRequest,
    correlation_id_of,
)
from angzarr.messages.services import PROCESS_MANAGER_COORDINATOR, Service

_HANDLE = Method.of(PROCESS_MANAGER_COORDINATOR, "Handle", ProcessManagerHandleResponse)
_HANDLE_SPECULATIVE = Method.of(
    PROCESS_MANAGER_COORDINATOR, "HandleSpeculative", ProcessManagerHandleResponse
)


class ProcessManagerClient(SingleServiceClient):
    """Client of ProcessManagerCoordinatorService."""

    services: ClassVar[tuple[Service, ...]] = (PROCESS_MANAGER_COORDINATOR,)

    async def handle(
        self, request: ProcessManagerCoordinatorRequest, timeout: float | None = None
    ) -> ProcessManagerHandleResponse:
        """Let the process managers react to events.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            _HANDLE, self.stub, request, correlation_id_of(request.trigger), timeout
        )

    async def handle_speculative(
        self, request: SpeculatePmRequest, timeout: float | None = None
    ) -> ProcessManagerHandleResponse:
        """What the process managers would do; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            _HANDLE_SPECULATIVE, self.stub, request, correlation_id_of(request.request.trigger), timeout
        )
