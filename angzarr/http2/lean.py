"""The sending half of our HTTP/2 connection, as far as both of its ends have it."""

from collections.abc import Iterable

from h2.exceptions import FlowControlError, FrameTooLargeError, StreamClosedError

from angzarr.http2 import frames
from angzarr.http2.headers import LiteralEncoder
from angzarr.http2.patience import SENT
from angzarr.http2.receiving import Receiver, Stream

_STRAGGLERS = 3
"""Frames that may be on their way when a stream is broken off here."""
_TABLE_OF_NOTHING = b"\x20"


class _Open:
    """What grpclib's own streams look at before they reset themselves."""

    state = None


class LeanConnection(Receiver):
    """One end of an HTTP/2 connection; it does no input or output itself.

    Args:
        window: bytes the peer may send ahead, on each stream and on the connection.
    """

    def __init__(self, window: int) -> None:
        super().__init__(window)
        self._encoder = LiteralEncoder()
        self.state_machine: _Open = _Open()

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

    def _announce(self, *settings: tuple[int, int]) -> None:
        """Send our settings, and open the connection's window as far as those of streams."""
        settings = (
            *settings,
            (frames.INITIAL_WINDOW_SIZE, self._window),
            (frames.MAX_HEADER_LIST_SIZE, frames.OUR_MAX_HEADERS),
        )
        payload = b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings)
        self._frame(frames.SETTINGS, 0, 0, payload)
        if self._window > frames.FIRST_WINDOW:
            self._frame(frames.WINDOW_UPDATE, 0, 0, (self._window - frames.FIRST_WINDOW).to_bytes(4))

    def _send_header_block(
        self, stream_id: int, headers: Iterable[tuple[str, str]], end_stream: bool
    ) -> None:
        block = self._encoder.encode(headers)
        if (
            self._forget_table
        ):  # HPACK wants that said first when the peer has made its table smaller; none is used
            self._forget_table = False
            block = _TABLE_OF_NOTHING + block
        kind, flags = frames.HEADERS, frames.END_STREAM if end_stream else 0
        size = self.max_outbound_frame_size
        while len(block) > size:
            self._frame(kind, flags, stream_id, block[:size])
            kind, flags, block = frames.CONTINUATION, 0, block[size:]
        self._frame(kind, flags | frames.END_HEADERS, stream_id, block)
