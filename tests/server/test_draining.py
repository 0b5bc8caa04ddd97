import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler

from angzarr.server import connections, grpc_server
from angzarr.server.grpc_server import GrpcServer
from angzarr.server.health import HealthService
from tests.server.peers import CHAT, COUNT, ECHO, WAIT, Bytes, Peer, framed, server_of, serving, until

WATCH = "/grpc.health.v1.Health/Watch"
CHECK = "/grpc.health.v1.Health/Check"


@asynccontextmanager
async def draining(server: GrpcServer, grace: float = 60.0) -> AsyncIterator[asyncio.Task[None]]:
    """A drain under way, new connections no longer accepted; waited for at the end."""
    task = asyncio.create_task(server.drain(grace))
    await until(lambda: not server.addresses)
    yield task
    await task


def elapsed_since(start: float) -> float:
    return asyncio.get_running_loop().time() - start


def loop_time() -> float:
    return asyncio.get_running_loop().time()


async def test_a_call_in_flight_is_answered_before_the_server_ends() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"late")
        await service.started.wait()
        async with draining(server) as drain:
            assert not drain.done()
            service.release.set()
            assert (await peer.answer(stream))["grpc-status"] == "0"
            assert peer.body(stream) == framed(b"late")


async def test_a_new_call_is_refused_as_not_executed_while_the_server_drains() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        peer.request(WAIT, b"")
        await service.started.wait()
        async with draining(server):
            assert await peer.answer(peer.request(ECHO, b"new")) == {"reset": "7"}
            service.release.set()


@pytest.mark.parametrize("http2", ["lean", "light", "h2"])
async def test_a_refused_call_that_its_caller_gave_up_at_once_does_not_disturb_the_others(http2: str) -> None:
    service = Bytes()
    async with serving(service, http2=http2) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"late")
        await service.started.wait()
        async with draining(server):
            peer.request_and_give_up(ECHO, b"new")
            assert await peer.answer(peer.request(ECHO, b"newer")) == {"reset": "7"}
            service.release.set()
            assert (await peer.answer(stream))["grpc-status"] == "0"


async def test_a_new_connection_is_refused_while_the_server_drains() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        peer.request(WAIT, b"")
        await service.started.wait()
        async with draining(server):
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(port)
            service.release.set()


async def test_goaway_names_the_last_call_that_was_taken() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        await peer.answer(peer.request(ECHO, b"first"))
        stream = peer.request(WAIT, b"second")
        await service.started.wait()
        async with draining(server):
            service.release.set()
            goaway = await peer.goaway()
        assert (goaway.error_code, goaway.last_stream_id) == (0, stream)


async def test_an_idle_connection_is_told_goodbye_at_once() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as busy:
        busy.request(WAIT, b"")
        await service.started.wait()
        async with await Peer.connect(port) as idle:
            await idle.answer(idle.request(ECHO, b"x"))
            async with draining(server) as drain:
                assert (await idle.goaway()).error_code == 0
                assert not drain.done()
                service.release.set()


async def test_a_call_that_crosses_the_goodbye_is_refused_as_not_executed() -> None:
    async with serving(Bytes(), linger=90.0) as (server, port):
        async with await Peer.connect(port) as peer:
            await peer.answer(peer.request(ECHO, b"x"))
            drain = asyncio.create_task(server.drain(90.0))
            await peer.goaway()
            assert await peer.answer(peer.request(ECHO, b"late")) == {"reset": "7"}
        await drain


async def test_the_server_ends_when_its_clients_have_hung_up() -> None:
    async with serving(Bytes(), linger=90.0) as (server, port):
        async with await Peer.connect(port) as peer:
            drain = asyncio.create_task(server.drain(90.0))
            await peer.goaway()
        await drain
        assert server.connections == 0


async def test_a_client_that_does_not_hang_up_is_hung_up_on() -> None:
    async with serving(Bytes(), linger=0.01) as (server, port), await Peer.connect(port) as peer:
        start = loop_time()
        await server.drain(60.0)
        assert elapsed_since(start) < 30
        assert await peer.closed()


async def test_a_call_that_outlasts_the_grace_period_is_answered_unavailable_and_cancelled() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"")
        await service.started.wait()
        async with draining(server, grace=0.01):
            answer = await peer.answer(stream)
        assert answer["grpc-status"] == "14"
        assert answer["grpc-message"] == "the server stopped before the call was finished"
        assert service.cancelled.is_set()


async def test_the_goodbye_does_not_come_with_the_answers_of_calls_that_are_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (grpc_server, connections):
        monkeypatch.setattr(module, "PARTING", 60.0)
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"")
        await service.started.wait()
        [connection] = server._connections
        async with draining(server, grace=0.01):
            assert (await peer.answer(stream))["grpc-status"] == "14"
            assert not connection.said_goodbye
            server.abort()
            assert (await peer.goaway()).error_code == 0


