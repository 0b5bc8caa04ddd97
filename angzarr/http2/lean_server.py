"""HTTP/2 for a server of gRPC: the part of h2's connection that grpclib and our streams use, at a fraction of its cost.

Frames, windows and limits are those of `angzarr.http2.lean_client`, seen from the other end. Methods and events are
h2's, so either can stand under a server (``ServerOptions.http2``), and a test holds them equal on generated
conversations.
"""

from typing import Any

import hpack
from h2.events import Event, RequestReceived, TrailersReceived
from h2.exceptions import ProtocolError, StreamClosedError

from angzarr.http2 import frames
from angzarr.http2.answers import answer_frames
from angzarr.http2.lean_client import LeanClient
from angzarr.http2.patience import SENT
from angzarr.http2.receiving import Stream


class LeanServer(LeanClient):
    """A server's end of an HTTP/2 connection; it does no input or output itself.

    A client may open more streams than it was told: refusing them, one by one, is the server's.

    Args:
        window: bytes the client may send ahead, on each stream and on the connection.
        most_streams: how many streams the client is told it may open at once.
    """

    def __init__(self, window: int, most_streams: int) -> None:
        super().__init__(window, before_settings=0)
        self._most_streams = most_streams
        self._preface = frames.PREFACE

    @property
    def highest_inbound_stream_id(self) -> int:
        """The last stream the client opened; 0 before the first."""
        return max(0, self._next_stream - 2)

    def initiate_connection(self) -> None:
        """Send our settings, and room for requests on the connection."""
        settings = (
            (frames.MAX_CONCURRENT_STREAMS, self._most_streams),
            (frames.INITIAL_WINDOW_SIZE, self._window),
            (frames.MAX_HEADER_LIST_SIZE, frames.OUR_MAX_HEADERS),
        )
        payload = b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings)
        self._frame(frames.SETTINGS, 0, 0, payload)
        if self._window > frames.FIRST_WINDOW:
            self._frame(frames.WINDOW_UPDATE, 0, 0, (self._window - frames.FIRST_WINDOW).to_bytes(4))

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
        block = self._table_update() + self._encoder.encode(headers)
        size = self.max_outbound_frame_size
        flags = frames.END_STREAM if end_stream else 0
        ends = 0 if len(block) > size else frames.END_HEADERS
        self._frame(frames.HEADERS, flags | ends, stream_id, block[:size])
        for start in range(size, len(block), size):
            ends = 0 if len(block) > start + size else frames.END_HEADERS
            self._frame(frames.CONTINUATION, ends, stream_id, block[start : start + size])
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

    def _table_update(self) -> bytes:
        """What HPACK wants said first after the client has made its table smaller; ours is never used."""
        if not self._forget_table:
            return b""
        self._forget_table = False
        return b"\x20"

    def _headers(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if not stream_id & 1:
            raise ProtocolError(f"headers of stream {stream_id}, which a client cannot open")
        block = frames.unpadded(flags, payload)
        if flags & frames.PRIORITIZED:
            if len(block) < 5:
                raise ProtocolError("headers shorter than their priority")
            block = block[5:]
        if flags & frames.END_HEADERS:
            self._header_block(flags, stream_id, block, events)
        else:
            self._block = (stream_id, flags, bytearray(block), 1)

    def _header_block(self, flags: int, stream_id: int, block: bytes, events: list[Event]) -> None:
        try:
            pairs = self._decoder.pairs(block)
        except hpack.OversizedHeaderListError as error:
            raise frames.TooLargeHeaders(str(error)) from error
        except (hpack.HPACKError, IndexError, UnicodeDecodeError) as error:
            raise frames.CompressionError(str(error)) from error
        if not "".join(map("".join, pairs)).isascii():
            raise ProtocolError("headers that are not ASCII")
        ends = bool(flags & frames.END_STREAM)
        stream = self.streams.get(stream_id)
        if stream_id >= self._next_stream:
            self._next_stream = stream_id + 2
            stream = self.streams[stream_id] = Stream(self._their_window, self._window)
            stream.received = 1
            events.append(frames.event(RequestReceived, stream_id=stream_id, headers=pairs))
        elif stream is None:
            return  # of a stream that was reset here; the block had to be decoded all the same
        elif stream.ended_there:
            raise StreamClosedError(stream_id)
        elif not ends:
            raise ProtocolError("trailers that do not end the stream")
        else:
            events.append(frames.event(TrailersReceived, stream_id=stream_id, headers=pairs))
        if ends:
            self._end_there(stream_id, stream, events)
