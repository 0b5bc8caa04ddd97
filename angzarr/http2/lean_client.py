"""HTTP/2 for a client of gRPC: the part of h2's connection that grpclib and our streams use, at a fifth of its cost.

h2 serves every kind of HTTP/2 peer; a gRPC client opens streams, sends one kind of headers, and never accepts a push.
The methods and events are h2's, so either can stand under a channel (``ChannelConfig.http2``), and a test holds them
equal on generated conversations. Checks and limits are those of RFC 9113 as h2 enforces them, and two that it does
not: a frame that is too long is refused by its header, not after megabytes of it; and a flood of frames that help no
call ends the connection (``angzarr.http2.patience``). A content-length is nobody's measure: windows, frames and
gRPC's own prefixes are.
"""

from typing import Any

from h2.events import Event, ResponseReceived, TrailersReceived
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError

from angzarr.http2 import frames
from angzarr.http2.headers import Pairs, Prepared
from angzarr.http2.lean import LeanConnection
from angzarr.http2.patience import SENT
from angzarr.http2.receiving import Stream


class LeanClient(LeanConnection):
    """A client's end of an HTTP/2 connection; it does no input or output itself.

    Args:
        window: bytes the server may send ahead, on each stream and on the connection.
        before_settings: how many streams to open at once before the server has said how many it takes.
    """

    def __init__(self, window: int, before_settings: int) -> None:
        super().__init__(window)
        self.max_concurrent_streams: int = before_settings

    def let_open(self, streams: int) -> None:
        """Set how many streams may be open at once, as if the server had said so."""
        self.max_concurrent_streams = streams

    def initiate_connection(self) -> None:
        """Send the preface, our settings, and room for answers on the connection."""
        self._out += frames.PREFACE
        self._announce((frames.ENABLE_PUSH, 0))

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
        self._next_stream = stream_id + 2
        stream = self.streams[stream_id] = Stream(self._their_window, self._window)
        stream.ended_here = end_stream
        self._send_header_block(stream_id, headers, end_stream)

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

    def _require_headers_of(self, stream_id: int) -> None:
        self._require_used(stream_id)

    def _headers_came(self, stream_id: int, headers: Pairs, ends: bool, events: list[Event]) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            self._patience.spend()
            return
        if stream.ended_there:
            raise ProtocolError("headers after the end")
        if stream.received:
            if not ends:
                raise ProtocolError("trailers that do not end the stream")
            events.append(frames.event(TrailersReceived, stream_id=stream_id, headers=headers))
        elif frames.is_informational(headers):
            if ends:
                raise ProtocolError("an informational answer that ends the stream")
            self._patience.spend()
            return
        else:
            stream.received = True
            events.append(frames.event(ResponseReceived, stream_id=stream_id, headers=headers))
        if ends:
            self._end_there(stream_id, stream, events)
