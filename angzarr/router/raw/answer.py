"""The answer of a command handler, put together as bytes: covers are copied, not encoded again."""

import time
from datetime import UTC, datetime

from angzarr import codec
from angzarr.codec.wire import more_pairs, short_varints, write_varint
from angzarr.messages.timestamps import frozen_time
from angzarr.router.emission import Emission, NewEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS = 1_000_000_000
_heads: dict[str, bytes] = {}
"""Type URL → the field of an Any that holds it. Only URLs of event classes that handlers return get here."""


def business_response(emission: Emission, cover: bytes, snapshot: bytes | None) -> bytes:
    """An encoded BusinessResponse with the events collected.

    Args:
        emission: the events.
        cover: the cover of the answer, encoded as a book's field.
        snapshot: the encoded snapshot; None for none.
    """
    short = short_varints()
    parts = [cover]
    if snapshot is not None:
        parts += (b"\x12", write_varint(len(snapshot)), snapshot)
    if emission.items:
        created_at = _clock.now() if emission.created_at is None else _clock.field(emission.created_at)
        for item in emission.items:
            if type(item) is tuple:
                _add_page(parts, item, created_at, short)
            else:
                page = codec.encode(item)  # type: ignore[arg-type]
                parts += (b"\x1a", write_varint(len(page)), page)
    n = emission.next_sequence
    if n:
        parts += (b"\x30", short[n] if n < 16384 else write_varint(n))
    book = b"".join(parts)
    n = len(book)
    return b"".join((b"\x0a", short[n] if n < 16384 else write_varint(n), book))


def _add_page(parts: list[bytes], event: NewEvent, created_at: bytes, short: list[bytes]) -> None:
    """Add pages { header { sequence } created_at { … } event { type_url value } }."""
    number, type_url, value = event
    sequence = short[number] if number < 16384 else write_varint(number)
    head = _heads.get(type_url) or _head(type_url)
    n = len(value)
    size = short[n] if n < 16384 else write_varint(n)
    n = len(head) + 1 + len(size) + n if value else len(head)
    packed = short[n] if n < 16384 else write_varint(n)
    n += 4 + len(sequence) + len(created_at) + len(packed)
    parts += (
        b"\x1a",
        short[n] if n < 16384 else write_varint(n),
        b"\x0a",
        short[1 + len(sequence)],
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
        self._second = _Second(0)

    def now(self) -> bytes:
        """The field with the time it is, tag and length included."""
        at = frozen_time()
        if at is not None:
            return self.field(at)
        second, nanos = divmod(time.time_ns(), _NANOS)
        return self._field(second, nanos - nanos % 1000)

    def field(self, at: datetime) -> bytes:
        """The field with some time, tag and length included."""
        since = at - _EPOCH
        return self._field(since.days * 86400 + since.seconds, since.microseconds * 1000)

    def _field(self, number: int, nanos: int) -> bytes:
        second = self._second
        if second.number != number:
            second = self._second = _Second(number)
        if nanos >> 28:  # five bytes, as for most times
            pairs = more_pairs()
            return b"%b%b%b%c" % (second.exact, pairs[nanos & 16383], pairs[nanos >> 14 & 16383], nanos >> 28)
        body = second.body + b"\x10" + write_varint(nanos) if nanos else second.body
        return b"\x12%c%b" % (len(body), body)


class _Second:
    """What the times within a second have in common.

    Attributes:
        number: which second since 1970.
        body: a Timestamp of the second alone.
        exact: the field of one with five bytes of nanoseconds, up to these.
    """

    __slots__ = ("body", "exact", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.body: bytes = b"\x08" + write_varint(number & 0xFFFFFFFFFFFFFFFF) if number else b""
        self.exact: bytes = b"\x12%c%b\x10" % (len(self.body) + 6, self.body)


_clock = _Clock()
