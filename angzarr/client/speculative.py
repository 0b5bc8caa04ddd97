"""Asking what would happen."""

from typing import Any, ClassVar, Self

from angzarr.client.base import BaseClient
from angzarr.client.calls import Method
from angzarr.messages import (
    CommandResponse,
    ProcessManagerHandleResponse,
    Projection,
    SagaResponse,
    SpeculateCommandHandlerRequest,
    SpeculatePmRequest,
    SpeculateProjectorRequest,
    SpeculateSagaRequest,
    correlation_id_of,
)
from angzarr.messages.services import (
    COMMAND_HANDLER_COORDINATOR,
    PROCESS_MANAGER_COORDINATOR,
    PROJECTOR_COORDINATOR,
    SAGA_COORDINATOR,
    Service,
)

_COMMAND_HANDLER = Method.of(COMMAND_HANDLER_COORDINATOR, "HandleSyncSpeculative", CommandResponse)
_SAGA = Method.of(SAGA_COORDINATOR, "ExecuteSpeculative", SagaResponse)
_PROJECTOR = Method.of(PROJECTOR_COORDINATOR, "HandleSpeculative", Projection)
_PROCESS_MANAGER = Method.of(PROCESS_MANAGER_COORDINATOR, "HandleSpeculative", ProcessManagerHandleResponse)


class SpeculativeClient(BaseClient):
    """Client of the speculative RPC of every coordinator service. Nothing is stored, every call is retried like a read.

    Each method takes a request and a timeout (seconds for all attempts together; None for the channel's default) and
    raises what ``QueryClient.get_event_book`` raises.
    """

    services: ClassVar[tuple[Service, ...]] = (
        COMMAND_HANDLER_COORDINATOR,
        SAGA_COORDINATOR,
        PROJECTOR_COORDINATOR,
        PROCESS_MANAGER_COORDINATOR,
    )

    @classmethod
    def from_stubs(cls, command_handler_stub: Any, saga_stub: Any, projector_stub: Any, pm_stub: Any) -> Self:
        """A client over four stubs. It owns nothing."""
        return cls._composed((command_handler_stub, saga_stub, projector_stub, pm_stub))

    async def command_handler(
        self, request: SpeculateCommandHandlerRequest, timeout: float | None = None
    ) -> CommandResponse:
        """What a command would do."""
        return await self._calls.read(
            _COMMAND_HANDLER, self._stubs[0], request, correlation_id_of(request.command), timeout
        )

    async def saga(self, request: SpeculateSagaRequest, timeout: float | None = None) -> SagaResponse:
        """What a saga would do about events."""
        return await self._calls.read(
            _SAGA, self._stubs[1], request, correlation_id_of(request.request.source), timeout
        )

    async def projector(self, request: SpeculateProjectorRequest, timeout: float | None = None) -> Projection:
        """What a projector would make of events."""
        return await self._calls.read(
            _PROJECTOR, self._stubs[2], request, correlation_id_of(request.events), timeout
        )

    async def process_manager(
        self, request: SpeculatePmRequest, timeout: float | None = None
    ) -> ProcessManagerHandleResponse:
        """What a process manager would do about events."""
        return await self._calls.read(
            _PROCESS_MANAGER, self._stubs[3], request, correlation_id_of(request.request.trigger), timeout
        )
