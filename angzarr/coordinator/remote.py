"""Business servers in other processes and languages behind the seam, over gRPC."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import errors
from angzarr.client.channel import Channel
from angzarr.client.endpoint import parse_endpoint
from angzarr.client.stub import ChannelStub
from angzarr.messages import (
    BusinessResponse,
    ContextualCommand,
    EventBook,
    FactRequest,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    ReplayRequest,
    ReplayResponse,
    SagaHandleRequest,
    SagaResponse,
    UpcastRequest,
    UpcastResponse,
)
from angzarr.messages.services import COMMAND_HANDLER, PROCESS_MANAGER, PROJECTOR, SAGA, UPCASTER, Service

_ATTEMPTS = 3
_FIRST_PAUSE = 0.05


class Remote:
    """One service of a server in another process. Connects at the first call, and again after a break.

    Handlers only decide, so a call that found no server is simply made again, a few times.

    Args:
        endpoint: where it is, as clients take it.
        service: which of its services.

    Raises:
        InvalidArgumentError: ENDPOINT_INVALID_URI.
    """

    def __init__(self, endpoint: str, service: Service) -> None:
        self._endpoint = parse_endpoint(endpoint)
        self._service = service
        self._channel: Channel | None = None
        self._stub: Any = None

    async def close(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.aclose()

    async def call(self, method: Callable[[Any], Any], request: Any) -> Any:
        """Call a method of the stub.

        Raises:
            GRPCError: the server's own, unchanged; UNAVAILABLE, it cannot be reached.
        """
        if self._channel is None:
            self._channel = Channel(self._endpoint)
            self._stub = ChannelStub(self._channel, self._service)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await method(self._stub)(request)
            except errors.GRPCError as error:
                status = error.status()
                raise GRPCError(status.status, status.message, status.details) from error
            except (errors.ConnectionError, errors.TransportError) as error:
                if attempt == _ATTEMPTS:
                    raise self._unreachable(error) from error
            await asyncio.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _unreachable(self, error: errors.ClientError) -> GRPCError:
        cause = error.details.get("cause") or error.cause or error.message
        return GRPCError(
            Status.UNAVAILABLE,
            f"{self._service.short_name} at {self._endpoint.text} cannot be reached: {cause}; is it running?",
        )


class RemoteHandler(Remote):
    """A command handler server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, COMMAND_HANDLER)

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        """See HandlerEndpoint.handle."""
        answer: BusinessResponse = await self.call(lambda stub: stub.handle, request)
        return answer

    async def handle_fact(self, request: FactRequest) -> EventBook:
        """See HandlerEndpoint.handle_fact."""
        answer: EventBook = await self.call(lambda stub: stub.handle_fact, request)
        return answer

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        """See HandlerEndpoint.replay."""
        answer: ReplayResponse = await self.call(lambda stub: stub.replay, request)
        return answer


class RemoteSaga(Remote):
    """A saga server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, SAGA)

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        """See SagaEndpoint.handle."""
        answer: SagaResponse = await self.call(lambda stub: stub.handle, request)
        return answer


class RemoteProcessManager(Remote):
    """A process manager server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, PROCESS_MANAGER)

    async def handle(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        """See ProcessManagerEndpoint.handle."""
        answer: ProcessManagerHandleResponse = await self.call(lambda stub: stub.handle, request)
        return answer


class RemoteProjector(Remote):
    """A projector server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, PROJECTOR)

    async def handle(self, book: EventBook) -> Projection:
        """See ProjectorEndpoint.handle."""
        answer: Projection = await self.call(lambda stub: stub.handle, book)
        return answer

    async def handle_speculative(self, book: EventBook) -> Projection:
        """See ProjectorEndpoint.handle_speculative."""
        answer: Projection = await self.call(lambda stub: stub.handle_speculative, book)
        return answer


class RemoteUpcaster(Remote):
    """An upcaster server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, UPCASTER)

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        """See UpcasterEndpoint.upcast."""
        answer: UpcastResponse = await self.call(lambda stub: stub.upcast, request)
        return answer
