"""The coordinator's service objects as grpclib serves them."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from grpclib import GRPCError
from grpclib.const import Cardinality, Handler

from angzarr.coordinator.asking import caller_waits
from angzarr.messages.services import Rpc, Service
from angzarr.server.trailers import OUR_ROOM, is_our_client

trailers: ContextVar[list[tuple[str, str]] | None] = ContextVar("angzarr_trailers", default=None)
"""What the call being served adds to its trailing metadata; None where there is no wire."""


class Served:
    """A service object with its RPCs' paths.

    Args:
        service: its description.
        target: the object with a method per RPC.
        max_details: bytes of error details that are sent; larger ones are left out.
    """

    def __init__(self, service: Service, target: object, max_details: int) -> None:
        self._service = service
        self._target = target
        self._max_details = max_details

    def __mapping__(self) -> Mapping[str, Handler]:
        """Path → what handles it."""
        return {rpc.path: self._handler(rpc) for rpc in self._service.rpcs.values()}

    def _handler(self, rpc: Rpc) -> Handler:
        method = getattr(self._target, rpc.python_name)
        encoded = getattr(self._target, f"{rpc.python_name}_bytes", None)
        if rpc.client_streaming:
            function, cardinality = _both_streaming(method), Cardinality.STREAM_STREAM
        elif rpc.server_streaming:
            function, cardinality = _server_streaming(method), Cardinality.UNARY_STREAM
        else:
            function, cardinality = _unary(method, encoded), Cardinality.UNARY_UNARY
        return Handler(self._with_small_details(function), cardinality, rpc.request, rpc.response)

    def _with_small_details(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def handle(stream: Any) -> None:
            try:
                await function(stream)
            except GRPCError as error:
                if isinstance(error.details, bytes) and len(error.details) > self._room(stream):
                    raise GRPCError(error.status, error.message) from error
                raise

        return handle

    def _room(self, stream: Any) -> int:
        """Bytes of details that the client takes: our own reads longer trailers than foreign ones do."""
        if not is_our_client(getattr(stream, "user_agent", None)):
            return self._max_details
        return max(self._max_details, OUR_ROOM * 3 // 4)  # base64 makes four of three


def _unary(method: Callable[..., Any], encoded: Callable[..., Any] | None) -> Callable[[Any], Any]:
    async def handle(stream: Any) -> None:
        if encoded is not None and hasattr(stream, "send_bytes"):
            await stream.send_bytes(await encoded(await stream.recv_message()))
            return
        added: list[tuple[str, str]] = []
        trailers.set(added)
        deadline = stream.deadline
        with caller_waits(None if deadline is None else deadline.time_remaining()):
            answer = await method(await stream.recv_message())
        await stream.send_message(answer)
        if added:
            await stream.send_trailing_metadata(metadata=added)

    return handle


def _server_streaming(method: Callable[..., Any]) -> Callable[[Any], Any]:
    async def handle(stream: Any) -> None:
        async for answer in method(await stream.recv_message()):
            await stream.send_message(answer)

    return handle


def _both_streaming(method: Callable[..., Any]) -> Callable[[Any], Any]:
    async def requests(stream: Any) -> AsyncIterator[Any]:
        while (request := await stream.recv_message()) is not None:
            yield request

    async def handle(stream: Any) -> None:
        async for answer in method(requests(stream)):
            await stream.send_message(answer)

    return handle


def served(services: Iterable[tuple[Service, object]], max_details: int) -> list[Served]:
    """Service objects as grpclib serves them."""
    return [Served(service, target, max_details) for service, target in services]
