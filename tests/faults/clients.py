"""Clients of scripted servers, over either HTTP/2, and the scripts most tests use."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import h2.errors
import h2.events

from angzarr.client import ChannelConfig, DomainClient
from angzarr.errors import ConnectionError
from angzarr.messages import CommandRequest
from angzarr.retry import ExponentialBackoffRetry
from tests.faults.peers import Peer, Script, scripted, unharmed

ONCE = ExponentialBackoffRetry(max_attempts=1)
QUICK = ExponentialBackoffRetry(min_delay=0.001, max_delay=0.01, max_attempts=5)


below: list[Literal["lean", "h2"]] = ["lean"]


@asynccontextmanager
async def client_of(
    *scripts: Script,
    retry: ExponentialBackoffRetry = ONCE,
    config: ChannelConfig | None = None,
    retry_commands: bool = False,
    lazy: bool = False,
) -> AsyncIterator[DomainClient]:
    chosen = replace(config or ChannelConfig(), http2=below[0])
    async with (
        unharmed(),
        scripted(*scripts) as endpoint,
        DomainClient.connect(
            endpoint, retry, config=chosen, retry_commands=retry_commands, lazy=lazy
        ) as client,
    ):
        yield client


async def a_few_turns() -> None:
    """Let everybody in this loop do what they are at; however long the machine stands still, each turn takes place."""
    for _ in range(20):
        await asyncio.sleep(0.002)


async def command(client: DomainClient, timeout: float | None = None) -> object:
    return await client.command_handler.handle_command(CommandRequest(), timeout)


async def killed(peer: Peer) -> None:
    await peer.request()
    peer.writer.transport.abort()


async def closed_at_once(peer: Peer) -> None:
    peer.writer.transport.abort()


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.until_closed()


def resetting(code: h2.errors.ErrorCodes) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            peer.h2.reset_stream(await peer.request(), code)
            await peer.flush()

    return script


def noticing(failures: int) -> tuple[asyncio.Event, ExponentialBackoffRetry]:
    """An event that is set after so many failures, and the policy that sets it."""
    failed = asyncio.Event()

    def on_retry(index: int, error: Exception) -> None:
        assert isinstance(error, ConnectionError)
        if index + 1 == failures:
            failed.set()

    return failed, ExponentialBackoffRetry(min_delay=0.02, max_attempts=50, on_retry=on_retry)


def saying(
    headers: list[tuple[str, str]], body: bytes = b"", trailers: list[tuple[str, str]] | None = None
) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            stream = await peer.request()
            peer.h2.send_headers(stream, headers, end_stream=not body and trailers is None)
            if body:
                peer.h2.send_data(stream, body, end_stream=trailers is None)
            if trailers is not None:
                peer.h2.send_headers(stream, trailers, end_stream=True)
            await peer.flush()

    return script


OK = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]
