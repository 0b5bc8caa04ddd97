"""MERGE_COMMUTATIVE: may a stale command be stored, because it changes other fields than what it has not seen?"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.codec import wire
from angzarr.errors import DecodeError
from angzarr.messages import (
    Any,
    EventBook,
    EventPage,
    ReplayRequest,
    ReplayResponse,
    Snapshot,
    has_field,
    sequence_of,
)

Replay: TypeAlias = Callable[[ReplayRequest], Awaitable[ReplayResponse]]


class CannotCompareError(Exception):
    """The handler offers no Replay, or its states cannot be compared."""


async def overlaps(replay: Replay, history: EventBook, expected: int, new: Sequence[EventPage]) -> bool:
    """Whether the new events change a field that the events from ``expected`` on changed too.

    Args:
        replay: of the aggregate's handler.
        history: what it was given; its snapshot must not be younger than ``expected``.
        expected: the sequence the command was made for.
        new: what the handler answered.

    Raises:
        CannotCompareError: the handler has no Replay, or its state is not a message.
        GRPCError: the handler's own.
    """
    if not new:
        return False
    seen = [page for page in history.pages if sequence_of(page) < expected]
    then = await _state(replay, history, seen)
    now = await _state(replay, history, history.pages)
    after = await _state(replay, history, [*history.pages, *new])
    return bool(changed_fields(then, now) & changed_fields(now, after))


async def _state(replay: Replay, history: EventBook, pages: Sequence[EventPage]) -> Any:
    request = ReplayRequest(events=list(pages))
    if has_field(history, "snapshot"):
        request.base_snapshot = Snapshot(sequence=history.snapshot.sequence, state=history.snapshot.state)
    try:
        answer = await replay(request)
    except GRPCError as error:
        if error.status is Status.UNIMPLEMENTED:
            raise CannotCompareError from error
        raise
    if not has_field(answer, "state"):
        raise CannotCompareError
    return answer.state


def changed_fields(before: Any, after: Any) -> set[int]:
    """Numbers of the fields in which two encoded states differ.

    Raises:
        CannotCompareError: they are of different types, or malformed.
    """
    if before.type_url != after.type_url:
        raise CannotCompareError
    try:
        old, new = fields(before.value), fields(after.value)
    except DecodeError as error:
        raise CannotCompareError from error
    return {number for number in old.keys() | new.keys() if old.get(number) != new.get(number)}


def fields(data: bytes) -> dict[int, bytes]:
    """An encoded message's fields by number, each with all its bytes in order.

    Raises:
        DecodeError: the bytes are malformed.
    """
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    try:
        while at < end:
            start = at
            tag, at = wire.read_tag(data, at)
            at = wire.skip(data, at, end, tag)
            found[tag >> 3] = found.get(tag >> 3, b"") + data[start:at]
    except IndexError:
        raise DecodeError(wire.TRUNCATED) from None
    return found
