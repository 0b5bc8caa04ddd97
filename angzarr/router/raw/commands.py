"""The command book of a raw request."""

from collections.abc import Sequence

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import CommandBook, Cover
from angzarr.router.raw.scan import command_head, read_cover, sized
from angzarr.router.requests import BookCommands, require_commands


class RawCommands:
    """A command book whose cover stays bytes unless a handler asks for it."""

    __slots__ = ("_cover", "address", "correlation_id", "domain", "payloads", "root")

    def __init__(
        self,
        cover: bytes,
        address: int,
        domain: str,
        root: bytes,
        correlation_id: str,
        payloads: Sequence[tuple[str, bytes]],
    ) -> None:
        self._cover = cover
        self.address: int = address
        self.domain: str = domain
        self.root: bytes = root
        self.correlation_id: str = correlation_id
        self.payloads: Sequence[tuple[str, bytes]] = payloads

    def cover(self) -> Cover:
        """The book's cover, decoded anew."""
        return codec.decode(Cover, self._cover)

    def cover_bytes(self) -> bytes:
        """The book's cover as it came."""
        return self._cover

    def vouches_for(self, cover: bytes) -> bool:
        """Whether a cover is this one, or this one without its correlation id, and so as well-formed as this one."""
        mine = self._cover
        return cover == mine or (len(cover) == self.address and mine.startswith(cover))


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
    start = i + 2
    i = start + data[i + 1]
    if data[start - 2] != 0x0A or data[start - 1] > 127:
        return None
    said = read_cover(data, start, i)
    if said is None or not said[0]:
        return None
    domain, root, correlation_id, address = said
    cover = data[start:i]
    payloads = []
    while i < end:
        page = sized(data, i + 1) if data[i] == 0x12 else None
        payload = None if page is None else _payload(data, *page)
        if page is None or payload is None:
            return None
        payloads.append(payload)
        i = page[1]
    if i != end or not payloads:
        return None
    return RawCommands(cover, address - start, domain, root, correlation_id, payloads)


def _payload(data: bytes, i: int, stop: int) -> tuple[str, bytes] | None:
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
