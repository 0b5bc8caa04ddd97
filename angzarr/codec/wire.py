"""The protobuf wire format on raw bytes: varints, tags, skipping.

Readers take the buffer and an index and return what they read and the index behind it. They may run past
the end of an enclosing message, never past the buffer's (that is an IndexError); callers compare the index
with the message's end. What counts as malformed is what google.protobuf counts as malformed.
"""

import functools

from angzarr.errors import DecodeError

__all__ = [
    "FIXED32",
    "FIXED64",
    "GROUP_END",
    "GROUP_START",
    "LENGTH",
    "MASK64",
    "MAX_DEPTH",
    "TOO_DEEP",
    "TRUNCATED",
    "VARINT",
    "more_pairs",
    "read_any_tag",
    "read_size",
    "read_tag",
    "read_varint",
    "short_varints",
    "skip",
    "tag_bytes",
    "write_varint",
]

VARINT, FIXED64, LENGTH, GROUP_START, GROUP_END, FIXED32 = range(6)

MAX_DEPTH = 100
"""How many messages and groups may be nested in a message."""

_MAX_SIZE = 0x7FFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF

TRUNCATED = "truncated"
TOO_DEEP = f"nested deeper than {MAX_DEPTH} messages"


def read_varint(b: bytes, i: int) -> tuple[int, int]:
    """Read an unsigned 64-bit varint at ``i``: the value, and the index behind it.

    Raises:
        DecodeError: it has more than ten bytes.
        IndexError: the buffer ends first.
    """
    value = b[i]
    if value < 128:
        return value, i + 1
    byte = b[i + 1]
    if byte < 128:
        return value + (byte << 7) - 128, i + 2
    value += (byte << 7) - 128
    byte = b[i + 2]
    if byte < 128:
        return value + (byte << 14) - 16384, i + 3
    return _read_long(b, i + 3, value + (byte << 14) - 16384 - 2097152)


def _read_long(b: bytes, i: int, value: int) -> tuple[int, int]:
    """Go on with a varint of which three bytes have been read."""
    for shift in range(21, 70, 7):
        byte = b[i]
        i += 1
        if byte < 128:
            return (value | byte << shift) & MASK64, i
        value |= (byte & 127) << shift
    raise DecodeError("a varint has more than ten bytes")


def read_size(b: bytes, i: int) -> tuple[int, int]:
    """Read the length of a length-delimited field at ``i``.

    Raises:
        DecodeError: it is above 2 GiB, or has more than five bytes.
        IndexError: the buffer ends first.
    """
    start = i
    size, i = read_varint(b, i)
    if size > _MAX_SIZE or i - start > 5:
        raise DecodeError("a length is above 2 GiB")
    return size, i


def read_tag(b: bytes, i: int) -> tuple[int, int]:
    """Read a field's tag (number << 3 | wire type) at ``i``.

    Raises:
        DecodeError: the field number is 0 or above 2**29 - 1, or the tag has more than five bytes.
        IndexError: the buffer ends first.
    """
    tag, i = read_any_tag(b, i)
    if tag < 8:
        raise DecodeError("field number 0")
    return tag, i


def read_any_tag(b: bytes, i: int) -> tuple[int, int]:
    """As ``read_tag``, but field number 0 passes, as it does in unknown groups and messages without fields."""
    start = i
    tag, i = read_varint(b, i)
    if tag > 0xFFFFFFFF or i - start > 5:
        raise DecodeError("a field's tag does not fit 32 bits")
    return tag, i


def skip(b: bytes, i: int, end: int, tag: int, depth: int = MAX_DEPTH) -> int:
    """Step over the value at ``i`` of a field whose tag has been read.

    Args:
        b: the buffer.
        i: index of the value.
        end: end of the message that holds the field.
        tag: the field's tag.
        depth: how many groups may still be nested.

    Returns:
        The index behind the value, at most ``end``.

    Raises:
        DecodeError: the value is malformed or does not end before ``end``.
        IndexError: the buffer ends inside it.
    """
    kind = tag & 7
    if kind == VARINT:
        i = read_varint(b, i)[1]
    elif kind == LENGTH:
        size, i = read_size(b, i)
        i += size
    elif kind == FIXED32:
        i += 4
    elif kind == FIXED64:
        i += 8
    elif kind == GROUP_START:
        i = _skip_group(b, i, end, tag, depth)
    elif kind == GROUP_END:
        raise DecodeError("a group ends that has not begun")
    else:
        raise DecodeError(f"wire type {kind} does not exist")
    if i > end:
        raise DecodeError(TRUNCATED)
    return i


def _skip_group(b: bytes, i: int, end: int, tag: int, depth: int) -> int:
    """Step over a group's content and its end; nested groups are counted, not recursed into."""
    open_groups = [tag + 1]
    if depth < 1:
        raise DecodeError(TOO_DEEP)
    while open_groups:
        if i >= end:
            raise DecodeError(TRUNCATED)
        tag, i = read_any_tag(b, i)
        if tag & 7 == GROUP_START:
            if len(open_groups) >= depth:
                raise DecodeError(TOO_DEEP)
            open_groups.append(tag + 1)
        elif tag == open_groups[-1]:
            open_groups.pop()
        else:
            i = skip(b, i, end, tag)
    return i


def write_varint(value: int) -> bytes:
    """Encode an unsigned integer below 2**64."""
    if value < 128:
        return _LAST[value]
    if value < 16384:
        return _MORE[value & 127] + _LAST[value >> 7]
    return _MORE[value & 127] + _MORE[value >> 7 & 127] + write_varint(value >> 14)


@functools.cache
def short_varints() -> list[bytes]:
    """The encodings of all numbers that take one or two bytes."""
    return [write_varint(value) for value in range(16384)]


@functools.cache
def more_pairs() -> list[bytes]:
    """For fourteen bits the two bytes of a varint that goes on after them."""
    return [_MORE[bits & 127] + _MORE[bits >> 7] for bits in range(16384)]


def tag_bytes(number: int, wire_type: int) -> bytes:
    """The encoded tag of a field."""
    return write_varint(number << 3 | wire_type)


_LAST = [bytes((bits,)) for bits in range(128)]
_MORE = [bytes((bits | 128,)) for bits in range(128)]
