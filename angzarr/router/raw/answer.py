"""The answer of a command handler, put together as bytes: covers are copied, not encoded again."""

from datetime import UTC, datetime

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.router.emission import Emission, NewEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTE = tuple(bytes((value,)) for value in range(128))
_heads: dict[str, bytes] = {}
"""Type URL → the field of an Any that holds it. Only URLs of event classes that handlers return get here."""


def business_response(emission: Emission, cover: bytes, snapshot: bytes | None) -> bytes:
    """An encoded BusinessResponse with the events collected.

    Args:
        emission: the events.
        cover: the encoded cover of the answer.
        snapshot: the encoded snapshot; None for none.
    """
    n = len(cover)
    parts = [b"\x0a", _BYTE[n] if n < 128 else write_varint(n), cover]
    if snapshot is not None:
        parts += (b"\x12", write_varint(len(snapshot)), snapshot)
    if emission.items:
        created_at = _clock.field(emission.created_at)
        for item in emission.items:
            if type(item) is NewEvent:
                _add_page(parts, item, created_at)
            else:
                page = codec.encode(item)  # type: ignore[arg-type]
                parts += (b"\x1a", write_varint(len(page)), page)
    n = emission.next_sequence
    if n:
        parts += (b"\x30", _BYTE[n] if n < 128 else write_varint(n))
    book = b"".join(parts)
    n = len(book)
    return b"".join((b"\x0a", _BYTE[n] if n < 128 else write_varint(n), book))


def _add_page(parts: list[bytes], event: NewEvent, created_at: bytes) -> None:
    """Add pages { header { sequence } created_at { … } event { type_url value } }."""
    number, type_url, value = event
    sequence = _BYTE[number] if number < 128 else write_varint(number)
    head = _heads.get(type_url) or _head(type_url)
    n = len(value)
    size = _BYTE[n] if n < 128 else write_varint(n)
    n = len(head) + 1 + len(size) + n if value else len(head)
    packed = _BYTE[n] if n < 128 else write_varint(n)
    n += 4 + len(sequence) + len(created_at) + len(packed)
    parts += (
        b"\x1a",
        _BYTE[n] if n < 128 else write_varint(n),
        b"\x0a",
        _BYTE[1 + len(sequence)],
        b"\x08",
        sequence,
        created_at,
        b"\x1a",
        packed,
        head,
    )
    if value:
        parts += (b"\x12", size, value)


def _head(type_url: str) -> bytes:
    url = type_url.encode()
    head = _heads[type_url] = b"\x0a" + write_varint(len(url)) + url
    return head


class _Clock:
    """Encodes times as the field ``created_at`` of a page; within the same second only the nanoseconds anew."""

    def __init__(self) -> None:
        self._second = _EPOCH
        self._body = b""

    def field(self, at: datetime) -> bytes:
        """The field, tag and length included."""
        since = at - self._second
        if since.days or since.seconds:
            self._turn(at)
            since = at - self._second
        nanos = since.microseconds * 1000
        body = self._body
        if nanos >> 28:
            body += bytes(
                (
                    0x10,
                    nanos & 127 | 128,
                    nanos >> 7 & 127 | 128,
                    nanos >> 14 & 127 | 128,
                    nanos >> 21 & 127 | 128,
                    nanos >> 28,
                )
            )
        elif nanos:
            body += b"\x10" + write_varint(nanos)
        return b"".join((b"\x12", _BYTE[len(body)], body))

    def _turn(self, at: datetime) -> None:
        self._second = second = at.astimezone(UTC).replace(microsecond=0)
        since = second - _EPOCH
        seconds = since.days * 86400 + since.seconds
        self._body = b"\x08" + write_varint(seconds & 0xFFFFFFFFFFFFFFFF) if seconds else b""


_clock = _Clock()
