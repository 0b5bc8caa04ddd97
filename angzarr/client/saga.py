"""Running sagas."""

from angzarr.client.base import SingleServiceClient
from angzarr.messages import SagaHandleRequest, SagaResponse, SpeculateSagaRequest, correlation_id_of
from angzarr.messages.services import SAGA_COORDINATOR


class SagaClient(SingleServiceClient):
    """Client of SagaCoordinatorService."""

    services = (SAGA_COORDINATOR,)

    async def execute(self, request: SagaHandleRequest, timeout: float | None = None) -> SagaResponse:
        """Let the sagas react to events.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            self._stub.execute, request, correlation_id_of(request.source), timeout
        )

    async def execute_speculative(
        self, request: SpeculateSagaRequest, timeout: float | None = None
    ) -> SagaResponse:
        """What the sagas would do; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            self._stub.execute_speculative, request, correlation_id_of(request.request.source), timeout
        )
