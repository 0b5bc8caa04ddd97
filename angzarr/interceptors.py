"""Interceptors: what wraps every call, on clients and on servers.

An interceptor is any object with ``async def intercept(self, call, proceed)``. It may look at the call, change its
metadata or timeout, refuse it by raising, answer it itself, or ``return await proceed(call)``. The first of several is
the outermost. On clients it wraps a call with all its retries.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import grpclib
import structlog

from angzarr.errors import GRPCError
from angzarr.log import get_logger
from angzarr.messages import CORRELATION_ID_HEADER
from angzarr.messages.services import Rpc

Side: TypeAlias = Literal["client", "server"]


@dataclass
class Call:
    """One call on its way.

    Attributes:
        rpc: which RPC; ``rpc.path`` names service and method.
        request: the request message; the iterable of requests where the client streams.
        metadata: pairs of lower-case key and value; on clients they can be added to.
        timeout: seconds left; None for no deadline.
        side: whether this is the caller's end or the answering one.
        endpoint: the server, as the client was told; ``""`` on servers and in process.
    """

    rpc: Rpc
    request: Any
    metadata: list[tuple[str, str | bytes]] = field(default_factory=list)
    timeout: float | None = None
    side: Side = "client"
    endpoint: str = ""

    def header(self, key: str) -> str | None:
        """The last text under a metadata key; None when there is none."""
        values = [value for name, value in self.metadata if name == key and isinstance(value, str)]
        return values[-1] if values else None


Proceed: TypeAlias = Callable[[Call], Awaitable[Any]]
"""Makes the call: the answer, or an async iterator of answers where the server streams."""


@runtime_checkable
class Interceptor(Protocol):
    """What wraps a call."""

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        """Handle a call.

        Args:
            call: may be changed.
            proceed: goes on with a call: the next interceptor, in the end the RPC itself.

        Returns:
            What ``proceed`` returned, or something of its kind.
        """


def chain(interceptors: Sequence[Interceptor], proceed: Proceed) -> Proceed:
    """A callable that goes through the interceptors, the first one outermost, and then proceeds."""
    for interceptor in reversed(interceptors):
        proceed = _link(interceptor, proceed)
    return proceed


def _link(interceptor: Interceptor, proceed: Proceed) -> Proceed:
    async def intercepted(call: Call) -> Any:
        return await interceptor.intercept(call, proceed)

    return intercepted


async def observed(call: Call, proceed: Proceed, done: Callable[[BaseException | None], None]) -> Any:
    """Proceed, and say when the call has ended: a streaming one when its answers have.

    Args:
        call: the call.
        proceed: goes on with it.
        done: called once with the error that ended it, or None.
    """
    try:
        answer = await proceed(call)
    except BaseException as error:
        done(error)
        raise
    if call.rpc.server_streaming:
        return watched(answer, done)
    done(None)
    return answer


async def watched(
    answers: AsyncIterator[Any], done: Callable[[BaseException | None], None]
) -> AsyncIterator[Any]:
    """The answers of a streaming call, and a word when they end.

    Args:
        answers: what ``proceed`` returned.
        done: called once with the error that ended them, or None.
    """
    error: BaseException | None = None
    try:
        async for answer in answers:
            yield answer
    except BaseException as caught:
        error = caught
        raise
    finally:
        done(error)


def status_name(error: BaseException | None) -> str:
    """The gRPC status an error stands for, as its name; ``OK`` for None."""
    match error:
        case None:
            return "OK"
        case GRPCError():
            return error.grpc_code.name
        case grpclib.GRPCError():
            return error.status.name
    return "UNKNOWN" if isinstance(error, Exception) else "CANCELLED"


class LoggingInterceptor:
    """Logs every call when it ends: method, status, seconds, correlation id.

    Args:
        logger: a structlog logger; None for the library's own, named after this module.
    """

    def __init__(self, logger: Any = None) -> None:
        self._log = logger or get_logger(__name__)

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        started = perf_counter()

        def done(error: BaseException | None) -> None:
            write = self._log.info if error is None else self._log.warning
            write(
                "call",
                side=call.side,
                method=call.rpc.path,
                status=status_name(error),
                seconds=round(perf_counter() - started, 6),
                correlation_id=call.header(CORRELATION_ID_HEADER) or "",
            )

        return await observed(call, proceed, done)


class CorrelationInterceptor:
    """Carries the correlation id from call to call through structlog's context variables.

    On servers it binds the caller's ``x-correlation-id`` around the handler, so that every log line has it. On clients
    it sends the bound one with calls that have none, so that a query belongs to the exchange that asked it.
    """

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        given = call.header(CORRELATION_ID_HEADER)
        if call.side == "client":
            bound = structlog.contextvars.get_contextvars().get("correlation_id")
            if not given and isinstance(bound, str) and bound.isascii() and bound.isprintable() and bound:
                call.metadata.append((CORRELATION_ID_HEADER, bound))
            return await proceed(call)
        if not given:
            return await proceed(call)
        with structlog.contextvars.bound_contextvars(correlation_id=given):
            return await proceed(call)
