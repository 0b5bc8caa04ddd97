"""Two foreign clients with one face: grpcio's blocking one and its asyncio one, each in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc

T = TypeVar("T")
OPTIONS = [
    ("grpc.max_receive_message_length", 32 * 2**20),
    ("grpc.max_send_message_length", 32 * 2**20),
    ("grpc.enable_retries", 0),
]
Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Reply:
    """The messages of an answer, and what came around them."""

    messages: list[bytes]
    code: grpc.StatusCode
    details: str
    initial: dict[str, str | bytes]
    trailing: dict[str, str | bytes]


class Caller(Protocol):
    """Calls methods of bytes."""

    async def call(
        self,
        path: str,
        *requests: bytes,
        client_streaming: bool = False,
        server_streaming: bool = False,
        timeout: float = 20,
        metadata: Metadata = (),
    ) -> Reply: ...

    async def cancel(self, path: str, request: bytes, started: threading.Event) -> grpc.StatusCode:
        """Call, cancel once the event is set, and say how the call ended."""
        ...


class Blocking:
    """grpcio's blocking client."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def call(self, path: str, *requests: bytes, **options: Any) -> Reply:
        return await asyncio.to_thread(self._call, path, requests, options)

    async def cancel(self, path: str, request: bytes, started: threading.Event) -> grpc.StatusCode:
        return await asyncio.to_thread(self._cancel, path, request, started)

    def _call(self, path: str, requests: Sequence[bytes], options: dict[str, Any]) -> Reply:
        both = options.pop("client_streaming", False), options.pop("server_streaming", False)
        with grpc.insecure_channel(self._address, OPTIONS) as channel:
            grpc.channel_ready_future(channel).result(20)  # a deadline is for the call alone
            sent: Any = iter(requests) if both[0] else requests[0]
            method = _method(channel, *both)(path)
            if both[1]:
                return _drained(method(sent, **{"timeout": 20, **options}))
            call = method.future(sent, **{"timeout": 20, **options})
            call.exception()
            return _reply(call, [] if call.exception() else [call.result()])

    def _cancel(self, path: str, request: bytes, started: threading.Event) -> grpc.StatusCode:
        with grpc.insecure_channel(self._address, OPTIONS) as channel:
            call = channel.unary_unary(path).future(request, timeout=20)
            assert started.wait(20)
            call.cancel()
            return call.code()


class Asyncio:
    """grpcio's asyncio client, in a loop of its own: it blocks the one it runs in when it ends."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def call(self, path: str, *requests: bytes, **options: Any) -> Reply:
        return await asyncio.to_thread(asyncio.run, self._call(path, requests, options))

    async def cancel(self, path: str, request: bytes, started: threading.Event) -> grpc.StatusCode:
        return await asyncio.to_thread(asyncio.run, self._cancel(path, request, started))

    async def _call(self, path: str, requests: Sequence[bytes], options: dict[str, Any]) -> Reply:
        both = options.pop("client_streaming", False), options.pop("server_streaming", False)
        async with grpc.aio.insecure_channel(self._address, OPTIONS) as channel:
            await channel.channel_ready()
            sent: Any = iter(requests) if both[0] else requests[0]
            call = _method(channel, *both)(path)(sent, **{"timeout": 20, **options})
            messages: list[bytes] = []
            with contextlib.suppress(grpc.aio.AioRpcError):
                messages = [message async for message in call] if both[1] else [await call]
            return Reply(
                messages,
                await call.code(),
                await call.details() or "",
                _texts(await call.initial_metadata()),
                _texts(await call.trailing_metadata()),
            )

    async def _cancel(self, path: str, request: bytes, started: threading.Event) -> grpc.StatusCode:
        async with grpc.aio.insecure_channel(self._address, OPTIONS) as channel:
            call = channel.unary_unary(path)(request, timeout=20)
            waiting = asyncio.ensure_future(_waited(call))
            assert await asyncio.to_thread(started.wait, 20)
            call.cancel()
            await waiting
            return await call.code()


async def _waited(call: Any) -> None:
    try:
        await call
    except (asyncio.CancelledError, grpc.aio.AioRpcError):
        return


def _method(channel: Any, client_streaming: bool, server_streaming: bool) -> Callable[[str], Any]:
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    found: Callable[[str], Any] = kinds[client_streaming, server_streaming]
    return found


def _drained(call: Any) -> Reply:
    messages: list[bytes] = []
    with contextlib.suppress(grpc.RpcError):
        messages.extend(call)
    return _reply(call, messages)


def _reply(call: Any, messages: list[bytes]) -> Reply:
    return Reply(
        messages,
        call.code(),
        call.details() or "",
        _texts(call.initial_metadata()),
        _texts(call.trailing_metadata()),
    )


def _texts(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str | bytes]:
    return dict(metadata or ())


CALLERS: tuple[Callable[[str], Caller], ...] = (Blocking, Asyncio)
