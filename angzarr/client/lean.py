"""HTTP/2 for a client of gRPC: the part of h2's connection that grpclib and our streams use, at a fifth of its cost.

h2 serves every kind of HTTP/2 peer; a gRPC client opens streams, sends one kind of headers, and never accepts a push.
The methods and events are h2's, so either can stand under a channel (``ChannelConfig.http2``), and a test holds them
equal on generated conversations. Checks and limits are those of RFC 9113 as h2 enforces them, and one that it does
not: a frame that is too long is refused by its header, not after megabytes of it.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import hpack
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import (
    FlowControlError,
    FrameTooLargeError,
    NoAvailableStreamIDError,
    ProtocolError,
    StreamClosedError,
    TooManyStreamsError,
)

from angzarr.client.headers import AnswerDecoder, Pairs, RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E", bound=Event)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS = range(5)
_PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = range(5, 10)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = (
    1,
    2,
    3,
    4,
    5,
)
_MAX_HEADER_LIST_SIZE = 6

_FIRST_WINDOW = 65535
_LARGEST_WINDOW = 2**31 - 1
_LAST_STREAM = 2**31 - 1
_OUR_MAX_FRAME = 16384
_OUR_MAX_HEADERS = 65536
_MOST_CONTINUATIONS = 64


class _Stream:
    """A stream that at least one side has not ended."""

    __slots__ = ("ended_here", "ended_there", "receive_window", "received", "send_window", "unreturned")

    def __init__(self, send_window: int, receive_window: int) -> None:
        self.send_window = send_window
        self.receive_window = receive_window
        self.unreturned = 0
        self.received = 0
        self.ended_here = False
        self.ended_there = False

    closed = False


class _Open:
    """What grpclib's own streams look at before they reset themselves."""

    state = None


