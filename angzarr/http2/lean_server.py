"""HTTP/2 for a server of gRPC: the part of h2's connection that grpclib and our streams use, at a fraction of its cost.

What `angzarr.http2.lean_client` says holds of this end too: methods and events are h2's, so either can stand under a
server (``ServerOptions.http2``), and a test holds them equal on generated conversations.
"""

from typing import Any

from h2.events import Event, RequestReceived, TrailersReceived
from h2.exceptions import ProtocolError, StreamClosedError

from angzarr.http2 import frames
from angzarr.http2.answers import answer_frames
from angzarr.http2.headers import Pairs
from angzarr.http2.lean import LeanConnection
from angzarr.http2.patience import SENT
from angzarr.http2.receiving import Stream


class LeanServer(LeanConnection):
    """A server's end of an HTTP/2 connection; it does no input or output itself.

    A client may open more streams than it was told: refusing them, one by one, is the server's.

    Args:
        window: bytes the client may send ahead, on each stream and on the connection.
        most_streams: how many streams the client is told it may open at once.
    """

    def __init__(self, window: int, most_streams: int) -> None:
        super().__init__(window)
        self._most_streams = most_streams
        self._preface = frames.PREFACE

    @property
    def highest_inbound_stream_id(self) -> int:
        """The last stream the client opened; 0 before the first."""
        return max(0, self._next_stream - 2)

    def initiate_connection(self) -> None:
        """Send our settings, and room for requests on the connection."""
        self._announce((frames.MAX_CONCURRENT_STREAMS, self._most_streams))

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what came in.

        Returns:
            What it means, in order.

        Raises:
            ProtocolError: the client breaks the protocol; a GOAWAY that says how is to be written.
        """
        if self._preface:
            data = self._without_preface(data)
        return super().receive_data(data)

    def _without_preface(self, data: bytes) -> bytes:
        here = min(len(data), len(self._preface))
        if data[:here] != self._preface[:here]:
            self.close_connection(ProtocolError.error_code)
            raise ProtocolError("the client does not begin with the preface of HTTP/2")
        self._preface = self._preface[here:]
        return data[here:]

    def send_headers(self, stream_id: int, headers: Any, end_stream: bool = False) -> None:
        """Send headers or trailers of a stream that the client opened.

        Raises:
            StreamClosedError: the stream has ended.
        """
        stream = self._sendable(stream_id)
        self._send_header_block(stream_id, headers, end_stream)
        if end_stream:
            self._end_here(stream_id, stream)

    def send_answer(self, stream_id: int, message: bytes) -> bool:
        """Send all of a successful unary answer: headers, message, status, end of stream.

        Args:
            stream_id: a stream whose answer has not begun.
            message: with its gRPC prefix.

        Returns:
            Whether it was done; otherwise nothing was, and the three steps are the caller's.
        """
        stream = self.streams.get(stream_id)
        size = len(message)
        if (
            stream is None
            or stream.ended_here
            or self._forget_table
            or size > self._send_window
            or size > stream.send_window
        ):
            return False
        self._send_window -= size
        stream.send_window -= size
        self._patience.earn(SENT)
        self._out += answer_frames(stream_id, message, self.max_outbound_frame_size)
        self._end_here(stream_id, stream)
        return True

    def close_connection(self, error_code: int = 0) -> None:
        """Say goodbye."""
        last = self.highest_inbound_stream_id.to_bytes(4)
        self._frame(frames.GOAWAY, 0, 0, last + int(error_code).to_bytes(4))

    def _require_headers_of(self, stream_id: int) -> None:
        if not stream_id & 1:
            raise ProtocolError(f"headers of stream {stream_id}, which a client cannot open")

    def _headers_came(self, stream_id: int, headers: Pairs, ends: bool, events: list[Event]) -> None:
        if not "".join(map("".join, headers)).isascii():
            raise ProtocolError("headers that are not ASCII")
        stream = self.streams.get(stream_id)
        if stream_id >= self._next_stream:
            self._next_stream = stream_id + 2
            stream = self.streams[stream_id] = Stream(self._their_window, self._window)
            stream.received = True
            events.append(frames.event(RequestReceived, stream_id=stream_id, headers=headers))
        elif stream is None:  # it was reset here
            self._patience.spend()
            return
        elif stream.ended_there:
            raise StreamClosedError(stream_id)
        elif not ends:
            raise ProtocolError("trailers that do not end the stream")
        else:
            events.append(frames.event(TrailersReceived, stream_id=stream_id, headers=headers))
        if ends:
            self._end_there(stream_id, stream, events)
