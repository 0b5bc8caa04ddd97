"""Servers that are too slow, and callers that give up."""

import asyncio

import h2.errors
import h2.events
import pytest
from grpclib.const import Status

from angzarr.errors import ClientError, GRPCError, OutcomeUnknownError
from angzarr.messages import Query
from angzarr.retry import ExponentialBackoffRetry
from tests.faults.clients import (
    client_of,
    command,
    killed,
    silent,
)
from tests.faults.peers import Peer


async def test_a_slow_server_runs_into_the_deadline() -> None:
    async with client_of(silent) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=0.1)
        assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED
        assert not isinstance(raised.value, OutcomeUnknownError)
        assert 0.1 <= asyncio.get_running_loop().time() - started < 30
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_a_deadline_leaves_a_commands_outcome_unknown() -> None:
    async with client_of(silent) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await command(client, timeout=0.5)
        assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED


async def test_a_deadline_travels_as_grpc_timeout() -> None:
    seen: list[str] = []

    async def look(peer: Peer) -> None:
        stream = await peer.request()
        seen.append(peer.headers[stream]["grpc-timeout"])
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(look) as client:
        await client.get_event_book(Query(), timeout=50)
    assert seen[0].endswith("m")
    assert 20_000 < int(seen[0][:-1]) <= 50_000


async def test_a_deadline_covers_all_attempts() -> None:
    policy = ExponentialBackoffRetry(min_delay=0.05, max_delay=0.05, max_attempts=1000)
    async with client_of(killed, retry=policy) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ClientError):
            await client.get_event_book(Query(), timeout=0.3)
        assert asyncio.get_running_loop().time() - started < 30


async def test_the_callers_cancellation_resets_the_stream() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def watch(peer: Peer) -> None:
        stream = await peer.request()
        begun.set()
        while data := await peer.reader.read(65536):
            for event in peer.h2.receive_data(data):
                if isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    ended.set()

    async with client_of(watch) as client:
        call = asyncio.create_task(client.get_event_book(Query()))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(30):
            await ended.wait()
