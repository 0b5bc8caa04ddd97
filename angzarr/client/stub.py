"""Stubs: the methods of a service, called over a channel.

A stub is any object with one async method per RPC, named in snake_case, as in
``await stub.handle_command(request, timeout=None, metadata=None)``; of RPCs that stream answers the method returns an
async iterator. The embedded coordinator's services are stubs too, which is how clients reach it in process.
"""

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, TypeAlias, cast

import anyio
import betterproto
import grpclib.client
from grpclib.const import Status
from grpclib.metadata import encode_timeout
from grpclib.protocol import H2Protocol
from multidict import MultiDict

from angzarr import codec
from angzarr.client import failures
from angzarr.client.channel import Channel
from angzarr.client.config import ChannelConfig
from angzarr.client.metadata import Metadata, encode_metadata
from angzarr.client.streams import CallStream
from angzarr.error_codes import keys
from angzarr.errors import ClientError, ConnectionError, DecodeError, EncodeError
from angzarr.http2.headers import USER_AGENT, Prepared
from angzarr.messages.services import Rpc, Service

Requests: TypeAlias = AsyncIterable[Any] | Iterable[Any]

_LONGEST_TIMEOUT = 99_999_999.0


class ChannelStub:
    """A service's methods over a channel, ours or any of grpclib's.

    Every method takes a request (an iterable of requests where the client streams), ``timeout`` in seconds (None: no
    deadline) and ``metadata`` (pairs). Every method raises errors of ``angzarr.errors`` only: ConnectionError,
    TransportError, GRPCError with the server's status, or with DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL of our
    own; InvalidArgumentError for what cannot be sent.
    """

    def __init__(self, channel: grpclib.client.Channel, service: Service) -> None:
        for rpc in service.rpcs.values():
            kind = _Streaming if rpc.server_streaming else _Unary
            setattr(self, rpc.python_name, kind(channel, rpc).call)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the service has no method {name!r}")


