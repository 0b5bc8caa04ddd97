"""The command book of a raw request."""

from collections.abc import Sequence

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import CommandBook, Cover
from angzarr.router.raw.scan import CoverView, command_head, read_any, read_cover, sized
from angzarr.router.requests import BookCommands, require_commands

_parse_book = codec.parser_for(CommandBook)
_parse_cover = codec.parser_for(Cover)


class RawCommands:
    """A command book whose cover stays bytes unless a handler asks for it."""

    __slots__ = ("_cover", "_said", "correlation_id", "domain", "payloads", "root")

    def __init__(self, cover: bytes, said: CoverView, payloads: Sequence[tuple[str, bytes]]) -> None:
        self._cover = cover
        self.domain, self.root, self.correlation_id = said
        self.payloads = payloads

    def cover(self) -> Cover:
        """The book's cover, decoded anew."""
        return _parse_cover(self._cover, 0, len(self._cover))

    def cover_bytes(self) -> bytes:
        """The book's cover as it came."""
        return self._cover


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
    return require_commands(_parse_book(data, start, end, MAX_DEPTH - 1)) if found is None else found


def _usual(data: bytes, i: int, end: int) -> RawCommands | None:
    if data[i] != 0x0A:
        return None
    span = sized(data, i + 1)
    if span is None or span[1] > end:
        return None
    said = read_cover(data, *span)
    if said is None or not said.domain:
        return None
    i = span[1]
    payloads = []
    while i < end:
        page = sized(data, i + 1) if data[i] == 0x12 else None
        if page is None or page[1] > end:
            return None
        payload = _payload(data, *page)
        if payload is None:
            return None
        payloads.append(payload)
        i = page[1]
    return RawCommands(data[span[0] : span[1]], said, payloads) if payloads else None


def _payload(data: bytes, i: int, end: int) -> tuple[str, bytes] | None:
    head = command_head(data, i, end)
    span = None if head is None else sized(data, head.end())
    if span is None or span[1] != end:
        return None
    packed = read_any(data, *span)
    if packed is None or not packed[0]:
        return None
    return packed[0].decode(), data[packed[1] : end]
