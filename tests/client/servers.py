"""Real grpclib servers for the clients under test."""

import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpclib.server
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase

from angzarr import codec
from angzarr.messages.services import Rpc, Service

Answer = Callable[[Any], Awaitable[Any]]
_CHANCE = random.SystemRandom()
"""Not what hypothesis seeds alike in every process."""


class Codec(CodecBase):
    """Our codec, for grpclib's server."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return message if isinstance(message, bytes) else codec.encode(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return codec.decode(message_type, data)


class RawDetails(StatusDetailsCodecBase):
    """Status details as the bytes they are."""

    def encode(self, status: Any, message: str | None, details: Any) -> bytes:
        return details or b""

    def decode(self, status: Any, message: str | None, data: bytes) -> Any:
        return data


class Servicer:
    """A grpclib service whose methods are functions of the whole stream, named as on stubs."""

    def __init__(self, service: Service, **methods: Callable[[Any], Awaitable[None]]) -> None:
        self._handlers = {
            rpc.path: _handler(rpc, methods[rpc.python_name])
            for rpc in service.rpcs.values()
            if rpc.python_name in methods
        }

    def __mapping__(self) -> dict[str, Handler]:
        return self._handlers


def _handler(rpc: Rpc, method: Callable[[Any], Awaitable[None]]) -> Handler:
    kinds = {
        (False, False): Cardinality.UNARY_UNARY,
        (False, True): Cardinality.UNARY_STREAM,
        (True, True): Cardinality.STREAM_STREAM,
    }
    return Handler(method, kinds[rpc.client_streaming, rpc.server_streaming], rpc.request, rpc.response)


def answering(answer: Answer) -> Callable[[Any], Awaitable[None]]:
    """A unary method that answers each request with what ``answer`` makes of it."""

    async def method(stream: Any) -> None:
        await stream.send_message(await answer(await stream.recv_message()))

    return method


def free_port() -> int:
    """A TCP port nobody listens on, nor is given by the system, which hands out those above to whoever asks for any."""
    while True:
        port = _CHANCE.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@asynccontextmanager
async def serving(
    *services: Any, port: int = 0, path: str | None = None, ssl: Any = None
) -> AsyncIterator[str]:
    """Serve; the value is the endpoint."""
    server = grpclib.server.Server(list(services), codec=Codec(), status_details_codec=RawDetails())
    if path is not None:
        await server.start(path=path, ssl=ssl)
        endpoint = path
    else:
        port = port or free_port()
        await server.start("127.0.0.1", port, ssl=ssl)
        endpoint = f"127.0.0.1:{port}"
    try:
        yield endpoint
    finally:
        server.close()