async def test_a_client_that_sends_its_request_too_slowly_does_not_hold_the_server() -> None:
    async with serving(Bytes()) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO)
        peer.h2.send_data(stream, framed(b"never finished")[:8])
        peer.flush()
        await until(lambda: server.calls_in_flight > 0)
        start = loop_time()
        await server.drain(0.05)
        assert elapsed_since(start) < 30


async def test_a_client_that_does_not_read_its_answer_does_not_hold_the_server() -> None:
    async with serving(Bytes()) as (server, port), await Peer.connect(port) as peer:
        peer.request(ECHO, b"grow 9000000")
        await until(lambda: server.calls_in_flight > 0)
        start = loop_time()
        await server.drain(0.05)
        assert elapsed_since(start) < 30


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_the_server() -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    class Stubborn:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Stubborn/Stay": Handler(self._stay, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _stay(self, stream: Any) -> None:
            started.set()
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

    async with serving(Stubborn()) as (server, port), await Peer.connect(port) as peer:
        peer.request("/test.Stubborn/Stay", b"")
        await started.wait()
        start = loop_time()
        await server.drain(0.05)
        assert elapsed_since(start) < 30
        release.set()


async def test_a_handler_that_cleans_up_is_waited_for_within_the_grace_period() -> None:
    cleaned = asyncio.Event()
    started = asyncio.Event()

    class Tidy:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Tidy/Up": Handler(self._up, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _up(self, stream: Any) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)
                cleaned.set()

    async with serving(Tidy()) as (server, port):
        async with await Peer.connect(port) as peer:
            peer.request("/test.Tidy/Up", b"")
            await started.wait()
        await server.drain(60.0)
        assert cleaned.is_set()


async def test_a_stream_that_is_open_is_finished() -> None:
    async with serving(Bytes()) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(CHAT, b"one", end=False)
        await peer.read(lambda event: type(event).__name__ == "DataReceived")
        async with draining(server):
            peer.h2.send_data(stream, framed(b"two"), end_stream=True)
            peer.flush()
            assert (await peer.answer(stream))["grpc-status"] == "0"
            assert peer.body(stream) == framed(b"one") + framed(b"two")


async def test_64_callers_are_each_answered_or_refused_and_none_hangs() -> None:
    outcomes: list[str] = []

    async def caller(port: int, called: asyncio.Event) -> None:
        async with await Peer.connect(port) as peer:
            while True:
                answer = await peer.answer(peer.request(COUNT, b"3"))
                called.set()
                outcomes.append(answer.get("grpc-status", answer.get("reset", "closed")))
                if outcomes[-1] != "0":
                    return

    async with server_of(Bytes()) as server, asyncio.timeout(30), asyncio.TaskGroup() as callers:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        events = [asyncio.Event() for _ in range(64)]
        for event in events:
            callers.create_task(caller(port, event))
        for event in events:
            await event.wait()
        await server.drain(60.0)
    assert set(outcomes) <= {"0", "7", "closed"}
    assert outcomes.count("0") >= 64


async def test_health_is_answered_while_the_server_drains() -> None:
    service = Bytes()
    health = HealthService()
    async with server_of(service, background=[health]) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with await Peer.connect(port) as peer:
            peer.request(WAIT, b"")
            await service.started.wait()
            async with draining(server):
                check = peer.request(CHECK, b"")
                assert (await peer.answer(check))["grpc-status"] == "0"
                service.release.set()


async def test_a_watch_of_health_does_not_hold_the_server_and_is_ended() -> None:
    health = HealthService()
    async with server_of(background=[health]) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with await Peer.connect(port) as peer:
            watch = peer.request(WATCH, b"")
            await peer.read(lambda event: type(event).__name__ == "DataReceived")
            start = loop_time()
            async with draining(server, grace=60.0):
                assert (await peer.answer(watch))["grpc-status"] == "14"
                await peer.goaway()
                peer.h2.close_connection()
                await peer.__aexit__(None, None, None)
            assert elapsed_since(start) < 30


async def test_draining_twice_waits_for_the_first_time() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        peer.request(WAIT, b"")
        await service.started.wait()
        async with draining(server), draining(server) as second:
            assert not second.done()
            service.release.set()


async def test_a_drain_can_be_hurried() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"")
        await service.started.wait()
        start = loop_time()
        async with draining(server, grace=60.0):
            server.abort()
            assert (await peer.answer(stream)).get("grpc-status", "closed") in ("14", "closed")
        assert elapsed_since(start) < 30


async def test_a_cancelled_block_stops_the_server_without_waiting_for_calls(tmp_path: Path) -> None:
    service = Bytes()

    listening = asyncio.Event()

    async def run() -> None:
        async with server_of(service, grace=60.0) as server:
            await server.listen(f"unix:{tmp_path}/a.sock")
            listening.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await listening.wait()
    async with await Peer.connect_unix(f"{tmp_path}/a.sock") as peer:
        peer.request(WAIT, b"")
        await service.started.wait()
        start = loop_time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert elapsed_since(start) < 30
    assert not (tmp_path / "a.sock").exists()
