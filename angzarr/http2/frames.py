"""HTTP/2's frames: their numbers, and what can be wrong with them."""

import struct
from typing import Any, TypeVar

from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import FrameTooLargeError, ProtocolError

from angzarr.http2.headers import Pairs

E = TypeVar("E", bound=Event)

HEAD = struct.Struct(">IBI")
"""A frame's size and kind in one number, flags, stream."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

FIRST_WINDOW = 65535
LARGEST_WINDOW = 2**31 - 1
LAST_STREAM = 2**31 - 1
OUR_MAX_FRAME = 16384
OUR_MAX_HEADERS = 65536
MOST_CONTINUATIONS = 64


class CompressionError(ProtocolError):
    """A header block cannot be read."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class TooLargeHeaders(ProtocolError):
    """A header block is larger than agreed."""

    error_code = ErrorCodes.ENHANCE_YOUR_CALM


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """A frame as it is sent."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def event(cls: type[E], **fields: Any) -> E:
    """An event of h2's, whose constructors differ between its versions."""
    made = cls.__new__(cls)
    made.__dict__ = fields
    return made


def unpadded(flags: int, payload: bytes) -> bytes:
    """What is in a frame beside its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def require_size(payload: bytes, size: int) -> None:
    """Refuse a frame of another size than its kind has."""
    if len(payload) != size:
        raise FrameTooLargeError(f"{len(payload)} bytes where {size} belong")


def is_informational(pairs: Pairs) -> bool:
    """Whether headers announce a later answer (status 1xx)."""
    return any(name == ":status" and value.startswith("1") for name, value in pairs)


def known(code: int) -> ErrorCodes | int:
    """An error code, by name where it has one."""
    try:
        return ErrorCodes(code)
    except ValueError:
        return code
