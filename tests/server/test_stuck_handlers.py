"""Synchronous handlers that do not come back from their worker threads, and the callers and servers around them."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from angzarr.messages import encode, services
from angzarr.router import Router, command_handler, handles
from angzarr.server import GrpcServer, ServerOptions
from tests.bank.messages import AccountOpened, Deposit, OpenAccount
from tests.router.helpers import request
from tests.server.peers import Peer, until

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"].path


class Gate:
    """Where handlers get stuck, until the test lets them go."""

    def __init__(self) -> None:
        self.entered = 0
        self.open = threading.Event()

    def router(self) -> Any:
        gate = self

        @command_handler(domain="account", state=dict)
        class Stuck:
            @handles(OpenAccount)
            def wait(self, command: OpenAccount) -> AccountOpened:
                gate.entered += 1
                gate.open.wait(120)
                return AccountOpened()

            @handles(Deposit)
            async def deposit(self, command: Deposit) -> None: ...

        return Router("stuck", run_sync_handlers_in_thread=True).with_handler(Stuck, Stuck).build()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


async def test_a_deadline_is_kept(gate: Gate) -> None:
    async with GrpcServer([gate.router()], options=ServerOptions(linger=0.05)) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with await Peer.connect(port) as peer, asyncio.timeout(30):
            stream = peer.request(HANDLE, encode(request(OpenAccount())), headers={"grpc-timeout": "1500m"})
            assert (await peer.answer(stream))["grpc-status"] == "4"
            assert gate.entered == 1


async def test_other_calls_are_answered_and_the_server_ends(gate: Gate) -> None:
    loop = asyncio.get_running_loop()
    async with GrpcServer([gate.router()], options=ServerOptions(linger=0.05)) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with await Peer.connect(port) as peer, asyncio.timeout(30):
            stuck = [peer.request(HANDLE, encode(request(OpenAccount()))) for _ in range(64)]
            await until(lambda: gate.entered == 40)
            fine = peer.request(HANDLE, encode(request(Deposit())))
            assert (await peer.answer(fine))["grpc-status"] == "0"
            start = loop.time()
            drain = asyncio.create_task(server.drain(0.2))
            assert {(await peer.answer(stream))["grpc-status"] for stream in stuck} == {"14"}
            await drain
            assert loop.time() - start < 30
    assert gate.entered == 40
