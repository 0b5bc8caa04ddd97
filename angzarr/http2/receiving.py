"""The receiving half of our HTTP/2 connection: frames in, h2's events out."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import hpack
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import FlowControlError, FrameTooLargeError, ProtocolError

from angzarr.http2 import frames
from angzarr.http2.headers import HeaderDecoder, Pairs
from angzarr.http2.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream:
    """A stream that at least one side has not ended."""

    __slots__ = ("ended_here", "ended_there", "receive_window", "received", "send_window", "unreturned")

    def __init__(self, send_window: int, receive_window: int) -> None:
        self.send_window: int = send_window
        self.receive_window: int = receive_window
        self.unreturned: int = 0
        self.received: bool = False
        self.ended_here: bool = False
        self.ended_there: bool = False

    closed = False


class Receiver(ABC):
    """What a connection knows of its peer, and how it takes the peer's frames.

    Args:
        window: bytes the peer may send ahead, on each stream and on the connection.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._decoder = HeaderDecoder(frames.OUR_MAX_HEADERS)
        self._out = bytearray()
        self._in = b""
        self._block: tuple[int, int, bytearray, int] | None = None
        self._next_stream = 1
        self._greeted = False
        self._send_window = frames.FIRST_WINDOW
        self._receive_window = window
        self._unreturned = 0
        self._their_window = frames.FIRST_WINDOW
        self._their_table = 4096
        self._forget_table = False
        self._patience = Patience()
        self.max_outbound_frame_size: int = frames.OUR_MAX_FRAME
        self.max_concurrent_streams: int = 0
        self.streams: dict[int, Stream] = {}
        self._handlers: dict[int, Callable[[int, int, bytes, list[Event]], None]] = {
            frames.DATA: self._data,
            frames.HEADERS: self._headers,
            frames.PRIORITY: self._priority,
            frames.RST_STREAM: self._rst_stream,
            frames.SETTINGS: self._settings,
            frames.PUSH_PROMISE: self._push_promise,
            frames.PING: self._ping,
            frames.GOAWAY: self._goaway,
            frames.WINDOW_UPDATE: self._window_update,
            frames.CONTINUATION: self._continuation,
        }

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what came in.

        Returns:
            What it means, in order.

        Raises:
            ProtocolError: the peer breaks the protocol; a GOAWAY that says how is to be written.
        """
        events: list[Event] = []
        if self._in:
            data = self._in + data
        start, end = 0, len(data)
        try:
            while end - start >= 9:
                size_and_kind, flags, stream_id = frames.HEAD.unpack_from(data, start)
                size, kind = size_and_kind >> 8, size_and_kind & 0xFF
                if size > frames.OUR_MAX_FRAME:
                    raise FrameTooLargeError(f"a frame of {size} bytes")
                if not self._greeted:
                    self._greet(kind)
                stop = start + 9 + size
                if stop > end:
                    break
                stream_id &= frames.LAST_STREAM
                if self._block is not None and (kind != frames.CONTINUATION or stream_id != self._block[0]):
                    raise ProtocolError("a header block is interrupted")
                handler = self._handlers.get(kind)
                if handler is None:
                    self._patience.spend()
                else:
                    handler(flags, stream_id, data[start + 9 : stop], events)
                start = stop
        except ProtocolError as error:
            self.close_connection(error.error_code)
            raise
        finally:
            self._in = data[start:]
        return events

    def data_to_send(self) -> bytes:
        """What is to be written; it is forgotten here."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    def acknowledge_received_data(self, size: int, stream_id: int) -> None:
        """Give received bytes back to the windows; the peer is told when a quarter of one has come together."""
        self._unreturned += size
        if self._unreturned * 4 >= self._window:
            self._receive_window += self._unreturned
            self._frame(frames.WINDOW_UPDATE, 0, 0, self._unreturned.to_bytes(4))
            self._unreturned = 0
        stream = self.streams.get(stream_id)
        if stream is None or stream.ended_there:
            return
        stream.unreturned += size
        if stream.unreturned * 4 >= self._window:
            stream.receive_window += stream.unreturned
            self._frame(frames.WINDOW_UPDATE, 0, stream_id, stream.unreturned.to_bytes(4))
            stream.unreturned = 0

    def close_connection(self, error_code: int = 0) -> None:
        """Say goodbye."""
        self._frame(frames.GOAWAY, 0, 0, bytes(4) + int(error_code).to_bytes(4))

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        self._out += frames.frame(kind, flags, stream_id, payload)

    def _greet(self, kind: int) -> None:
        if kind != frames.SETTINGS:
            raise ProtocolError("the peer does not begin with SETTINGS")
        self._greeted = True

    def _end_there(self, stream_id: int, stream: Stream, events: list[Event]) -> None:
        stream.ended_there = True
        if stream.ended_here:
            del self.streams[stream_id]
        events.append(frames.event(StreamEnded, stream_id=stream_id))

    def _require_used(self, stream_id: int) -> None:
        """Refuse frames of streams that were never opened, and of the connection where a stream is meant."""
        if stream_id == 0 or not stream_id & 1 or stream_id >= self._next_stream:
            raise ProtocolError(f"a frame for stream {stream_id}, which nobody opened")

    def _data(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._require_used(stream_id)
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise FlowControlError("more data than the connection's window")
        data = frames.unpadded(flags, payload)
        stream = self.streams.get(stream_id)
        if stream is None:
            if not data:
                self._patience.spend()
            self.acknowledge_received_data(size, stream_id)
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise FlowControlError("more data than the stream's window")
        if stream.ended_there or not stream.received:
            raise ProtocolError("data before the headers, or after the end")
        events.append(frames.event(DataReceived, stream_id=stream_id, data=data, flow_controlled_length=size))
        if data:
            self._patience.earn(1)
        elif not flags & frames.END_STREAM:
            self._patience.spend()
        if flags & frames.END_STREAM:
            self._end_there(stream_id, stream, events)

    def _headers(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._require_headers_of(stream_id)
        block = frames.unpadded(flags, payload)
        if flags & frames.PRIORITIZED:
            if len(block) < 5:
                raise FrameTooLargeError("headers shorter than their priority")
            block = block[5:]
        if flags & frames.END_HEADERS:
            self._header_block(flags, stream_id, block, events)
        else:
            self._block = (stream_id, flags, bytearray(block), 1)

    def _continuation(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if self._block is None:
            raise ProtocolError("a continuation of nothing")
        _, first_flags, block, count = self._block
        if count >= frames.MOST_CONTINUATIONS:
            raise ProtocolError("too many continuations")
        block += payload
        self._block = (stream_id, first_flags, block, count + 1)
        if flags & frames.END_HEADERS:
            self._block = None
            self._header_block(first_flags, stream_id, bytes(block), events)

    def _header_block(self, flags: int, stream_id: int, block: bytes, events: list[Event]) -> None:
        try:
            pairs = self._decoder.pairs(block)
        except hpack.OversizedHeaderListError as error:
            raise frames.TooLargeHeaders(str(error)) from error
        except (hpack.HPACKError, IndexError, UnicodeDecodeError) as error:
            raise frames.CompressionError(str(error)) from error
        self._headers_came(stream_id, pairs, bool(flags & frames.END_STREAM), events)

    @abstractmethod
    def _require_headers_of(self, stream_id: int) -> None:
        """Refuse headers of a stream that can have none."""

    @abstractmethod
    def _headers_came(self, stream_id: int, headers: Pairs, ends: bool, events: list[Event]) -> None:
        """Take headers or trailers, and the end of a stream where they are it."""

    def _priority(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id == 0:
            raise ProtocolError("the connection has no priority")
        frames.require_size(payload, 5)
        self._patience.spend()

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        frames.require_size(payload, 4)
        self._require_used(stream_id)
        self._patience.spend()
        if self.streams.pop(stream_id, None) is not None:
            code = frames.known(int.from_bytes(payload))
            events.append(frames.event(StreamReset, stream_id=stream_id, error_code=code, remote_reset=True))

    def _settings(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("settings of a stream")
        self._patience.spend()
        if flags & frames.ACK:
            frames.require_size(payload, 0)
            events.append(frames.event(SettingsAcknowledged, changed_settings={}))
            return
        if len(payload) % 6:
            raise FrameTooLargeError("settings are cut off")
        changed = {
            int.from_bytes(payload[at : at + 2]): int.from_bytes(payload[at + 2 : at + 6])
            for at in range(0, len(payload), 6)
        }
        for key, value in changed.items():
            self._set(key, value)
        self._frame(frames.SETTINGS, frames.ACK, 0, b"")
        events.append(frames.event(RemoteSettingsChanged, changed_settings=changed))

    def _set(self, key: int, value: int) -> None:
        if key == frames.HEADER_TABLE_SIZE:
            self._forget_table = self._forget_table or value < self._their_table
            self._their_table = value
        elif key == frames.ENABLE_PUSH and value > 1:
            raise ProtocolError(f"ENABLE_PUSH is {value}")
        elif key == frames.MAX_CONCURRENT_STREAMS:
            self.max_concurrent_streams = value
        elif key == frames.INITIAL_WINDOW_SIZE:
            self._resize(value)
        elif key == frames.MAX_FRAME_SIZE:
            if not 16384 <= value <= 2**24 - 1:
                raise ProtocolError(f"MAX_FRAME_SIZE is {value}")
            self.max_outbound_frame_size = value

    def _resize(self, window: int) -> None:
        if window > frames.LARGEST_WINDOW:
            raise FlowControlError(f"INITIAL_WINDOW_SIZE is {window}")
        delta = window - self._their_window
        self._their_window = window
        for stream in self.streams.values():
            stream.send_window += delta
            if stream.send_window > frames.LARGEST_WINDOW:
                raise FlowControlError("a window is too large")

    def _push_promise(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        raise ProtocolError("a push, which was not allowed")

    def _ping(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("a ping of a stream")
        frames.require_size(payload, 8)
        self._patience.spend()
        if flags & frames.ACK:
            events.append(frames.event(PingAckReceived, ping_data=payload))
        else:
            self._frame(frames.PING, frames.ACK, 0, payload)

    def _goaway(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("a goodbye of a stream")
        if len(payload) < 8:
            raise FrameTooLargeError("a goodbye is cut off")
        self._patience.spend()
        events.append(
            frames.event(
                ConnectionTerminated,
                last_stream_id=int.from_bytes(payload[:4]) & frames.LAST_STREAM,
                error_code=frames.known(int.from_bytes(payload[4:8])),
                additional_data=payload[8:] or None,
            )
        )

    def _window_update(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        frames.require_size(payload, 4)
        increment = int.from_bytes(payload) & frames.LARGEST_WINDOW
        if not increment:
            raise ProtocolError("a window grows by nothing")
        self._patience.spend()
        if stream_id == 0:
            self._send_window += increment
            if self._send_window > frames.LARGEST_WINDOW:
                raise FlowControlError("the connection's window is too large")
        else:
            self._require_used(stream_id)
            stream = self.streams.get(stream_id)
            if stream is None:
                return
            stream.send_window += increment
            if stream.send_window > frames.LARGEST_WINDOW:
                del self.streams[stream_id]
                self._frame(frames.RST_STREAM, 0, stream_id, ErrorCodes.FLOW_CONTROL_ERROR.to_bytes(4))
                events.append(
                    frames.event(
                        StreamReset,
                        stream_id=stream_id,
                        error_code=ErrorCodes.FLOW_CONTROL_ERROR,
                        remote_reset=False,
                    )
                )
                return
        events.append(frames.event(WindowUpdated, stream_id=stream_id, delta=increment))
