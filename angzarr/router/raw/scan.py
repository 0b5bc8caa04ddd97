"""Recognising the usual encodings of requests, covers and command pages, in place."""

import re
from collections.abc import Callable
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
Matcher: TypeAlias = Callable[[bytes, int, int], re.Match[bytes] | None]

_SMALL = rb"[\x00-\x7f]"
_MORE = rb"[\x80-\xff]"
_SECONDS = rb"\x08" + _MORE + rb"{4}" + _SMALL


def _sequence_header() -> bytes:
    sizes = (bytes([2 + more]) + rb"\x08" + _MORE + b"{%d}" % more + _SMALL for more in range(4))
    return rb"\x0a(?:" + b"|".join(sizes) + rb")"


def _timestamp() -> bytes:
    whole = rb"\x06" + _SECONDS
    exact = (
        re.escape(bytes([8 + more])) + _SECONDS + rb"\x10" + _MORE + b"{%d}" % more + _SMALL
        for more in range(4, -1, -1)
    )
    return rb"\x12(?:" + b"|".join((*exact, whole)) + rb")"


page_head: Matcher = re.compile(
    b"(?:" + _sequence_header() + b")?(?:" + _timestamp() + b")?" + rb"\x1a", re.DOTALL
).match
"""Matches what precedes an event page's event: an explicit sequence, a time, the event's tag; each well-formed."""

command_head: Matcher = re.compile(
    b"(?:" + _sequence_header() + b")?(?:" + rb"\x10" + _SMALL + b")?" + rb"\x1a", re.DOTALL
).match
"""The same for command pages: an explicit sequence, a merge strategy, the command's tag."""


def sized(data: bytes, i: int) -> Span | None:
    """The bounds of the length-delimited value whose length stands at ``i``; None for a length of more than four bytes.

    Raises:
        IndexError: the data ends in the length.
    """
    size = data[i]
    i += 1
    if size < 128:
        return i, i + size
    size &= 127
    for shift in (7, 14, 21):
        byte = data[i]
        i += 1
        if byte < 128:
            size |= byte << shift
            return i, i + size
        size |= (byte & 127) << shift
    return None


def split_request(data: bytes) -> tuple[Span | None, Span | None] | None:
    """The bounds of the events and of the command in a ContextualCommand; None when it is encoded in an unusual way."""
    end = len(data)
    events = command = None
    i = 0
    try:
        if data[0] == 0x0A:
            events = (2, 2 + data[1]) if data[1] < 128 else sized(data, 1)
            i = end + 1 if events is None else events[1]
        if data[i] == 0x12:
            command = (i + 2, i + 2 + data[i + 1]) if data[i + 1] < 128 else sized(data, i + 1)
            i = end + 1 if command is None else command[1]
    except IndexError:
        return None
    return (events, command) if i == end else None
