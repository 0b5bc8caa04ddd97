"""The answer of a command handler, put together as bytes: covers are copied, not encoded again."""

import time
from datetime import datetime

from angzarr import codec
from angzarr.codec.wellknown import EPOCH
from angzarr.codec.wire import MASK64, write_varint
from angzarr.messages.pages import LAST_SEQUENCE
from angzarr.messages.timestamps import frozen_time
from angzarr.router.emission import Emission, Kind

_NANOS = 1_000_000_000
_BYTE = tuple(bytes((value,)) for value in range(128))
_HEADERS = (b"", *(bytes((0x0A, 1 + digits, 0x08)) for digits in range(1, 6)))
"""What precedes a sequence of so many bytes in a page."""


def business_response(emission: Emission, cover: bytes, snapshot: bytes | None) -> bytes:
    """An encoded BusinessResponse with the events collected.

    Args:
        emission: the events.
        cover: the cover of the answer, encoded as a book's field.
        snapshot: the encoded snapshot; None for none.
    """
    parts = [b"\x0a", b"", cover]
    total = len(cover)
    if snapshot is not None:
        total += _add(parts, b"\x12", snapshot)
    if emission.items:
        at = _clock.now() if emission.created_at is None else _clock.field(emission.created_at)
        for item in emission.items:
            if type(item) is not tuple:
                total += _add(parts, b"\x1a", codec.encode(item))  # type: ignore[arg-type]
                continue
            number, kind, value = item
            sequence = _BYTE[number] if number < 128 else write_varint(number)
            n = len(value)
            head = kind.heads.get(n) or kind.head(n)
            n += 3 + len(sequence) + len(at) + len(head)
            size = _BYTE[n] if n < 128 else write_varint(n)
            total += 1 + len(size) + n
            parts += (b"\x1a", size, _HEADERS[len(sequence)], sequence, at, head, value)
    n = emission.next_sequence
    if n:
        sequence = _BYTE[n] if n < 128 else write_varint(n)
        total += 1 + len(sequence)
        parts += (b"\x30", sequence)
    parts[1] = _BYTE[total] if total < 128 else write_varint(total)
    return b"".join(parts)


def one_event(cover: bytes, number: int, kind: Kind, value: bytes) -> bytes:
    """As ``business_response``, of one event.

    Raises:
        EncodeError: the aggregate has no sequence left.
    """
    if number >= LAST_SEQUENCE:
        Emission(number + 1).require_room()
    at = _clock.now()
    sequence = _BYTE[number] if number < 128 else write_varint(number)
    following = _BYTE[number + 1] if number < 127 else write_varint(number + 1)
    n = len(value)
    head = kind.heads.get(n) or kind.head(n)
    n += 3 + len(sequence) + len(at) + len(head)
    size = _BYTE[n] if n < 128 else write_varint(n)
    total = len(cover) + 1 + len(size) + n + 1 + len(following)
    return b"".join(
        (
            b"\x0a",
            _BYTE[total] if total < 128 else write_varint(total),
            cover,
            b"\x1a",
            size,
            _HEADERS[len(sequence)],
            sequence,
            at,
            head,
            value,
            b"\x30",
            following,
        )
    )


def _add(parts: list[bytes], tag: bytes, value: bytes) -> int:
    """Add a field; how many bytes it takes."""
    size = write_varint(len(value))
    parts += (tag, size, value)
    return 1 + len(size) + len(value)


class _Clock:
    """Encodes times as the field ``created_at`` of a page; within the same second only the nanoseconds anew."""

    def __init__(self) -> None:
        self._second = _Second(0)

    def now(self) -> bytes:
        """The field with the time it is, tag and length included."""
        at = frozen_time()
        if at is not None:
            return self.field(at)
        since = time.time_ns()
        second = since // _NANOS
        nanos = since % _NANOS
        return self._field(second, nanos - nanos % 1000)

    def field(self, at: datetime) -> bytes:
        """The field with some time, tag and length included."""
        since = at - EPOCH
        return self._field(since.days * 86400 + since.seconds, since.microseconds * 1000)

    def _field(self, number: int, nanos: int) -> bytes:
        second = self._second
        if second.number != number:
            second = self._second = _Second(number)
        if nanos >> 28:  # five bytes, as for most times
            return second.exact + bytes(
                (
                    nanos & 127 | 128,
                    nanos >> 7 & 127 | 128,
                    nanos >> 14 & 127 | 128,
                    nanos >> 21 & 127 | 128,
                    nanos >> 28,
                )
            )
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
        self.body: bytes = b"\x08" + write_varint(number & MASK64) if number else b""
        self.exact: bytes = b"\x12%c%b\x10" % (len(self.body) + 6, self.body)


_clock = _Clock()
