"""Decoding in whatever order the fields come: the general loop behind the straight-line parsers."""

from typing import TYPE_CHECKING, Any

from angzarr.codec.failures import CAUGHT, decode_failure
from angzarr.codec.layout import UNKNOWN
from angzarr.codec.wire import TOO_DEEP, TRUNCATED, read_any_tag, read_tag, skip
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.fields import Field
    from angzarr.codec.schema import Schema

__all__ = ["fill"]


def fill(schema: "Schema", b: bytes, i: int, end: int, depth: int, values: dict[str, Any]) -> None:
    """Decode ``b[i:end]`` into the values of a message, merging with what is there.

    Raises:
        DecodeError: the bytes are malformed; what has been decoded before stays in ``values``.
    """
    if depth < 0:
        raise DecodeError(TOO_DEEP)
    handlers = schema.handlers
    next_tag = read_tag if handlers else read_any_tag
    unknown: list[bytes] = []
    run = -1  # where the current run of unknown fields began
    field: Field | None = None
    try:
        while i < end:
            start = i
            field = None
            tag, i = next_tag(b, i)
            found = handlers.get(tag)
            if found is None:
                run = start if run < 0 else run
                i = skip(b, i, end, tag, depth)
                continue
            if run >= 0:
                unknown.append(b[run:start])
                run = -1
            field, handle = found
            i = handle(b, i, end, depth, values)
            if i < 0:
                i, run = -i, start
            if i > end:
                raise DecodeError(TRUNCATED)
    except CAUGHT as error:
        raise decode_failure(error, field, values) from None
    if i != end:
        raise DecodeError(TRUNCATED)
    if run >= 0:
        unknown.append(b[run:end])
    if unknown:
        _keep(b"".join(unknown), values)


def _keep(unknown: bytes, values: dict[str, Any]) -> None:
    """Add to the unknown fields. What is added to again and again must not be copied each time."""
    kept = values.get(UNKNOWN)
    if not kept:
        values[UNKNOWN] = unknown
        return
    if type(kept) is not bytearray:
        kept = values[UNKNOWN] = bytearray(kept)
    kept += unknown
