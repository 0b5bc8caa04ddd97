"""Business servers in other processes and languages behind the seam, over gRPC."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import errors
from angzarr._gen.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse
from angzarr.client import failures
from angzarr.client.channel import Channel
from angzarr.client.endpoint import parse_endpoint
from angzarr.client.stub import ChannelStub
from angzarr.coordinator.asking import OutOfTimeError, seconds_left
from angzarr.messages import (
    BusinessResponse,
    ContextualCommand,
    Cover,
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
    correlated_metadata,
)
from angzarr.messages.services import (
    COMMAND_HANDLER,
    PROCESS_MANAGER,
    PROJECTOR,
    SAGA,
    UPCASTER,
    Service,
    service,
)
from angzarr.server.health import SERVING, ServingStatus

_ATTEMPTS = 3
_FIRST_PAUSE = 0.05
_HEALTH = service("grpc.health.v1.Health", Check=(HealthCheckRequest, HealthCheckResponse))


class UnreachableError(GRPCError):
    """UNAVAILABLE, because a business server could not be reached: nobody has looked at the request."""


class Remote:
    """One service of a server in another process. Connects at the first call, and again after a break.

    Handlers only decide, so a call that found no server, or none that would take it, is simply made again, a few times.

    Args:
        endpoint: where it is, as clients take it.
        service: which of its services.

    Attributes:
        failure: why it could not be reached when it was last tried; ``""`` when it could, or has not been tried.

    Raises:
        InvalidArgumentError: ENDPOINT_INVALID_URI.
    """

    def __init__(self, endpoint: str, service: Service) -> None:
        self._endpoint = parse_endpoint(endpoint)
        self._service = service
        self._channel: Channel | None = None
        self._stubs: dict[str, ChannelStub] = {}
        self.failure: str = ""

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._endpoint.text

    async def close(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.aclose()

    def _stub(self, service: Service) -> Any:
        stub = self._stubs.get(service.full_name)
        if stub is None:
            self._channel = self._channel or Channel(self._endpoint)
            stub = self._stubs[service.full_name] = ChannelStub(self._channel, service)
        return stub

    async def call(self, method: Callable[[Any], Any], request: Any, cover: Cover | None = None) -> Any:
        """Call a method of the stub.

        Args:
            method: takes it from the stub.
            request: what it is called with.
            cover: whose correlation id goes along as metadata; None for none.

        Raises:
            GRPCError: the server's own, unchanged.
            OutOfTimeError: the deadline of which the server was told, the coordinator's or its caller's, has passed.
            UnreachableError: it cannot be reached.
        """
        metadata = None
        if cover is not None and cover.correlation_id:
            metadata = correlated_metadata(cover.correlation_id)
        for attempt in range(1, _ATTEMPTS + 1):
            left = seconds_left()
            if left is not None and left <= 0:
                raise OutOfTimeError
            try:
                asked = method(self._stub(self._service))
                answer = await asked(request, timeout=left, metadata=metadata)
                self.failure = ""
                return answer
            except errors.ClientError as error:
                if _ran_out(error):
                    raise OutOfTimeError from error
                if not failures.is_retryable(error) or attempt == _ATTEMPTS:
                    raise self._failed(error) from error
            await asyncio.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _failed(self, error: errors.ClientError) -> GRPCError:
        lost = not isinstance(error, errors.GRPCError) or isinstance(error, _LOST)
        if not (lost and error.is_connection_error()):
            self.failure = ""
            return _as_it_came(error)
        self.failure = _reason(error)
        return UnreachableError(
            Status.UNAVAILABLE,
            f"{self._service.short_name} at {self.address} cannot be reached: {self.failure};"
            " start it, or correct the endpoint; nothing was stored",
        )

    async def check(self) -> str:
        """Ask for the server's health; answers what is wrong with it, ``""`` for nothing.

        A server without a health service is well when it can be reached.
        """
        try:
            answer: HealthCheckResponse = await self._stub(_HEALTH).check(HealthCheckRequest())
        except errors.ClientError as error:
            unserved = isinstance(error, errors.GRPCError) and error.grpc_code in _REACHED
            self.failure = "" if unserved else _reason(error)
        else:
            said = ServingStatus(int(answer.status))
            self.failure = "" if said == SERVING else f"its health service says {said.name}"
        return self.failure


def _ran_out(error: errors.ClientError) -> bool:
    """Whether a call was ended because its time is over, whichever side noticed first."""
    left = seconds_left()
    ended = isinstance(error, errors.GRPCError) and error.grpc_code in _ENDED
    return ended and left is not None and left < _NEARLY_OVER


_ENDED = frozenset({Status.DEADLINE_EXCEEDED, Status.CANCELLED})
_NEARLY_OVER = 0.02
_LOST = (failures.NoAnswerError, failures.NotSentError)
_REACHED = frozenset({Status.UNIMPLEMENTED, Status.NOT_FOUND})


def _as_it_came(error: errors.ClientError) -> GRPCError:
    if not isinstance(error, errors.GRPCError):
        return GRPCError(Status.INTERNAL, str(error))
    status = error.status()
    return GRPCError(status.status, status.message, status.details)


def _reason(error: errors.ClientError) -> str:
    if isinstance(error, errors.GRPCError):
        return f"{error.grpc_code.name}: {error.grpc_details}"
    return str(error.details.get("cause") or error.cause or error.message)


class RemoteHandler(Remote):
    """A command handler server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, COMMAND_HANDLER)

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        """See HandlerEndpoint.handle."""
        answer: BusinessResponse = await self.call(lambda stub: stub.handle, request, request.command.cover)
        return answer

    async def handle_fact(self, request: FactRequest) -> EventBook:
        """See HandlerEndpoint.handle_fact."""
        answer: EventBook = await self.call(lambda stub: stub.handle_fact, request, request.facts.cover)
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
        answer: SagaResponse = await self.call(lambda stub: stub.handle, request, request.source.cover)
        return answer


class RemoteProcessManager(Remote):
    """A process manager server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, PROCESS_MANAGER)

    async def handle(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        """See ProcessManagerEndpoint.handle."""
        answer: ProcessManagerHandleResponse = await self.call(
            lambda stub: stub.handle, request, request.trigger.cover
        )
        return answer


class RemoteProjector(Remote):
    """A projector server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, PROJECTOR)

    async def handle(self, book: EventBook) -> Projection:
        """See ProjectorEndpoint.handle."""
        answer: Projection = await self.call(lambda stub: stub.handle, book, book.cover)
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
