"""Compressed requests: taken apart within the size limit. Answers are never compressed."""

import zlib

from grpclib.const import Status
from grpclib.exceptions import GRPCError

IDENTITY = "identity"
ACCEPTED = "identity,deflate,gzip"
"""What ``grpc-accept-encoding`` tells a client that used something else."""

_WINDOW_BITS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}


def is_known(encoding: str) -> bool:
    """Whether messages may come in this ``grpc-encoding``."""
    return encoding == IDENTITY or encoding in _WINDOW_BITS


def decompressed(data: bytes, encoding: str, limit: int) -> bytes:
    """A compressed message as it was; never more of it than the limit is made.

    Args:
        data: the message as it came.
        encoding: the call's ``grpc-encoding``.
        limit: bytes of the largest message.

    Raises:
        grpclib.GRPCError: RESOURCE_EXHAUSTED, it is above the limit; INTERNAL, it is not compressed so.
    """
    if encoding not in _WINDOW_BITS:
        raise GRPCError(
            Status.INTERNAL, "a message is marked as compressed, but grpc-encoding does not say how"
        )
    engine = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        message = engine.decompress(data, limit + 1)
    except zlib.error as error:
        raise GRPCError(Status.INTERNAL, f"the message is not {encoding}: {error}") from None
    if len(message) > limit:
        raise GRPCError(
            Status.RESOURCE_EXHAUSTED,
            f"received message exceeds the limit of {limit} bytes once it is decompressed",
        )
    if not engine.eof:
        raise GRPCError(Status.INTERNAL, f"the message is not {encoding}: it ends too early")
    return message
