"""HPACK, with what gRPC's ends repeat remembered.

Headers are encoded without the dynamic table, so a header's bytes never depend on what was sent before: those that
every call has are kept. What comes in is decoded by hpack; while the peer's dynamic table does not change, equal blocks
mean equal headers, and those are kept too.
"""

from collections.abc import Iterable
from typing import cast

import hpack
from hpack.table import HeaderTable

Pairs = list[tuple[str, str]]

USER_AGENT = "grpc-python-angzarr"
"""What our clients call themselves, by which servers know who reads longer trailers than grpcio does."""

_REPEATED = frozenset(
    (
        ":method",
        ":scheme",
        ":path",
        ":authority",
        ":status",
        "te",
        "content-type",
        "user-agent",
        "grpc-status",
    )
)
_STATIC = {
    (b":method", b"POST"): b"\x83",
    (b":scheme", b"http"): b"\x86",
    (b":scheme", b"https"): b"\x87",
    (b":status", b"200"): b"\x88",
}
_STATIC_NAMES = {b":authority": 1, b":path": 4, b":status": 8, b"content-type": 31, b"user-agent": 58}
_SECRET = frozenset((b"authorization", b"cookie"))
_KEPT = 256
_LONGEST_KEPT = 512


class Prepared(Pairs):
    """A request's headers, with the block they are encoded into: what all calls of a method have is encoded once."""

    __slots__ = ("block",)

    def __init__(self, headers: Pairs) -> None:
        super().__init__(headers)
        self.block: bytes = b"".join([literal(name.encode(), value.encode()) for name, value in headers])

    def plus(self, more: "Prepared") -> "Prepared":
        """These headers and others."""
        made = Prepared.__new__(Prepared)
        made += self
        made += more
        made.block = self.block + more.block
        return made


class LiteralEncoder:
    """Encodes headers into literals."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def encode(self, headers: Iterable[tuple[str, str]]) -> bytes:
        """The header block."""
        if isinstance(headers, Prepared):
            return headers.block
        kept = self._kept
        return b"".join([kept.get(header) or self._encode(header) for header in headers])

    def _encode(self, header: tuple[str, str]) -> bytes:
        encoded = literal(header[0].encode(), header[1].encode())
        if header[0] in _REPEATED and len(self._kept) < _KEPT:
            self._kept[header] = encoded
        return encoded


def literal(name: bytes, value: bytes) -> bytes:
    """A header by the static table alone, never added to the dynamic one."""
    indexed = _STATIC.get((name, value))
    if indexed is not None:
        return indexed
    kind = 0x10 if name in _SECRET else 0x00
    index = _STATIC_NAMES.get(name)
    start = bytes((kind,)) + _text(name) if index is None else _integer(index, 4, kind)
    return start + _text(value)


def _text(raw: bytes) -> bytes:
    return _integer(len(raw), 7, 0) + raw


def _integer(value: int, bits: int, flags: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((flags | value,))
    encoded = bytearray((flags | limit,))
    value -= limit
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class CountingTable(HeaderTable):
    """A dynamic table that says when it may have changed."""

    changes: int = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        return self._maxsize

    @maxsize.setter
    def maxsize(self, newmax: int) -> None:
        self.changes += 1
        HeaderTable.maxsize.fset(self, newmax)  # type: ignore[attr-defined]


class HeaderDecoder(hpack.Decoder):
    """Decodes headers.

    Args:
        max_header_list_size: bytes of a block's headers, beyond which the connection ends.
    """

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.header_table: CountingTable = CountingTable()
        self._kept: dict[bytes, Pairs] = {}
        self._kept_at = 0

    def pairs(self, block: bytes) -> Pairs:
        """The headers of a block, in order; not to be changed, as equal blocks give the same list.

        Raises:
            hpack.HPACKError: the block is malformed.
        """
        table = self.header_table
        if table.changes != self._kept_at:
            self._kept.clear()
            self._kept_at = table.changes
        known = self._kept.get(block)
        if known is not None:
            return known
        pairs: Pairs = list(cast("Pairs", self.decode(block)))
        unchanged = table.changes == self._kept_at
        if unchanged and len(block) <= _LONGEST_KEPT and len(self._kept) < _KEPT:
            self._kept[block] = pairs
        return pairs
