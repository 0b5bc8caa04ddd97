"""One call as its handler sees it: grpclib's server stream with a size limit and answers that leave in one write."""

import struct
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import encode_metadata
from grpclib.server import Stream
from h2.exceptions import StreamClosedError
from multidict import MultiDict

from angzarr.error_codes import codes
from angzarr.http2.answers import OPENING, PLAIN_OK
from angzarr.router.status import coded
from angzarr.server import compression
from angzarr.server.trailers import fitted, room_for, trailers_of
from angzarr.server.wire import EndedTooSoonError

if TYPE_CHECKING:
    from angzarr.http2.stock import StockServer

Request = TypeVar("Request")
Reply = TypeVar("Reply")

_PREFIX = struct.Struct(">BI")
_Headers = list[tuple[str, str]]
_Metadata = Any


class ServerStream(Stream[Request, Reply], Generic[Request, Reply]):
    """grpclib's ``Stream`` for handlers of a `GrpcServer`.

    The answer of a unary method is held back until the method returns, so that headers, message and status are one
    write and a method that raises after answering still fails cleanly.
    """

    def __init__(
        self, *args: Any, max_message_bytes: int, encoding: str = compression.IDENTITY, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._limit = max_message_bytes
        self._encoding = encoding
        self._stream_id = cast("int", self._stream.id)
        self._reply: bytes | None = None

    async def recv_message(self) -> Request | None:
        """Receive the next message, or None after the last.

        Raises:
            grpclib.GRPCError: as `recv_bytes`.
            DecodeError: its bytes are no encoding of the request.
        """
        data = await self.recv_bytes()
        return None if data is None else self._codec.decode(data, self._recv_type)

    async def recv_bytes(self) -> bytes | None:
        """Receive the next message as it was sent, or None after the last.

        Raises:
            grpclib.GRPCError: RESOURCE_EXHAUSTED, the message is above the limit (nothing of it is read), or would be
                once decompressed; UNIMPLEMENTED, a method that takes one message was sent none; INTERNAL, it ends
                before its end, or is not compressed as the call says.
        """
        prefix = await self._read(_PREFIX.size)
        if not prefix:
            if self._cardinality.client_streaming or self._messages_received:
                return None
            raise GRPCError(Status.UNIMPLEMENTED, f"{self._method_name} takes one message and got none")
        compressed, size = _PREFIX.unpack(prefix)
        if size > self._limit:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED,
                f"received message of {size} bytes exceeds the limit of {self._limit} bytes",
            )
        self._messages_received += 1
        data = await self._read(size)
        return compression.decompressed(data, self._encoding, self._limit) if compressed else data

    async def _read(self, size: int) -> bytes:
        try:
            return await self._stream.buffer.read(size)
        except EndedTooSoonError:
            raise GRPCError(Status.INTERNAL, "the request ended in the middle of a message") from None

    async def send_initial_metadata(self, *, metadata: _Metadata = None) -> None:
        """Send headers now; without this call they leave with the first message or the status."""
        self._require_client()
        await self._stream.send_headers([*OPENING, *encode_metadata(MultiDict(metadata or ()))])
        self._send_initial_metadata_done = True

    async def send_message(self, message: Reply) -> None:
        """Send a message; a unary method sends one, a server-streaming method as many as it likes.

        Raises:
            grpclib.GRPCError: RESOURCE_EXHAUSTED, the message is above the limit.
        """
        await self.send_bytes(self._codec.encode(message, self._send_type))

    async def send_bytes(self, body: bytes) -> None:
        """Send a message that is encoded already.

        Raises:
            grpclib.GRPCError: RESOURCE_EXHAUSTED with ANSWER_TOO_LARGE, the message is above the limit: what was asked
                for is done, and nobody can be told.
        """
        if len(body) > self._limit:
            text = f"answer of {len(body)} bytes exceeds the limit of {self._limit} bytes"
            raise coded(Status.RESOURCE_EXHAUSTED, text, codes.ANSWER_TOO_LARGE, {})
        framed = _PREFIX.pack(0, len(body)) + body
        self._send_message_done = True
        self._messages_sent += 1
        if self._cardinality.server_streaming:
            await self._write([] if self._send_initial_metadata_done else OPENING, framed)
        else:
            self._reply = framed

    async def send_trailing_metadata(
        self,
        *,
        status: Status = Status.OK,
        status_message: str | None = None,
        status_details: Any = None,
        metadata: _Metadata = None,
    ) -> None:
        """End the call; done for the handler when it returns or raises.

        Args:
            status: the result.
            status_message: what went wrong, for people.
            status_details: bytes for ``grpc-status-details-bin``, or None.
            metadata: trailing metadata.
        """
        if status_message or status_details:
            room = room_for(self.user_agent)
            status_message, status_details = fitted(status_message, status_details, room)
        trailers = trailers_of(status, status_message, status_details)
        if metadata:
            trailers.extend(encode_metadata(MultiDict(metadata)))
        self._send_trailing_metadata_done = True
        body = self._reply if status is Status.OK else None
        opening = [] if self._send_initial_metadata_done else OPENING
        if body is None:
            self._require_client()
            await self._stream.send_headers([*opening, *trailers], end_stream=True)
        else:
            await self._write(opening, body, trailers)
        if self._stream.closable:  # the client is still sending; nobody will read it
            self._stream.reset_nowait()

    async def finish(self) -> None:
        """End the call with OK after the handler returned; a unary method that sent nothing is INTERNAL."""
        if self._send_trailing_metadata_done or self._cancel_done:
            return
        if self._cardinality.server_streaming or self._reply is not None:
            await self.send_trailing_metadata()
        else:
            await self.fail(GRPCError(Status.INTERNAL, f"{self._method_name} returned without an answer"))

    async def fail(self, error: GRPCError) -> None:
        """End the call with the status of an error, unless it has ended or the client has gone."""
        if self._send_trailing_metadata_done or self._cancel_done or self.gone:
            return
        details = error.details if isinstance(error.details, bytes) else None
        await self.send_trailing_metadata(
            status=error.status, status_message=error.message, status_details=details
        )

    def fail_now(self, status: Status, message: str) -> None:
        """End the call without waiting for the client to read, even in the middle of a message."""
        if self._send_trailing_metadata_done or self.gone:
            return
        opening = [] if self._send_initial_metadata_done else OPENING
        self._send_trailing_metadata_done = True
        h2, stream_id = self._stream._h2_connection, self._stream_id
        h2.send_headers(stream_id, [*opening, *trailers_of(status, message, None)], end_stream=True)
        self._stream.connection.flush()

    @property
    def gone(self) -> bool:
        """Whether the client has cancelled the call or the connection is closed."""
        return not self._stream.closable

    def _require_client(self) -> None:
        if self._stream_id not in self._stream._h2_connection.streams or self._stream.connection.is_closing():
            raise StreamClosedError(self._stream_id)

    async def _write(self, opening: _Headers, body: bytes, trailers: _Headers | None = None) -> None:
        """Headers, a message and trailers, in one write when the client's window and ours have room."""
        stream = self._stream
        await stream.connection.write_ready.wait()
        h2, stream_id = stream._h2_connection, self._stream_id
        self._require_client()
        if (
            opening is OPENING
            and trailers == PLAIN_OK
            and cast("StockServer", h2).send_answer(stream_id, body)
        ):
            self._send_initial_metadata_done = True
            stream.connection.flush()
            return
        if opening:
            h2.send_headers(stream_id, opening)
            self._send_initial_metadata_done = True
        if len(body) <= h2.local_flow_control_window(stream_id):
            step = h2.max_outbound_frame_size
            for start in range(0, len(body), step):
                h2.send_data(stream_id, body[start : start + step])
        else:
            await stream.send_data(body)
        if trailers is not None:
            h2.send_headers(stream_id, trailers, end_stream=True)
        stream.connection.flush()
