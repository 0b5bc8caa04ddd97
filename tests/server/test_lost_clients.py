"""Clients that are gone before their answers are written."""

import asyncio

import pytest

from tests.server.peers import COUNT, WAIT, Bytes, Peer, serving, until


@pytest.mark.parametrize("http2", ["lean", "light", "h2"])
async def test_answers_to_a_client_that_is_gone_are_not_written(
    http2: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = Bytes()
    async with serving(service, http2=http2) as (server, port), await Peer.connect(port) as peer:
        for _ in range(20):
            peer.request(WAIT, b"answer")
        await until(lambda: service.waiting == 20)
        [connection] = server._connections
        service.release.set()
        connection._transport._force_close(ConnectionResetError("reset"))  # type: ignore[union-attr]
        await until(lambda: not server._connections)
        await asyncio.sleep(0)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_a_stream_to_a_client_that_is_gone_ends(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Bytes()) as (server, port), await Peer.connect(port) as peer:
        peer.request(COUNT, b"1000000")
        await until(lambda: bool(server._connections) and bool(server._calls))
        [connection] = server._connections
        connection._transport._force_close(ConnectionResetError("reset"))  # type: ignore[union-attr]
        await until(lambda: not server._calls)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
