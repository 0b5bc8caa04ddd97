"""The answer of a command handler, put together as bytes: covers are copied, not encoded again."""

from datetime import UTC, datetime

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.router.emission import Emission, NewEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_heads: dict[str, bytes] = {}
"""Type URL → the field of an Any that holds it. Only URLs of event classes that handlers return get here."""


def business_response(emission: Emission, cover: bytes, snapshot: bytes | None) -> bytes:
    """An encoded BusinessResponse with the events collected.

    Args:
        emission: the events.
        cover: the encoded cover of the answer.
        snapshot: the encoded snapshot; None for none.
    """
    parts = [b"\x0a", write_varint(len(cover)), cover]
    if snapshot is not None:
        parts += (b"\x12", write_varint(len(snapshot)), snapshot)
    if emission.items:
        created_at = _timestamp(emission.created_at)
        for item in emission.items:
            page = _new_page(item, created_at) if isinstance(item, NewEvent) else codec.encode(item)
            parts += (b"\x1a", write_varint(len(page)), page)
    if emission.next_sequence:
        parts += (b"\x30", write_varint(emission.next_sequence))
    book = b"".join(parts)
    return b"".join((b"\x0a", write_varint(len(book)), book))


def _new_page(event: NewEvent, created_at: bytes) -> bytes:
    """header { sequence } created_at { … } event { type_url value }."""
    number, type_url, value = event
    sequence = write_varint(number)
    packed = _heads.get(type_url) or _head(type_url)
    if value:
        packed = b"".join((packed, b"\x12", write_varint(len(value)), value))
    return b"".join(
        (
            b"\x0a",
            write_varint(1 + len(sequence)),
            b"\x08",
            sequence,
            created_at,
            b"\x1a",
            write_varint(len(packed)),
            packed,
        )
    )


def _head(type_url: str) -> bytes:
    url = type_url.encode()
    head = _heads[type_url] = b"\x0a" + write_varint(len(url)) + url
    return head


def _timestamp(at: datetime) -> bytes:
    """The field ``created_at`` of a page, tag and length included."""
    since = at - _EPOCH
    seconds = since.days * 86400 + since.seconds
    nanos = since.microseconds * 1000
    if nanos >= 1 << 21 and 1 << 28 <= seconds < 1 << 35:
        return _usual_timestamp(seconds, nanos)
    body = b"\x08" + write_varint(seconds & 0xFFFFFFFFFFFFFFFF) if seconds else b""
    if nanos:
        body += b"\x10" + write_varint(nanos)
    return b"\x12" + write_varint(len(body)) + body


def _usual_timestamp(seconds: int, nanos: int) -> bytes:
    """The same for five bytes of seconds (1978 to 3058) and four or five of nanoseconds."""
    return bytes(
        (
            0x12,
            12 if nanos >> 28 else 11,
            0x08,
            seconds & 127 | 128,
            seconds >> 7 & 127 | 128,
            seconds >> 14 & 127 | 128,
            seconds >> 21 & 127 | 128,
            seconds >> 28,
            0x10,
            nanos & 127 | 128,
            nanos >> 7 & 127 | 128,
            nanos >> 14 & 127 | 128,
            *((nanos >> 21 & 127 | 128, nanos >> 28) if nanos >> 28 else (nanos >> 21,)),
        )
    )
