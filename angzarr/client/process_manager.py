"""Running process managers."""

from angzarr.client.base import SingleServiceClient
from angzarr.messages import (
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleResponse,
    SpeculatePmRequest,
    correlation_id_of,
)
from angzarr.messages.services import PROCESS_MANAGER_COORDINATOR


class ProcessManagerClient(SingleServiceClient):
    """Client of ProcessManagerCoordinatorService."""

    services = (PROCESS_MANAGER_COORDINATOR,)

    async def handle(
        self, request: ProcessManagerCoordinatorRequest, timeout: float | None = None
    ) -> ProcessManagerHandleResponse:
        """Let the process managers react to events.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            self._stub.handle, request, correlation_id_of(request.trigger), timeout
        )

    async def handle_speculative(
        self, request: SpeculatePmRequest, timeout: float | None = None
    ) -> ProcessManagerHandleResponse:
        """What the process managers would do; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            self._stub.handle_speculative, request, correlation_id_of(request.request.trigger), timeout
        )
