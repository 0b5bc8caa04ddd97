"""Servers that say goodbye, between calls and during them."""

import asyncio

import pytest

from angzarr.errors import OutcomeUnknownError, TransportError
from angzarr.messages import Query
from tests.faults.clients import (
    QUICK,
    a_few_turns,
    client_of,
    command,
)
from tests.faults.peers import BOOK, Peer, answering


async def test_goaway_above_a_call_lets_it_finish_and_sends_the_next_elsewhere() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.goaway(stream)
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        await command(client)
        await command(client)


async def test_goaway_below_a_call_means_it_was_never_begun() -> None:
    async def leave(peer: Peer) -> None:
        await peer.request()
        await peer.goaway(0)
        await peer.until_closed()

    async with client_of(leave, answering, retry=QUICK) as client:
        await command(client)


async def test_goaway_below_a_call_without_retries_says_that_nothing_happened() -> None:
    async def leave(peer: Peer) -> None:
        await peer.request()
        await peer.goaway(0)
        await peer.until_closed()

    async with client_of(leave) as client:
        with pytest.raises(TransportError) as raised:
            await command(client)
        assert not isinstance(raised.value, OutcomeUnknownError)
        assert "GOAWAY" in raised.value.details["cause"]


async def test_goaway_between_two_calls_under_way_ends_the_later_one_only() -> None:
    async def leave(peer: Peer) -> None:
        first = await peer.request()
        await peer.request()
        await peer.goaway(first)
        await peer.answer(first)
        await peer.until_closed()

    async with client_of(leave, answering, retry=QUICK) as client, asyncio.TaskGroup() as group:
        group.create_task(command(client))
        group.create_task(command(client))


async def test_goaway_between_calls_is_not_even_noticed() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.answer(stream)
        await peer.goaway(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        await command(client)
        await a_few_turns()
        await command(client)


async def test_a_graceful_goaway_comes_in_two_steps() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.goaway(2**31 - 1)
        await peer.goaway(stream)
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        assert await client.get_event_book(Query()) == BOOK
        assert await client.get_event_book(Query()) == BOOK
