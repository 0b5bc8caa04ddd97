"""The command book of a raw request."""

from collections.abc import Sequence
from typing import TypeAlias

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import CommandBook, Cover
from angzarr.router.raw.scan import Span, command_head, sized
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
        mine = self._cover
        return cover == mine or (len(cover) == self._address and mine[2 : self._address] == cover[2:])


def commands_at(data: bytes, start: int, end: int) -> RawCommands | BookCommands:
    """Read the command book at these bounds.

    Raises:
        DecodeError: it is malformed.
        DispatchError: it is incomplete, as ``require_commands`` says.
    """
    try:
        found = _usual(data, start, end)
    except (IndexError, UnicodeDecodeError):
        found = None
    if found is None:
        return require_commands(codec.parser_for(CommandBook)(data, start, end, MAX_DEPTH - 1))
    return found


def _usual(data: bytes, i: int, end: int) -> RawCommands | None:
    """Read a book of a cover and pages; the cover has a domain, and perhaps a 16-byte root and a correlation id.

    Raises:
        IndexError: the data ends in the middle.
        UnicodeDecodeError: a text is not UTF-8.
    """
    first, root, correlation_id = i, b"", ""
    size = data[i + 1]
    i += 2
    stop = i + size
    if data[first] != 0x0A or size > 127 or stop > end:
        return None
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
        i += 2 + size
        if size > 127:
            return None
        correlation_id = data[i - size : i].decode()
    if i != stop:
        return None
    payloads = []
    while i < end:
        size = data[i + 1]
        page: Span | None = (i + 2, i + 2 + size) if size < 128 else sized(data, i + 1)
        payload = None if page is None or data[i] != 0x12 or page[1] > end else _payload(data, *page)
        if page is None or payload is None:
            return None
        payloads.append(payload)
        i = page[1]
    return (
        RawCommands(data[first:stop], address, domain, root, correlation_id, payloads) if payloads else None
    )


def _payload(data: bytes, i: int, stop: int) -> Payload | None:
    """Type URL and value of the command that fills a page; None for a page of any other form."""
    head = command_head(data, i, stop)
    if head is None:
        return None
    i = head.end()
    span = (i + 1, i + 1 + data[i]) if data[i] < 128 else sized(data, i)
    if span is None or span[1] != stop:
        return None
    i = span[0]
    n = data[i + 1]
    if data[i] != 0x0A or not 0 < n < 128:
        return None
    i += 2 + n
    type_url = data[i - n : i].decode()
    if i == stop:
        return type_url, b""
    if data[i] != 0x12:
        return None
    span = (i + 2, i + 2 + data[i + 1]) if data[i + 1] < 128 else sized(data, i + 1)
    return None if span is None or span[1] != stop else (type_url, data[span[0] : stop])
