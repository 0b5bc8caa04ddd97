"""The facts about grpclib that the server is built around and that no other file of tests is about.

The others: deadlines and resets that leave ``Task.cancelling()`` too high, message sizes and socket files in
`test_grpc_server`; closing while clients are connected and GOAWAY in `test_draining`; the clients' in `tests/faults`.
"""

import asyncio
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from angzarr.server import GrpcServer, ServerOptions, create_server
from tests.bank.domain import bank
from tests.server.peers import ECHO, Bytes, Peer, framed, serving, until

SPEAKERS = ("lean", "light", "h2")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize("http2", SPEAKERS)
async def test_a_client_that_answers_no_ping_is_hung_up_on(http2: str) -> None:
    alive: dict[str, Any] = {"keepalive_time": 0.05, "keepalive_timeout": 0.05, "http2": http2}
    async with serving(Bytes(), **alive) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE)
        async with asyncio.timeout(30):
            await reader.read()
            await until(lambda: not server.connections)
        writer.close()


@pytest.mark.parametrize("http2", SPEAKERS)
async def test_a_silent_client_that_answers_pings_stays_without_a_limit_of_pings(http2: str) -> None:
    alive: dict[str, Any] = {"keepalive_time": 0.02, "keepalive_timeout": 30.0, "http2": http2}
    async with serving(Bytes(), **alive) as (server, port), await Peer.connect(port) as peer:
        pings = 0

        def count(event: Any) -> bool:
            nonlocal pings
            pings += type(event).__name__ == "PingReceived"
            return pings == 8

        async with asyncio.timeout(30):
            assert await peer.read(count) is not None
            stream = peer.request(ECHO, b"still here")
            assert (await peer.answer(stream))["grpc-status"] == "0"
        assert peer.body(stream) == framed(b"still here")
        assert server.connections == 1


def test_a_server_may_be_built_before_the_loop_runs() -> None:
    handle = create_server(list(bank()), address="127.0.0.1:0")

    async def main() -> str:
        await handle.start()
        (address,) = handle.server.addresses
        await handle.stop(0)
        return address

    assert asyncio.run(main()).startswith("127.0.0.1:")


async def test_a_drained_server_ends_its_task_with_clients_still_connected() -> None:
    async with GrpcServer([Bytes()], options=ServerOptions(linger=0.01)) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with await Peer.connect(port) as peer, asyncio.timeout(30):
            await server.drain(0.1)
            await server.wait_stopped()
            assert await peer.closed()


async def test_what_a_handler_raises_besides_statuses_is_one_of_ours_for_the_caller() -> None:
    from angzarr.client import Channel, ChannelStub
    from angzarr.errors import GRPCError as ClientsError
    from angzarr.messages import services
    from angzarr.router import command_handler, handles
    from tests.bank.messages import Account, Deposit
    from tests.router.helpers import command_router, request

    raised: list[BaseException] = [
        OSError("disk"),
        TimeoutError(),
        GRPCError(Status.ABORTED, "later"),
    ]

    @command_handler(domain="account", state=Account)
    class Failing:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise raised[command.amount]

    async with GrpcServer([command_router(Failing)], options=ServerOptions(linger=0.01)) as server:
        channel = Channel(await server.listen("127.0.0.1:0"))
        statuses = []
        for index in range(len(raised)):
            with pytest.raises(ClientsError) as caught:
                await ChannelStub(channel, services.COMMAND_HANDLER).handle(request(Deposit(amount=index)))
            statuses.append(caught.value.grpc_code.name)
        await channel.aclose()
    assert statuses == ["INTERNAL", "INTERNAL", "ABORTED"]
