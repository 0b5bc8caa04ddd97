"""Running sagas."""

from typing import ClassVar

from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.messages import SagaHandleRequest, SagaResponse, SpeculateSagaRequest, correlation_id_of
from angzarr.messages.services import SAGA_COORDINATOR, Service

_EXECUTE = Method.of(SAGA_COORDINATOR, "Execute", SagaResponse)
_EXECUTE_SPECULATIVE = Method.of(SAGA_COORDINATOR, "ExecuteSpeculative", SagaResponse)


class SagaClient(SingleServiceClient):
    """Client of SagaCoordinatorService."""

    services: ClassVar[tuple[Service, ...]] = (SAGA_COORDINATOR,)

    async def execute(self, request: SagaHandleRequest, timeout: float | None = None) -> SagaResponse:
        """Let the sagas react to events.

        Args and errors are those of ``CommandHandlerClient.handle_command``.
        """
        return await self._calls.write(
            _EXECUTE, self.stub, request, correlation_id_of(request.source), timeout
        )

    async def execute_speculative(
        self, request: SpeculateSagaRequest, timeout: float | None = None
    ) -> SagaResponse:
        """What the sagas would do; nothing is stored.

        Args and errors are those of ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            _EXECUTE_SPECULATIVE, self.stub, request, correlation_id_of(request.request.source), timeout
        )
