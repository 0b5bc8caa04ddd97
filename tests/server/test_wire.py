"""What a server keeps of a request, and when its client is told that there is room again."""

import asyncio
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.server.wire import EndedTooSoonError, Events, Inbox, Wire


def inbox() -> tuple[Inbox, list[int]]:
    told: list[int] = []
    return Inbox(told.append), told


async def test_what_came_in_pieces_is_read_in_pieces() -> None:
    box, _ = inbox()
    for piece in (b"ab", b"cde", b"f"):
        box.add(piece, len(piece))
    assert [await box.read(size) for size in (1, 3, 0, 2)] == [b"a", b"bcd", b"", b"ef"]


async def test_after_the_end_there_is_nothing() -> None:
    box, _ = inbox()
    box.add(b"abc", 3)
    box.eof()
    assert await box.read(3) == b"abc"
    assert await box.read(5) == b""


async def test_an_end_in_the_middle_is_an_error() -> None:
    box, _ = inbox()
    box.add(b"abc", 3)
    box.eof()
    with pytest.raises(EndedTooSoonError):
        await box.read(4)


async def test_a_reader_waits_until_there_is_enough() -> None:
    box, _ = inbox()
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(box.read(4))
        for piece in (b"a", b"bc", b"d"):
            await anyio.lowlevel.checkpoint()
            assert not reader.done()
            box.add(piece, len(piece))
    assert reader.result() == b"abcd"


async def test_data_may_come_after_a_reader_has_been_cancelled() -> None:
    box, _ = inbox()
    reader = asyncio.ensure_future(box.read(2))
    await anyio.lowlevel.checkpoint()
    reader.cancel()
    box.add(b"ab", 2)
    await asyncio.wait([reader])
    assert await box.read(2) == b"ab"


async def test_the_client_is_told_when_all_has_been_read_padding_included() -> None:
    box, told = inbox()
    box.add(b"abcde", 105)
    await box.read(1)
    assert told == []
    await box.read(4)
    assert told == [105]
    assert box.unacked_size() == 0


async def test_a_message_larger_than_the_window_gets_room_while_it_is_read() -> None:
    box, told = inbox()
    box.add(b"abc", 3)
    async with asyncio.TaskGroup() as group:
        group.create_task(box.read(5))
        await anyio.lowlevel.checkpoint()
        assert told == [3]
        box.add(b"de", 2)
    assert sum(told) == 5


async def test_what_has_not_been_read_holds_the_client_back() -> None:
    box, told = inbox()
    for _ in range(100):
        box.add(bytes(10_000), 10_000)
    await box.read(10_000)
    assert told == []
    await box.read(60_000)
    assert told == [70_000]
    assert box.unacked_size() == 930_000


@given(
    pieces=st.lists(st.tuples(st.binary(max_size=9), st.integers(0, 5)), max_size=8),
    sizes=st.lists(st.integers(0, 12), max_size=12),
)
@settings(deadline=None)
async def test_every_byte_is_read_and_told_of_once(pieces: list[tuple[bytes, int]], sizes: list[int]) -> None:
    box, told = inbox()
    for data, padding in pieces:
        box.add(data, len(data) + padding)
    box.eof()
    everything = b"".join(data for data, _ in pieces)
    read = b""
    for size in sizes:
        if size > len(everything) - len(read):
            break
        read += await box.read(size)
    assert read == everything[: len(read)]
    assert sum(told) + box.unacked_size() == len(everything) + sum(padding for _, padding in pieces)


class Link:
    """As much of a connection as a wire looks at."""

    _h2_connection = _connection = _transport = None

    def ack(self, stream: int, size: int) -> None: ...


async def test_only_calls_that_wait_for_room_are_woken() -> None:
    link: Any = Link()
    events = Events(link, link)
    wires = [Wire(link, number, events._waiting) for number in (1, 3, 5)]
    for wire in wires[:2]:
        assert not wire.window_updated.is_set()
    event: Any = type("Update", (), {"stream_id": 3})
    events.process_window_updated(event)
    assert [wire.window_updated.is_set() for wire in wires[:2]] == [False, True]
    event.stream_id = 0
    events.process_window_updated(event)
    assert wires[0].window_updated.is_set()
    assert "window_updated" not in vars(wires[2])
