"""The coordinator's services on sockets, and business servers reached over them, through grpclib."""

import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from grpclib import GRPCError
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.server import Stream

from angzarr import codec
from angzarr.errors import DecodeError
from angzarr.messages.services import Rpc, Service

_DRAIN = 65_536


class MessageCodec(CodecBase):
    """Messages of the contract by angzarr's own codec; bytes pass as they are."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """The message's bytes."""
        return message if isinstance(message, bytes) else codec.encode(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        """The message, or the bytes where bytes are asked for."""
        return data if message_type is bytes else codec.decode(message_type, data)


class RawDetails(StatusDetailsCodecBase):
    """Error details as bytes: what came from a handler goes to the client unread.

    Args:
        limit: bytes of details that are sent; None for no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """The details, or nothing where they are too large for a trailer."""
        if not isinstance(details, bytes) or (self._limit is not None and len(details) > self._limit):
            return b""
        return details

    def decode(self, status: Status, message: str | None, data: bytes) -> bytes:
        """The details as they came."""
        return data


class Served:
    """A service object as grpclib serves it.

    Args:
        service: its description.
        target: the object with a method per RPC.
        limit: bytes of one message, both ways.
    """

    def __init__(self, service: Service, target: object, limit: int) -> None:
        self._service = service
        self._target = target
        self._limit = limit

    def __mapping__(self) -> Mapping[str, Handler]:
        """Path → what handles it."""
        return {rpc.path: self._handler(rpc) for rpc in self._service.rpcs.values()}

    def _handler(self, rpc: Rpc) -> Handler:
        method = getattr(self._target, rpc.python_name)
        return Handler(self._function(rpc, method), _cardinality(rpc), rpc.request, rpc.response)

    def _function(self, rpc: Rpc, method: Callable[..., Any]) -> Callable[[Any], Any]:
        async def unary(stream: Any) -> None:
            request = await receive(stream, rpc.request, self._limit)
            if request is None:
                raise GRPCError(Status.INVALID_ARGUMENT, f"{rpc.name} needs a request")
            await self._send(stream, await method(request))

        async def server_streaming(stream: Any) -> None:
            request = await receive(stream, rpc.request, self._limit)
            async for answer in method(request):
                await self._send(stream, answer)

        async def both_streaming(stream: Any) -> None:
            async for answer in method(self._requests(stream, rpc)):
                await self._send(stream, answer)

        return both_streaming if rpc.client_streaming else server_streaming if rpc.server_streaming else unary

    async def _requests(self, stream: Any, rpc: Rpc) -> AsyncIterator[Any]:
        while (request := await receive(stream, rpc.request, self._limit)) is not None:
            yield request

    async def _send(self, stream: Any, answer: Any) -> None:
        data = answer if isinstance(answer, bytes) else codec.encode(answer)
        if len(data) > self._limit:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED,
                f"The answer has {len(data)} bytes, at most {self._limit} are sent: ask for a range",
            )
        await stream.send_message(data)


def _cardinality(rpc: Rpc) -> Cardinality:
    if rpc.client_streaming:
        return Cardinality.STREAM_STREAM
    return Cardinality.UNARY_STREAM if rpc.server_streaming else Cardinality.UNARY_UNARY


async def receive(stream: Stream[Any, Any], message_type: type, limit: int) -> Any:
    """The next message of a stream, or None at its end.

    Raises:
        GRPCError: RESOURCE_EXHAUSTED, it is above the limit, and is not decoded; INVALID_ARGUMENT, it cannot be
            decoded, with the field; UNIMPLEMENTED, it is compressed.
    """
    body = stream._stream
    head = await body.recv_data(5)
    if not head:
        return None
    compressed, size = struct.unpack(">?I", head)
    if size > limit:
        # Unread bytes would use up the connection's window for all its other calls.
        for start in range(0, size, _DRAIN):
            await body.recv_data(min(_DRAIN, size - start))
        raise GRPCError(
            Status.RESOURCE_EXHAUSTED, f"The message has {size} bytes, at most {limit} are accepted"
        )
    data = await body.recv_data(size)
    if compressed:
        raise GRPCError(Status.UNIMPLEMENTED, "Compressed messages are not accepted: send them uncompressed")
    try:
        return codec.decode(message_type, data)
    except DecodeError as error:
        raise GRPCError(Status.INVALID_ARGUMENT, f"Malformed {message_type.__name__}: {error}") from error


def served(services: Iterable[tuple[Service, object]], limit: int) -> list[Served]:
    """Service objects as grpclib serves them."""
    return [Served(service, target, limit) for service, target in services]
