"""Commands that broke before all of them was on the way: the server cannot have executed them, and we say so."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.errors
import h2.events
import pytest
from grpclib.const import Status
from h2.settings import SettingCodes

from angzarr.client import ChannelConfig, DomainClient
from angzarr.errors import GRPCError, OutcomeUnknownError, TransportError
from angzarr.messages import Any as PackedMessage
from angzarr.messages import CommandBook, CommandPage, CommandRequest
from tests.faults.clients import ONCE, QUICK, a_few_turns, below, client_of, command
from tests.faults.peers import Peer, Script, answering, unharmed

LARGE = CommandRequest(command=CommandBook(pages=[CommandPage(command=PackedMessage(value=bytes(200_000)))]))


async def opened(peer: Peer) -> int:
    """The stream id of the first request whose headers are there."""
    while not peer.headers:
        data = await peer.reader.read(65536)
        for event in peer.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                peer.headers[event.stream_id] = {}
    return next(iter(peer.headers))


async def killed_in_the_middle(peer: Peer) -> None:
    await opened(peer)
    peer.writer.transport.abort()


async def silent_in_the_middle(peer: Peer) -> None:
    await opened(peer)
    await peer.until_closed()


async def reset_in_the_middle(peer: Peer) -> None:
    peer.h2.reset_stream(await opened(peer), h2.errors.ErrorCodes.INTERNAL_ERROR)
    await peer.flush()
    await peer.until_closed()


async def unavailable_in_the_middle(peer: Peer) -> None:
    headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]
    peer.h2.send_headers(await opened(peer), headers, end_stream=True)
    await peer.flush()
    await peer.until_closed()


async def failure(script: Script, timeout: float | None = None) -> Exception:
    async with client_of(script) as client:
        with pytest.raises(Exception) as raised:  # noqa: PT011
            await client.command_handler.handle_command(LARGE, timeout)
    return raised.value


async def test_a_command_cut_off_in_the_middle_was_not_executed() -> None:
    error = await failure(killed_in_the_middle)
    assert isinstance(error, TransportError)
    assert not isinstance(error, OutcomeUnknownError)


async def test_a_command_cut_off_in_the_middle_is_sent_again() -> None:
    async with client_of(killed_in_the_middle, answering, retry=QUICK) as client:
        await client.command_handler.handle_command(CommandRequest(command=LARGE.command))


async def test_a_deadline_in_the_middle_of_a_command_is_no_unknown_outcome() -> None:
    error = await failure(silent_in_the_middle, timeout=0.1)
    assert isinstance(error, GRPCError)
    assert error.grpc_code is Status.DEADLINE_EXCEEDED
    assert not isinstance(error, OutcomeUnknownError)


async def test_a_reset_in_the_middle_of_a_command_is_no_unknown_outcome() -> None:
    error = await failure(reset_in_the_middle)
    assert isinstance(error, GRPCError)
    assert error.grpc_code is Status.INTERNAL
    assert not isinstance(error, OutcomeUnknownError)


async def test_a_server_unavailable_before_it_heard_all_has_not_executed_the_command() -> None:
    error = await failure(unavailable_in_the_middle)
    assert isinstance(error, GRPCError)
    assert error.grpc_code is Status.UNAVAILABLE
    assert not isinstance(error, OutcomeUnknownError)


async def test_a_cut_after_the_whole_command_leaves_its_outcome_unknown() -> None:
    async def generous(peer: Peer) -> None:
        peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
        peer.h2.increment_flow_control_window(2**20)
        await peer.flush()
        await peer.request()
        peer.writer.transport.abort()

    assert isinstance(await failure(generous), OutcomeUnknownError)


@asynccontextmanager
async def connected_to_a_listener() -> AsyncIterator[tuple[DomainClient, socket.socket]]:
    """A client, and the raw socket at the other end of its connection, which nobody reads."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.setblocking(False)
    port = listener.getsockname()[1]
    loop = asyncio.get_running_loop()

    async def accept() -> socket.socket:
        accepted, _ = await loop.sock_accept(listener)
        greeting = (18).to_bytes(3) + b"\x04\0" + bytes(4)
        windows = (4).to_bytes(2) + (2**30).to_bytes(4) + (3).to_bytes(2) + (1000).to_bytes(4)
        greeting += windows + (5).to_bytes(2) + (16384).to_bytes(4)
        await loop.sock_sendall(accepted, greeting + b"\0\0\x04\x08\0" + bytes(4) + (2**30).to_bytes(4))
        return accepted

    accepting = asyncio.create_task(accept())
    config = ChannelConfig(http2=below[0], max_message_bytes=2**29)
    with listener:
        async with DomainClient.connect(f"127.0.0.1:{port}", ONCE, config=config) as client:
            with await accepting as accepted:
                yield client, accepted


async def test_commands_behind_a_full_socket_were_not_sent_when_the_connection_breaks() -> None:
    async with unharmed(), connected_to_a_listener() as (client, peer):
        channel = client.channel
        [protocol] = channel._connections  # type: ignore[union-attr]
        huge = CommandRequest(
            command=CommandBook(pages=[CommandPage(command=PackedMessage(value=bytes(2**24)))])
        )
        first = asyncio.create_task(client.command_handler.handle_command(huge))
        await a_few_turns()
        assert not protocol.connection.write_ready.is_set()
        others = [asyncio.create_task(command(client)) for _ in range(20)]
        await a_few_turns()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        results = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(result).__name__ for result in results[1:]] == ["NeverReachedError"] * 20


async def one_answer(peer: Peer) -> None:
    await peer.answer(await peer.request())
    await peer.request()
    peer.writer.transport.abort()


def mute(client: DomainClient) -> None:
    """Let every further write of the client's connection fail, while it can still read."""
    [protocol] = client.channel._connections  # type: ignore[union-attr]
    descriptor = protocol._transport.get_extra_info("socket").fileno()
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as duplicate:
        duplicate.shutdown(socket.SHUT_WR)


async def test_a_command_whose_write_failed_was_not_sent() -> None:
    async with client_of(one_answer) as client:
        await command(client)
        mute(client)
        with pytest.raises(TransportError) as raised:
            await command(client)
    assert not isinstance(raised.value, OutcomeUnknownError)


async def test_a_command_whose_write_failed_is_sent_again() -> None:
    async with client_of(one_answer, answering, retry=QUICK) as client:
        await command(client)
        mute(client)
        await command(client)


async def test_of_commands_in_two_writes_the_failed_ones_were_not_sent() -> None:
    async def muted(client: DomainClient) -> None:
        mute(client)

    async with client_of(one_answer) as client:
        await command(client)
        commands = [command(client) for _ in range(5)]
        results = await asyncio.gather(*commands, muted(client), return_exceptions=True)
    names = [type(result).__name__ for result in results]
    assert names == ["OutcomeUnknownError", *["NeverReachedError"] * 4, "NoneType"]