class LeanConnection:
    """A client's end of an HTTP/2 connection; it does no input or output itself.

    Args:
        window: bytes the server may send ahead, on each stream and on the connection.
        before_settings: how many streams to open at once before the server has said how many it takes.
    """

    def __init__(self, window: int, before_settings: int) -> None:
        self._window = window
        self._encoder = RequestEncoder()
        self._decoder = AnswerDecoder(_OUR_MAX_HEADERS)
        self._out = bytearray()
        self._in = bytearray()
        self._block: tuple[int, int, bytearray, int] | None = None
        self._next_stream = 1
        self._greeted = False
        self._send_window = _FIRST_WINDOW
        self._receive_window = window
        self._unreturned = 0
        self._their_window = _FIRST_WINDOW
        self._their_table = 4096
        self._forget_table = False
        self.max_outbound_frame_size: int = _OUR_MAX_FRAME
        self.max_concurrent_streams: int = before_settings
        self.streams: dict[int, _Stream] = {}
        self.state_machine: _Open = _Open()
        self._handlers: dict[int, Callable[[int, int, bytes, list[Event]], None]] = {
            _DATA: self._data,
            _HEADERS: self._headers,
            _PRIORITY: self._priority,
            _RST_STREAM: self._rst_stream,
            _SETTINGS: self._settings,
            _PUSH_PROMISE: self._push_promise,
            _PING: self._ping,
            _GOAWAY: self._goaway,
            _WINDOW_UPDATE: self._window_update,
            _CONTINUATION: self._continuation,
        }

    def initiate_connection(self) -> None:
        """Send the preface, our settings, and room for answers on the connection."""
        self._out += _PREFACE
        settings = (
            (_ENABLE_PUSH, 0),
            (_INITIAL_WINDOW_SIZE, self._window),
            (_MAX_HEADER_LIST_SIZE, _OUR_MAX_HEADERS),
        )
        self._frame(_SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings))
        if self._window > _FIRST_WINDOW:
            self._frame(_WINDOW_UPDATE, 0, 0, (self._window - _FIRST_WINDOW).to_bytes(4))

    def get_next_available_stream_id(self) -> int:
        """The id of the next stream.

        Raises:
            NoAvailableStreamIDError: all of the connection's are used up.
        """
        if self._next_stream > _LAST_STREAM:
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
        stream = self.streams[stream_id] = _Stream(self._their_window, self._window)
        stream.ended_here = end_stream
        flags = _END_STREAM if end_stream else 0
        size = self.max_outbound_frame_size
        if len(block) <= size:
            self._frame(_HEADERS, flags | _END_HEADERS, stream_id, block)
            return
        self._frame(_HEADERS, flags, stream_id, block[:size])
        for start in range(size, len(block), size):
            last = _END_HEADERS if start + size >= len(block) else 0
            self._frame(_CONTINUATION, last, stream_id, block[start : start + size])

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
        self._frame(_DATA, _END_STREAM if end_stream else 0, stream_id, data)
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
        self._frame(_RST_STREAM, 0, stream_id, int(error_code).to_bytes(4))

    def ping(self, data: bytes) -> None:
        """Ask for a sign of life, with 8 bytes that come back."""
        self._frame(_PING, 0, 0, data)

    def close_connection(self, error_code: int = 0) -> None:
        """Say goodbye."""
        self._frame(_GOAWAY, 0, 0, bytes(4) + int(error_code).to_bytes(4))

    def local_flow_control_window(self, stream_id: int) -> int:
        """How many bytes may be sent on a stream now.

        Raises:
            StreamClosedError: the stream has ended.
        """
        return min(self._send_window, self._sendable(stream_id).send_window)

    def acknowledge_received_data(self, size: int, stream_id: int) -> None:
        """Give received bytes back to the windows; the server is told when a quarter of one has come together."""
        self._unreturned += size
        if self._unreturned * 4 >= self._window:
            self._receive_window += self._unreturned
            self._frame(_WINDOW_UPDATE, 0, 0, self._unreturned.to_bytes(4))
            self._unreturned = 0
        stream = self.streams.get(stream_id)
        if stream is None or stream.ended_there:
            return
        stream.unreturned += size
        if stream.unreturned * 4 >= self._window:
            stream.receive_window += stream.unreturned
            self._frame(_WINDOW_UPDATE, 0, stream_id, stream.unreturned.to_bytes(4))
            stream.unreturned = 0

    def data_to_send(self) -> bytes:
        """What is to be written; it is forgotten here."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what came in.

        Returns:
            What it means, in order.

        Raises:
            ProtocolError: the server breaks the protocol; a GOAWAY that says how is to be written.
        """
        events: list[Event] = []
        buffer = self._in
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= 9:
                size = buffer[start] << 16 | buffer[start + 1] << 8 | buffer[start + 2]
                kind = buffer[start + 3]
                if size > _OUR_MAX_FRAME:
                    raise FrameTooLargeError(f"a frame of {size} bytes")
                if not self._greeted:
                    self._greet(kind)
                if end - start < 9 + size:
                    break
                stream_id = int.from_bytes(buffer[start + 5 : start + 9]) & _LAST_STREAM
                payload = bytes(buffer[start + 9 : start + 9 + size])
                if self._block is not None and (kind != _CONTINUATION or stream_id != self._block[0]):
                    raise ProtocolError("a header block is interrupted")
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(buffer[start + 4], stream_id, payload, events)
                start += 9 + size
        except ProtocolError as error:
            self.close_connection(error.error_code)
            raise
        del buffer[:start]
        return events

    def _greet(self, kind: int) -> None:
        if kind != _SETTINGS:
            raise ProtocolError("the server does not begin with SETTINGS")
        self._greeted = True

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        self._out += (
            (len(payload) << 8 | kind).to_bytes(4) + bytes((flags,)) + stream_id.to_bytes(4) + payload
        )

    def _sendable(self, stream_id: int) -> _Stream:
        stream = self.streams.get(stream_id)
        if stream is None or stream.ended_here:
            raise StreamClosedError(stream_id)
        return stream

    def _end_here(self, stream_id: int, stream: _Stream) -> None:
        stream.ended_here = True
        if stream.ended_there:
            del self.streams[stream_id]

    def _end_there(self, stream_id: int, stream: _Stream, events: list[Event]) -> None:
        stream.ended_there = True
        if stream.ended_here:
            del self.streams[stream_id]
        events.append(_event(StreamEnded, stream_id=stream_id))

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
        data = _unpadded(flags, payload)
        stream = self.streams.get(stream_id)
        if stream is None:
            self.acknowledge_received_data(size, stream_id)
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise FlowControlError("more data than the stream's window")
        if stream.ended_there or not stream.received:
            raise ProtocolError("data before the headers, or after the end")
        events.append(_event(DataReceived, stream_id=stream_id, data=data, flow_controlled_length=size))
        if flags & _END_STREAM:
            self._end_there(stream_id, stream, events)

    def _headers(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._require_used(stream_id)
        block = _unpadded(flags, payload)
        if flags & _PRIORITIZED:
            if len(block) < 5:
                raise FrameTooLargeError("headers shorter than their priority")
            block = block[5:]
        if flags & _END_HEADERS:
            self._header_block(flags, stream_id, block, events)
        else:
            self._block = (stream_id, flags, bytearray(block), 1)

    def _continuation(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if self._block is None:
            raise ProtocolError("a continuation of nothing")
        _, first_flags, block, count = self._block
        if count >= _MOST_CONTINUATIONS:
            raise ProtocolError("too many continuations")
        block += payload
        self._block = (stream_id, first_flags, block, count + 1)
        if flags & _END_HEADERS:
            self._block = None
            self._header_block(first_flags, stream_id, bytes(block), events)

    def _header_block(self, flags: int, stream_id: int, block: bytes, events: list[Event]) -> None:
        try:
            pairs = self._decoder.pairs(block)
        except hpack.OversizedHeaderListError as error:
            raise _DenialOfService(str(error)) from error
        except (hpack.HPACKError, IndexError, UnicodeDecodeError) as error:
            raise _CompressionError(str(error)) from error
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if stream.ended_there:
            raise ProtocolError("headers after the end")
        ends = bool(flags & _END_STREAM)
        if stream.received:
            if not ends:
                raise ProtocolError("trailers that do not end the stream")
            events.append(_event(TrailersReceived, stream_id=stream_id, headers=pairs))
        elif _is_informational(pairs):
            if ends:
                raise ProtocolError("an informational answer that ends the stream")
            return
        else:
            stream.received = 1
            events.append(_event(ResponseReceived, stream_id=stream_id, headers=pairs))
        if ends:
            self._end_there(stream_id, stream, events)

    def _priority(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id == 0:
            raise ProtocolError("the connection has no priority")
        _require_size(payload, 5)

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _require_size(payload, 4)
        self._require_used(stream_id)
        if self.streams.pop(stream_id, None) is not None:
            code = _known(int.from_bytes(payload))
            events.append(_event(StreamReset, stream_id=stream_id, error_code=code, remote_reset=True))

    def _settings(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("settings of a stream")
        if flags & _ACK:
            _require_size(payload, 0)
            events.append(_event(SettingsAcknowledged, changed_settings={}))
            return
        if len(payload) % 6:
            raise FrameTooLargeError("settings are cut off")
        changed = {
            int.from_bytes(payload[at : at + 2]): int.from_bytes(payload[at + 2 : at + 6])
            for at in range(0, len(payload), 6)
        }
        for key, value in changed.items():
            self._set(key, value)
        self._frame(_SETTINGS, _ACK, 0, b"")
        events.append(_event(RemoteSettingsChanged, changed_settings=changed))

    def _set(self, key: int, value: int) -> None:
        if key == _HEADER_TABLE_SIZE:
            self._forget_table = self._forget_table or value < self._their_table
            self._their_table = value
        elif key == _ENABLE_PUSH and value > 1:
            raise ProtocolError(f"ENABLE_PUSH is {value}")
        elif key == _MAX_CONCURRENT_STREAMS:
            self.max_concurrent_streams = value
        elif key == _INITIAL_WINDOW_SIZE:
            self._resize(value)
        elif key == _MAX_FRAME_SIZE:
            if not 16384 <= value <= 2**24 - 1:
                raise ProtocolError(f"MAX_FRAME_SIZE is {value}")
            self.max_outbound_frame_size = value

    def _resize(self, window: int) -> None:
        if window > _LARGEST_WINDOW:
            raise FlowControlError(f"INITIAL_WINDOW_SIZE is {window}")
        delta = window - self._their_window
        self._their_window = window
        for stream in self.streams.values():
            stream.send_window += delta
            if stream.send_window > _LARGEST_WINDOW:
                raise FlowControlError("a window is too large")

    def _push_promise(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        raise ProtocolError("a push, which was not allowed")

    def _ping(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("a ping of a stream")
        _require_size(payload, 8)
        if flags & _ACK:
            events.append(_event(PingAckReceived, ping_data=payload))
        else:
            self._frame(_PING, _ACK, 0, payload)

    def _goaway(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if stream_id:
            raise ProtocolError("a goodbye of a stream")
        if len(payload) < 8:
            raise FrameTooLargeError("a goodbye is cut off")
        events.append(
            _event(
                ConnectionTerminated,
                last_stream_id=int.from_bytes(payload[:4]) & _LAST_STREAM,
                error_code=_known(int.from_bytes(payload[4:8])),
                additional_data=payload[8:] or None,
            )
        )

    def _window_update(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _require_size(payload, 4)
        increment = int.from_bytes(payload) & _LARGEST_WINDOW
        if not increment:
            raise ProtocolError("a window grows by nothing")
        if stream_id == 0:
            self._send_window += increment
            if self._send_window > _LARGEST_WINDOW:
                raise FlowControlError("the connection's window is too large")
        else:
            self._require_used(stream_id)
            stream = self.streams.get(stream_id)
            if stream is None:
                return
            stream.send_window += increment
            if stream.send_window > _LARGEST_WINDOW:
                del self.streams[stream_id]
                self._frame(_RST_STREAM, 0, stream_id, ErrorCodes.FLOW_CONTROL_ERROR.to_bytes(4))
                events.append(
                    _event(
                        StreamReset,
                        stream_id=stream_id,
                        error_code=ErrorCodes.FLOW_CONTROL_ERROR,
                        remote_reset=False,
                    )
                )
                return
        events.append(_event(WindowUpdated, stream_id=stream_id, delta=increment))


class _CompressionError(ProtocolError):
    error_code = ErrorCodes.COMPRESSION_ERROR


class _DenialOfService(ProtocolError):
    error_code = ErrorCodes.ENHANCE_YOUR_CALM


def _event(cls: type[E], **fields: Any) -> E:
    """An event of h2's, whose constructors differ between its versions."""
    event = cls.__new__(cls)
    event.__dict__.update(fields)
    return event


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def _require_size(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise FrameTooLargeError(f"{len(payload)} bytes where {size} belong")


def _is_informational(pairs: Pairs) -> bool:
    return any(name == ":status" and value.startswith("1") for name, value in pairs)


def _known(code: int) -> ErrorCodes | int:
    try:
        return ErrorCodes(code)
    except ValueError:
        return code
