"""The command of a raw request, and where its history lies."""

from collections.abc import Sequence
from typing import TypeAlias

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.errors import DispatchError
from angzarr.messages import CommandBook, Cover
from angzarr.router.raw.scan import Span, command_head, sized, split_request
from angzarr.router.requests import BookCommands, require_commands

Payload: TypeAlias = tuple[str, bytes]

_ROOT = b"\x0a\x12\x0a\x10"
"""What precedes the 16 bytes of a cover's root."""


class RawCommands:
    """A command book whose cover stays bytes unless a handler asks for it."""

    __slots__ = ("_address", "_cover", "correlation_id", "domain", "payloads", "root")

    def __init__(
        self,
        cover: bytes,
        address: int,
        domain: str,
        root: bytes,
        correlation_id: str,
        payloads: Sequence[Payload],
    ) -> None:
        self._cover = cover
        self._address = address
        self.domain: str = domain
        self.root: bytes = root
        self.correlation_id: str = correlation_id
        self.payloads: Sequence[Payload] = payloads

    def cover(self) -> Cover:
        """The book's cover, decoded anew."""
        return codec.parser_for(Cover)(self._cover, 2, len(self._cover))

    def cover_field(self) -> bytes:
        """The book's cover as it came, tag and length included."""
        return self._cover

    def vouches_for(self, cover: bytes) -> bool:
        """Whether a cover is this one, or this one without its correlation id, and so as well-formed as this one."""
        mine, size = self._cover, self._address
        if cover == mine:
            return True
        return len(cover) == size and cover[:2] == bytes((0x0A, size - 2)) and mine[2:size] == cover[2:]


def read_request(data: bytes) -> tuple[Span, RawCommands | BookCommands] | None:
    """Read a ContextualCommand but for its events: where they lie, and the command.

    Returns:
        None for what is malformed or incomplete, or has its fields in another order.
    """
    try:
        return _read_usual(data) or _read_other(data)
    except (IndexError, ValueError, DispatchError):  # UnicodeDecodeError, DecodeError
        return None


def _read_other(data: bytes) -> tuple[Span, BookCommands] | None:
    spans = split_request(data)
    if spans is None or spans[1] is None:
        return None
    book = codec.parser_for(CommandBook)(data, *spans[1], MAX_DEPTH - 1)
    return spans[0] or (0, 0), require_commands(book)


def _read_usual(data: bytes) -> tuple[Span, RawCommands] | None:
    """Read a book of a cover (a domain, perhaps a 16-byte root and a correlation id) and of pages with a command.

    It is read in one pass nearly without calls, for it is read for every command.
    """
    i, end = 0, len(data)
    events = (0, 0)
    if data[0] == 0x0A:
        size = data[1]
        span = (2, 2 + size) if size < 128 else sized(data, 1)
        if span is None:
            return None
        events, i = span, span[1]
    size = data[i + 1]
    span = (i + 2, i + 2 + size) if size < 128 else sized(data, i + 1)
    if span is None or data[i] != 0x12 or span[1] != end:
        return None
    first = span[0]
    size = data[first + 1]
    i = first + 2
    stop = i + size
    if data[first] != 0x0A or size > 127:
        return None
    root, correlation_id = b"", ""
    if data.startswith(_ROOT, i):
        root = data[i + 4 : i + 20]
        i += 20
    size = data[i + 1]
    if data[i] != 0x12 or not 0 < size < 128:
        return None
    i += 2 + size
    domain = data[i - size : i].decode()
    address = i - first
    if i < stop and data[i] == 0x1A:
        size = data[i + 1]
        if size > 127:
            return None
        i += 2 + size
        correlation_id = data[i - size : i].decode()
    if i != stop:
        return None
    cover = data[first:i]
    payloads = []
    while i < end:
        size = data[i + 1]
        span = (i + 2, i + 2 + size) if size < 128 else sized(data, i + 1)
        if span is None or data[i] != 0x12 or span[1] > end:
            return None
        i, stop = span
        payload = _payload(data, i, stop)
        if payload is None:
            return None
        payloads.append(payload)
        i = stop
    if not payloads:
        return None
    return events, RawCommands(cover, address, domain, root, correlation_id, payloads)


def _payload(data: bytes, i: int, stop: int) -> Payload | None:
    """Type URL and value of the command that fills a page; None for a page of any other form."""
    head = command_head(data, i, stop)
    if head is None:
        return None
    i = head.end()
    size = data[i]
    span = (i + 1, i + 1 + size) if size < 128 else sized(data, i)
    if span is None or span[1] != stop:
        return None
    i = span[0]
    size = data[i + 1]
    if data[i] != 0x0A or not 0 < size < 128:
        return None
    i += 2 + size
    type_url = data[i - size : i].decode()
    if i == stop:
        return type_url, b""
    if data[i] != 0x12:
        return None
    size = data[i + 1]
    span = (i + 2, i + 2 + size) if size < 128 else sized(data, i + 1)
    return None if span is None or span[1] != stop else (type_url, data[span[0] : stop])
