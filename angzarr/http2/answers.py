"""The frames of a successful unary answer: the same bytes every time, but for the message and the stream's number."""

from angzarr.http2 import frames
from angzarr.http2.frames import frame
from angzarr.http2.headers import Prepared

OPENING = Prepared([(":status", "200"), ("content-type", "application/grpc+proto")])
"""The headers of an answer that has nothing to add."""
PLAIN_OK = Prepared([("grpc-status", "0")])
"""The trailers of success."""


def answer_frames(stream_id: int, message: bytes, largest: int) -> bytes:
    """Headers, data and trailers that end the stream; no header depends on the connection's compression table.

    Args:
        stream_id: the stream.
        message: with its gRPC prefix.
        largest: bytes of the largest frame the client takes.
    """
    parts = [frame(frames.HEADERS, frames.END_HEADERS, stream_id, OPENING.block)]
    if len(message) <= largest:
        parts.append(frame(frames.DATA, 0, stream_id, message))
    else:
        parts.extend(
            frame(frames.DATA, 0, stream_id, message[start : start + largest])
            for start in range(0, len(message), largest)
        )
    parts.append(frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, PLAIN_OK.block))
    return b"".join(parts)
