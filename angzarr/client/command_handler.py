"""Sending commands and facts."""

import uuid
from typing import ClassVar

from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.client.command_builder import CommandBuilder
from angzarr.client.failures import refused_argument
from angzarr.client.query import QueryClient
from angzarr.messages import (
    BusinessResponse,
    CascadeErrorMode,
    CommandBook,
    CommandRequest,
    CommandResponse,
    EventRequest,
    FactInjectionResponse,
    SpeculateCommandHandlerRequest,
    SyncMode,
    correlation_id_of,
)
from angzarr.messages.services import COMMAND_HANDLER_COORDINATOR, Service

_HANDLE_COMMAND = Method.of(COMMAND_HANDLER_COORDINATOR, "HandleCommand", CommandResponse)
_HANDLE_EVENT = Method.of(COMMAND_HANDLER_COORDINATOR, "HandleEvent", FactInjectionResponse)
_HANDLE_COMPENSATION = Method.of(COMMAND_HANDLER_COORDINATOR, "HandleCompensation", BusinessResponse)
_HANDLE_SYNC_SPECULATIVE = Method.of(COMMAND_HANDLER_COORDINATOR, "HandleSyncSpeculative", CommandResponse)


class CommandHandlerClient(SingleServiceClient):
    """Client of CommandHandlerCoordinatorService.

    A command is sent again only when the server certainly never saw it, unless ``retry_commands=True``.
    """

    services: ClassVar[tuple[Service, ...]] = (COMMAND_HANDLER_COORDINATOR,)

    _queries: QueryClient | None = None

    def command(self, domain: str, root: uuid.UUID | bytes | str) -> CommandBuilder:
        """Start a command for an aggregate."""
        return CommandBuilder(self, domain, root)

    def command_new(self, domain: str) -> CommandBuilder:
        """Start a command for a new aggregate, whose root is a fresh UUID."""
        return CommandBuilder(self, domain, uuid.uuid4())

    async def handle_command(self, request: CommandRequest, timeout: float | None = None) -> CommandResponse:
        """Execute a command.

        Args:
            request: the command and its modes.
            timeout: seconds for all attempts together; None for the channel's default.

        Returns:
            The new events, and the projections the sync mode waited for.

        Raises:
            OutcomeUnknownError: it may or may not have been executed: the connection broke or the time ran out after
                it was sent.
            GRPCError: the server refused it; ``code`` and ``details`` say why, ``current_events`` after a stale
                sequence.
            ConnectionError: CONNECTION_FAILED, no connection could be made; it was not executed.
            TransportError: TRANSPORT_ERROR, the client is closed, or the server never saw it; it was not executed.
        """
        return await self._calls.write(
            _HANDLE_COMMAND, self.stub, request, correlation_id_of(request.command), timeout
        )

    async def handle(self, command: CommandBook, timeout: float | None = None) -> CommandResponse:
        """Execute a command without waiting for what it causes (ASYNC, FAIL_FAST).

        Args and errors are those of ``handle_command``.
        """
        request = CommandRequest(
            command=command,
            sync_mode=SyncMode.ASYNC,
            cascade_error_mode=CascadeErrorMode.CASCADE_ERROR_FAIL_FAST,
        )
        return await self.handle_command(request, timeout)

    async def handle_event(
        self, request: EventRequest, timeout: float | None = None
    ) -> FactInjectionResponse:
        """Take in facts from outside.

        Args and errors are those of ``handle_command``.
        """
        return await self._calls.write(
            _HANDLE_EVENT, self.stub, request, correlation_id_of(request.events), timeout
        )

    async def handle_compensation(
        self, request: CommandRequest, timeout: float | None = None
    ) -> BusinessResponse:
        """Deliver a rejection to the aggregate that caused the rejected command.

        Args and errors are those of ``handle_command``.
        """
        return await self._calls.write(
            _HANDLE_COMPENSATION, self.stub, request, correlation_id_of(request.command), timeout
        )

    async def handle_sync_speculative(
        self, request: SpeculateCommandHandlerRequest, timeout: float | None = None
    ) -> CommandResponse:
        """What a command would do, now or at a point of the past; nothing is stored. Retried like a read.

        Args:
            request: the command, and the point in time.
            timeout: seconds for all attempts together; None for the channel's default.

        Raises:
            ClientError: as ``QueryClient.get_event_book``.
        """
        return await self._calls.read(
            _HANDLE_SYNC_SPECULATIVE, self.stub, request, correlation_id_of(request.command), timeout
        )

    @property
    def queries(self) -> QueryClient:
        """A client that reads the events of the same coordinator.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, this one was made from a stub that has no queries.
        """
        if self._queries is None:
            self._queries = self._query_client()
        return self._queries

    def _query_client(self) -> QueryClient:
        if self._channel is not None:
            return QueryClient._sharing(self)
        if hasattr(self.stub, "get_event_book"):
            return QueryClient._composed((self.stub,), self._calls)
        raise refused_argument(
            "a client made from_stub cannot query; take DomainClient.command_handler", "client"
        )