class _Method:
    enforces_timeouts = True

    def __init__(self, channel: grpclib.client.Channel, rpc: Rpc) -> None:
        self.channel = channel
        self.rpc = rpc
        config = channel.config if isinstance(channel, Channel) else ChannelConfig()
        self.limit = config.max_message_bytes
        self._headers = Prepared(
            [
                (":method", "POST"),
                (":scheme", channel._scheme),
                (":path", rpc.path),
                (":authority", channel._authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", USER_AGENT),
            ]
        )
        self._last_metadata: Metadata = ()
        self._last_prepared = Prepared([])
        self._ours = isinstance(channel, Channel)
        self._usual_headers: Any = None
        self._usual_trailers: Any = None

    async def begin(
        self, data: bytes | None, timeout: float | None, metadata: Metadata | None, *, end: bool
    ) -> CallStream:
        """A stream with its headers, and the first message, sent. Close it, come what may."""
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        protocol = self.channel.ready() if self._ours else None  # type: ignore[attr-defined]
        if protocol is None:
            protocol = await self._connection(deadline, timeout)
        stream = CallStream(protocol, self.limit, single=not self.rpc.server_streaming)
        try:
            headers = self._headers
            if timeout is not None and deadline is not None:
                stream.fail_at(deadline, timeout)
                headers = headers.plus(Prepared([("grpc-timeout", _timeout_header(deadline))]))
            if metadata:
                headers = headers.plus(self._prepared(metadata))
            if not self._ours:
                headers = await self._listened(headers)
            if data is None or not stream.start(headers, data):
                await stream.open(headers, data, end=end)
        except BaseException:
            stream.close()
            raise
        return stream

    async def _connection(self, deadline: float | None, timeout: float | None) -> H2Protocol:
        try:
            if deadline is None:
                return await self.channel.__connect__()
            with anyio.fail_after(deadline - asyncio.get_running_loop().time()):
                return await self.channel.__connect__()
        except TimeoutError as error:
            raise failures.not_sent(
                Status.DEADLINE_EXCEEDED, f"no connection within {timeout:.3g} s"
            ) from error
        except OSError as error:
            raise ConnectionError(
                details={keys.ENDPOINT: self.channel._authority, keys.CAUSE: error}
            ) from error

    async def _listened(self, headers: Prepared) -> Prepared:
        """What listeners of somebody else's channel add to a request (``grpclib.events.SendRequest``)."""
        (metadata,) = await self.channel.__dispatch__.send_request(
            cast("Any", MultiDict()),
            method_name=self.rpc.path,
            deadline=None,
            content_type="application/grpc",
        )
        return headers.plus(self._prepared(tuple(metadata.items()))) if metadata else headers

    def _prepared(self, metadata: Metadata) -> Prepared:
        """Metadata as headers; one call's are often the next one's."""
        pairs = tuple(metadata)
        if pairs != self._last_metadata:
            self._last_metadata, self._last_prepared = pairs, Prepared(encode_metadata(pairs))
        return self._last_prepared

    def frame(self, request: betterproto.Message) -> bytes:
        """A request as it travels."""
        if not isinstance(request, self.rpc.request):
            expected = self.rpc.request.__name__
            raise failures.refused_argument(f"{expected} expected, got {type(request).__name__}", "request")
        try:
            data = codec.encode(request)
        except EncodeError as error:
            raise failures.refused_argument(error, error.path) from error
        if len(data) > self.limit:
            text = f"the request has {len(data)} bytes, more than the {self.limit} of max_message_bytes"
            raise failures.not_sent(Status.RESOURCE_EXHAUSTED, text)
        return b"\0" + len(data).to_bytes(4) + data

    def message(self, data: bytes) -> betterproto.Message:
        """An answer as a message."""
        try:
            return codec.decode(self.rpc.response, data)
        except DecodeError as error:
            text = f"the answer is not a {self.rpc.response.__name__}: {error}"
            raise failures.no_answer(Status.INTERNAL, text) from error


class _Unary(_Method):
    async def call(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> betterproto.Message:
        stream = await self.begin(self.frame(request), timeout, metadata, end=True)
        try:
            await stream.finished()
            self._check(stream)
            data = stream.take_message()
        finally:
            stream.close()
        if data is None:
            raise failures.no_answer(Status.INTERNAL, "status OK, but no message")
        return self.message(data)

    def _check(self, stream: CallStream) -> None:
        """Refuse what is no success. Connections give equal headers as the same list: only new ones are looked at."""
        headers, trailers = stream.headers, stream.trailers
        if headers is not None and headers is self._usual_headers and trailers is self._usual_trailers:
            return
        check_headers(stream)
        check_status(stream)
        if not any(name == "content-length" for name, _ in headers or ()):
            self._usual_headers, self._usual_trailers = headers, trailers


class _Streaming(_Method):
    def call(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> AsyncIterator[betterproto.Message]:
        return _Answers(self, request, timeout, metadata)


class _Answers(AsyncIterator[betterproto.Message]):
    """The answers of one streaming call; it begins with the first ``anext``."""

    def __init__(
        self, method: _Streaming, request: Any, timeout: float | None, metadata: Metadata | None
    ) -> None:
        self._method = method
        self._request = request
        self._timeout = timeout
        self._metadata = metadata
        self._stream: CallStream | None = None
        self._sender: asyncio.Task[None] | None = None
        self._done = False

    async def __anext__(self) -> betterproto.Message:
        if self._done:
            raise StopAsyncIteration
        try:
            stream = self._stream or await self._begin()
            data = await stream.next_message()
            if stream.headers is not None:
                check_headers(stream)
            if data is not None:
                return self._method.message(data)
            check_headers(stream)
            check_status(stream)
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the call; one that the server has not ended is cancelled."""
        self._done = True
        if self._stream is not None:
            self._stream.close()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])

    async def _begin(self) -> CallStream:
        method = self._method
        if not method.rpc.client_streaming:
            data = method.frame(self._request)
            self._stream = await method.begin(data, self._timeout, self._metadata, end=True)
        else:
            self._stream = await method.begin(None, self._timeout, self._metadata, end=False)
            self._sender = asyncio.create_task(self._send(self._stream))
        return self._stream

    async def _send(self, stream: CallStream) -> None:
        try:
            async for request in _async(self._request):
                await stream.send(self._method.frame(request))
            await stream.end()
        except ClientError as error:
            stream.fail(error)
        except Exception as error:
            stream.fail(failures.refused_argument(error, "requests"))

    def __del__(self) -> None:
        if not self._done and self._stream is not None:
            self._stream.close()


async def _async(requests: Requests) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


def check_headers(stream: CallStream) -> None:
    """Refuse an answer that is not gRPC's.

    Raises:
        NoAnswerError: there are no headers, or they say something else.
    """
    if stream.headers is None:
        raise failures.no_answer(Status.INTERNAL, "the stream ended without headers")
    fields = dict(stream.headers)
    status = fields.get(":status", "")
    if status != "200":
        raise failures.from_http_status(status)
    content_type = fields.get("content-type", "")
    if not content_type.startswith("application/grpc"):
        raise failures.no_answer(Status.UNKNOWN, f"the answer's content-type is {content_type!r}")
    length = fields.get("content-length")
    if length is not None and stream.ended and length != str(stream.data_received):
        text = f"{stream.data_received} bytes came, and content-length says {length!r}"
        raise failures.no_answer(Status.INTERNAL, text)


def check_status(stream: CallStream) -> None:
    """Raise what an ended stream's trailers state, unless it is OK.

    Raises:
        GRPCError: the server's status, or UNKNOWN without one.
    """
    error = failures.from_trailers(stream.trailers if stream.trailers is not None else stream.headers or ())
    if error is not None:
        raise (error if stream.sent else failures.unsent(error)) from error.status()


def _timeout_header(deadline: float) -> str:
    remaining = deadline - asyncio.get_running_loop().time()
    milliseconds = math.ceil(remaining * 1000)
    if 100 <= milliseconds < 100_000_000:
        # grpclib's own would make 12.9 seconds 12.
        return f"{milliseconds}m"
    return encode_timeout(min(max(remaining, 1e-9), _LONGEST_TIMEOUT))
