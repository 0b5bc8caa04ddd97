"""Header compression that remembers, for h2: h2 and hpack as they are, less the work they repeat for every call.

gRPC calls of one connection carry nearly the same headers each time. `lighten` gives an h2 connection

* a decoder that remembers whole header blocks, as long as they leave the table of the connection alone;
* an encoder that remembers single fields, of names whose values an application chooses and not its peer;
* neither of hpack's several log lines per field.

Both speak HPACK as any other; what they remember is bounded, and what a peer sent is forgotten with its connection.
"""

from collections.abc import Iterable
from typing import Any

from h2.connection import H2Connection
from hpack import Decoder, Encoder, HeaderTuple

from angzarr.http2.headers import CountingTable, literal

_LONGEST_BLOCK = 1024
_MOST_BLOCKS = 64
_MOST_FIELDS = 1024
_OURS = frozenset(
    (
        b":status",
        b"content-type",
        b"grpc-status",
        b":method",
        b":scheme",
        b":path",
        b":authority",
        b"te",
        b"user-agent",
    )
)
_fields: dict[tuple[bytes, bytes], bytes] = {}


def lighten(connection: H2Connection) -> None:
    """Let a connection that has not sent or received headers yet remember them.

    Args:
        connection: a client's or a server's end.
    """
    encoder, decoder = RememberingEncoder(), RememberingDecoder()
    encoder.header_table_size = connection.encoder.header_table_size
    encoder.header_table.resized = connection.encoder.header_table.resized
    decoder.max_header_list_size = connection.decoder.max_header_list_size
    decoder.max_allowed_table_size = connection.decoder.max_allowed_table_size
    connection.encoder, connection.decoder = encoder, decoder


class RememberingDecoder(Decoder):
    """Decodes a block that it has seen since the table last changed by looking it up."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table: CountingTable = CountingTable()
        self._blocks: dict[tuple[bytes, bool, int], list[HeaderTuple]] = {}
        self._changes = 0

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """As hpack's."""
        table = self.header_table
        if table.changes != self._changes:
            self._blocks.clear()
            self._changes = table.changes
        key = (bytes(data), raw, self.max_header_list_size)
        known = self._blocks.get(key)
        if known is not None and table.maxsize <= self.max_allowed_table_size:
            return list(known)
        headers = list(super().decode(data, raw))
        if (
            table.changes == self._changes
            and len(data) <= _LONGEST_BLOCK
            and len(self._blocks) < _MOST_BLOCKS
        ):
            self._blocks[key] = headers
        return list(headers)


class RememberingEncoder(Encoder):
    """Encodes fields of some names without the dynamic table, so that the bytes are the same on every connection."""

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """As hpack's."""
        if isinstance(headers, dict):
            return super().encode(headers, huffman)
        resize = self._pending_resize() if self.header_table.resized else b""
        return resize + b"".join([_fields.get(header) or self._field(header, huffman) for header in headers])

    def _pending_resize(self) -> bytes:
        self.header_table.resized = False
        return self._encode_table_size_change()

    def _field(self, header: Any, huffman: bool) -> bytes:
        name, value = (part.encode() if isinstance(part, str) else bytes(part) for part in header[:2])
        sensitive = (
            not header.indexable if isinstance(header, HeaderTuple) else bool(header[2:] and header[2])
        )
        if name not in _OURS or sensitive:
            return self.add((name, value), sensitive, huffman)
        encoded = literal(name, value)
        if len(_fields) < _MOST_FIELDS:
            _fields[name, value] = encoded
        return encoded
