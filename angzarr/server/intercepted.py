"""Interceptors around the methods of a server; see `angzarr.interceptors` for what they are."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import anyio
from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError

from angzarr.interceptors import Call, Interceptor, chain
from angzarr.messages.services import Rpc


def intercepted(methods: Mapping[str, Handler], interceptors: Sequence[Interceptor]) -> dict[str, Handler]:
    """Handlers with interceptors around each, the first one outermost.

    Args:
        methods: what grpclib serves, by path.
        interceptors: none leaves the handlers as they are.
    """
    if not interceptors:
        return dict(methods)
    return {
        path: handler._replace(func=_Method(path, handler, interceptors).serve)
        for path, handler in methods.items()
    }


class Intercepted:
    """A service with interceptors around its methods, for a server that would leave them out.

    Args:
        service: anything with grpclib's ``__mapping__``.
        interceptors: the first one outermost.
    """

    def __init__(self, service: Any, interceptors: Sequence[Interceptor]) -> None:
        self._methods = intercepted(service.__mapping__(), interceptors)

    def __mapping__(self) -> dict[str, Handler]:
        return self._methods


class _Method:
    """One method: reads requests, lets interceptors and handler have them, sends what they return."""

    def __init__(self, path: str, handler: Handler, interceptors: Sequence[Interceptor]) -> None:
        self._handler = handler
        self._interceptors = interceptors
        self._rpc = Rpc(
            path,
            path.rpartition("/")[2],
            handler.request_type,
            handler.reply_type,
            handler.cardinality.client_streaming,
            handler.cardinality.server_streaming,
        )

    async def serve(self, stream: Any) -> None:
        ending: dict[str, Any] = {}
        call = Call(
            self._rpc,
            stream if self._rpc.client_streaming else await stream.recv_message(),
            list(stream.metadata.items()),
            None if stream.deadline is None else stream.deadline.time_remaining(),
            side="server",
        )
        answer = await chain(self._interceptors, partial(self._proceed, stream, ending))(call)
        if self._rpc.server_streaming:
            async for message in answer:
                await stream.send_message(message)
        else:
            await stream.send_message(answer)
        if ending:
            await stream.send_trailing_metadata(**ending)

    async def _proceed(self, stream: Any, ending: dict[str, Any], call: Call) -> Any:
        requests = aiter(call.request) if self._rpc.client_streaming else _only(call.request)
        if self._rpc.server_streaming:
            # The interceptors have returned by the time the handler runs; what they bound around it holds for it.
            return self._answers(stream, requests, ending, copy_context())
        answers: list[Any] = []

        async def keep(message: Any) -> None:
            answers.append(message)

        await self._handler.func(_Front(stream, requests, keep, ending))
        if not answers:
            raise GRPCError(Status.INTERNAL, f"{self._rpc.path} returned without an answer")
        return answers[0]

    async def _answers(
        self, stream: Any, requests: AsyncIterator[Any], ending: dict[str, Any], context: Context
    ) -> AsyncIterator[Any]:
        send, receive = anyio.create_memory_object_stream[Any]()
        failures: list[Exception] = []

        async def run() -> None:
            async with send:
                try:
                    await self._handler.func(_Front(stream, requests, send.send, ending))
                except Exception as error:
                    failures.append(error)

        async with anyio.create_task_group() as group, receive:
            context.run(group.start_soon, run)
            async for message in receive:
                yield message
        if failures:
            raise failures[0]


async def _only(request: Any) -> AsyncIterator[Any]:
    yield request


class _Front:
    """The stream as an intercepted handler sees it: messages only, its answers go to the interceptors first."""

    def __init__(
        self,
        stream: Any,
        requests: AsyncIterator[Any],
        send: Callable[[Any], Awaitable[None]],
        ending: dict[str, Any],
    ) -> None:
        self._stream = stream
        self._requests = requests
        self._send = send
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        if name in ("recv_bytes", "send_bytes"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._requests

    async def recv_message(self) -> Any:
        return await anext(self._requests, None)

    async def send_message(self, message: Any) -> None:
        await self._send(message)

    async def send_trailing_metadata(self, **ending: Any) -> None:
        self._ending.update(ending)
