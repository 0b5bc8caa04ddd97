"""The frames of a successful unary answer: the same bytes every time, but for the message and the stream's number."""

import struct

from angzarr.http2.light import RememberingEncoder

_HEAD = struct.Struct(">HBBBI")
_DATA, _HEADERS = 0, 1
_END_STREAM, _END_HEADERS = 1, 4
_OPENING, _OK = (
    RememberingEncoder().encode(headers)
    for headers in (
        [(b":status", b"200"), (b"content-type", b"application/grpc+proto")],
        [(b"grpc-status", b"0")],
    )
)


def answer_frames(stream_id: int, message: bytes, largest: int) -> bytes:
    """Headers, data and trailers that end the stream; no header depends on the connection's compression table.

    Args:
        stream_id: the stream.
        message: with its gRPC prefix.
        largest: bytes of the largest frame the client takes.
    """
    frames = [_frame(_HEADERS, _END_HEADERS, stream_id, _OPENING)]
    if len(message) <= largest:
        frames.append(_frame(_DATA, 0, stream_id, message))
    else:
        frames.extend(
            _frame(_DATA, 0, stream_id, message[start : start + largest])
            for start in range(0, len(message), largest)
        )
    frames.append(_frame(_HEADERS, _END_HEADERS | _END_STREAM, stream_id, _OK))
    return b"".join(frames)


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload
