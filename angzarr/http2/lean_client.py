"""HTTP/2 for a client of gRPC: the part of h2's connection that grpclib and our streams use, at a fifth of its cost.

h2 serves every kind of HTTP/2 peer; a gRPC client opens streams, sends one kind of headers, and never accepts a push.
The methods and events are h2's, so either can stand under a channel (``ChannelConfig.http2``), and a test holds them
equal on generated conversations. Checks and limits are those of RFC 9113 as h2 enforces them, and two that it does
not: a frame that is too long is refused by its header, not after megabytes of it; and a flood of frames that help no
call ends the connection (``angzarr.http2.patience``). A content-length is nobody's measure: windows, frames and
gRPC's own prefixes are.
"""

from typing import Any

from h2.exceptions import (
    FlowControlError,
    FrameTooLargeError,
    NoAvailableStreamIDError,
    StreamClosedError,
    TooManyStreamsError,
)

from angzarr.http2 import frames
from angzarr.http2.headers import LiteralEncoder, Prepared
from angzarr.http2.patience import SENT
from angzarr.http2.receiving import Receiver, Stream

_STRAGGLERS = 3
"""Frames that may be on their way when a stream is broken off here."""


class _Open:
    """What grpclib's own streams look at before they reset themselves."""

    state = None


class LeanClient(Receiver):
    """A client's end of an HTTP/2 connection; it does no input or output itself.

    Args:
        window: bytes the server may send ahead, on each stream and on the connection.
        before_settings: how many streams to open at once before the server has said how many it takes.
    """

    def __init__(self, window: int, before_settings: int) -> None:
        super().__init__(window, before_settings)
        self._encoder = LiteralEncoder()
        self.state_machine: _Open = _Open()

    def let_open(self, streams: int) -> None:
        """Set how many streams may be open at once, as if the server had said so."""
        self.max_concurrent_streams = streams

    def initiate_connection(self) -> None:
        """Send the preface, our settings, and room for answers on the connection."""
        self._out += frames.PREFACE
        settings = (
            (frames.ENABLE_PUSH, 0),
            (frames.INITIAL_WINDOW_SIZE, self._window),
            (frames.MAX_HEADER_LIST_SIZE, frames.OUR_MAX_HEADERS),
        )
        self._frame(
            frames.SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings)
        )
        if self._window > frames.FIRST_WINDOW:
            self._frame(frames.WINDOW_UPDATE, 0, 0, (self._window - frames.FIRST_WINDOW).to_bytes(4))

    def get_next_available_stream_id(self) -> int:
        """The id of the next stream.

        Raises:
            NoAvailableStreamIDError: all of the connection's are used up.
        """
        if self._next_stream > frames.LAST_STREAM:
            raise NoAvailableStreamIDError("every stream of the connection is used up")
        return self._next_stream

    def send_headers(self, stream_id: int, headers: Any, end_stream: bool = False) -> None:
        """Open a stream.

        Raises:
            TooManyStreamsError: the server takes no more at once.
        """
        if len(self.streams) >= self.max_concurrent_streams:
            raise TooManyStreamsError(f"{len(self.streams)} streams are open, the server takes no more")
        block = self._encoder.encode(headers)
        if self._forget_table:
            self._forget_table = False
            block = b"\x20" + block
        self._next_stream = stream_id + 2
        stream = self.streams[stream_id] = Stream(self._their_window, self._window)
        stream.ended_here = end_stream
        flags = frames.END_STREAM if end_stream else 0
        size = self.max_outbound_frame_size
        if len(block) <= size:
            self._frame(frames.HEADERS, flags | frames.END_HEADERS, stream_id, block)
            return
        self._frame(frames.HEADERS, flags, stream_id, block[:size])
        for start in range(size, len(block), size):
            last = frames.END_HEADERS if start + size >= len(block) else 0
            self._frame(frames.CONTINUATION, last, stream_id, block[start : start + size])

    def send_request(self, headers: Prepared, message: bytes) -> int | None:
        """Open a stream and send all of a request that has one message.

        Args:
            headers: of the request.
            message: with its gRPC prefix.

        Returns:
            The stream's id; None when it takes more than one step, and nothing was done.
        """
        stream_id, block, size = self._next_stream, headers.block, len(message)
        if (
            len(self.streams) >= self.max_concurrent_streams
            or stream_id > frames.LAST_STREAM
            or self._forget_table
            or size > self._send_window
            or size > self._their_window
            or max(size, len(block)) > self.max_outbound_frame_size
        ):
            return None
        self._next_stream = stream_id + 2
        stream = self.streams[stream_id] = Stream(self._their_window - size, self._window)
        stream.ended_here = True
        self._send_window -= size
        self._patience.earn(SENT)
        self._frame(frames.HEADERS, frames.END_HEADERS, stream_id, block)
        self._frame(frames.DATA, frames.END_STREAM, stream_id, message)
        return stream_id

    def send_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Send data.

        Raises:
            StreamClosedError: the stream has ended.
            FlowControlError: it is more than the window.
            FrameTooLargeError: it is more than a frame.
        """
        stream = self._sendable(stream_id)
        size = len(data)
        if size > min(self._send_window, stream.send_window):
            raise FlowControlError(f"{size} bytes do not fit into the window")
        if size > self.max_outbound_frame_size:
            raise FrameTooLargeError(f"{size} bytes do not fit into a frame")
        self._send_window -= size
        stream.send_window -= size
        self._patience.earn(SENT)
        self._frame(frames.DATA, frames.END_STREAM if end_stream else 0, stream_id, data)
        if end_stream:
            self._end_here(stream_id, stream)

    def end_stream(self, stream_id: int) -> None:
        """Say that nothing more is sent.

        Raises:
            StreamClosedError: the stream has ended.
        """
        self.send_data(stream_id, b"", end_stream=True)

    def reset_stream(self, stream_id: int, error_code: int = 0) -> None:
        """Break a stream off.

        Raises:
            StreamClosedError: the stream has ended.
        """
        if self.streams.pop(stream_id, None) is None:
            raise StreamClosedError(stream_id)
        self._patience.earn(_STRAGGLERS)
        self._frame(frames.RST_STREAM, 0, stream_id, int(error_code).to_bytes(4))

    def ping(self, data: bytes) -> None:
        """Ask for a sign of life, with 8 bytes that come back."""
        self._frame(frames.PING, 0, 0, data)

    def local_flow_control_window(self, stream_id: int) -> int:
        """How many bytes may be sent on a stream now.

        Raises:
            StreamClosedError: the stream has ended.
        """
        return min(self._send_window, self._sendable(stream_id).send_window)

    def _sendable(self, stream_id: int) -> Stream:
        stream = self.streams.get(stream_id)
        if stream is None or stream.ended_here:
            raise StreamClosedError(stream_id)
        return stream

    def _end_here(self, stream_id: int, stream: Stream) -> None:
        stream.ended_here = True
        if stream.ended_there:
            del self.streams[stream_id]
