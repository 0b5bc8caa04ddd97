"""One call from its request headers to its status."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from grpclib.const import Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.metadata import Deadline, decode_metadata, decode_timeout
from grpclib.protocol import Stream as WireStream
from h2.exceptions import StreamClosedError
from structlog.stdlib import BoundLogger

from angzarr.log import get_logger
from angzarr.server import compression
from angzarr.server.options import ServerOptions
from angzarr.server.streams import ServerStream
from angzarr.server.trailers import trailers_of

log: BoundLogger = get_logger(__name__)

Headers: TypeAlias = Sequence[tuple[str, str]]
AnyStream: TypeAlias = ServerStream[Any, Any]
StatusOf: TypeAlias = Callable[[BaseException], GRPCError]

_new_stream: Callable[..., AnyStream] = ServerStream
_NO_LISTENERS = _DispatchServerEvents()
_STOPPED = "the server stopped before the call was finished"


@dataclass(frozen=True, slots=True)
class Serving:
    """What all calls of one server share.

    Attributes:
        methods: handlers by path.
        codec: turns bytes into the handlers' requests and their answers into bytes.
        options: the server's limits.
        status_of: the status that an exception other than GRPCError ends its call with.
        background: paths whose calls neither hold a stopping server open nor are refused by one.
    """

    methods: Mapping[str, Handler]
    codec: CodecBase
    options: ServerOptions
    status_of: StatusOf
    background: frozenset[str] = frozenset()


class Refused(Exception):
    """A request that is not a call of ours: what it is answered with, as gRPC, as HTTP, and in further headers."""

    def __init__(self, status: Status, message: str, http: int = 200, *more: tuple[str, str]) -> None:
        super().__init__(message)
        self.headers: list[tuple[str, str]] = [
            (":status", str(http)),
            ("content-type", "application/grpc"),
            *more,
            *trailers_of(status, message, None),
        ]


class Call:
    """One call in progress: its task, and how to end it from outside."""

    def __init__(self, wire: WireStream, headers: Headers, serving: Serving) -> None:
        self._wire = wire
        self._headers = headers
        self._fields = dict(headers)
        self._serving = serving
        self._stream: AnyStream | None = None
        self._stopping = False
        self.path: str = self._fields.get(":path", "")
        self.background: bool = self.path in serving.background
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Answer UNAVAILABLE at once and cancel the handler."""
        if self._stream is not None:
            self._stopping = True
            self._stream.fail_now(Status.UNAVAILABLE, _STOPPED)
        self.cancel()

    def cancel(self) -> None:
        """Cancel the handler, whose caller has gone."""
        if self.task is not None:
            self.task.cancel()

    def settle(self) -> None:
        """Once the task is done: make sure that the caller does not wait for an answer that will not come."""
        assert self.task is not None
        if self._stream is not None:
            self._stream.fail_now(Status.INTERNAL, "the call was broken off")
        failure = None if self.task.cancelled() else self.task.exception()
        if failure is not None:
            log.error("call_broke", method=self.path, exc_info=failure)

    async def run(self) -> None:
        """Answer the call; raises nothing but CancelledError."""
        try:
            stream, handler = self._accepted()
        except Refused as refusal:
            await _refuse(self._wire, refusal)
            return
        self._stream = stream
        try:
            failure = await self._failure(stream, handler)
            await (stream.finish() if failure is None else stream.fail(failure))
        except (StreamClosedError, StreamTerminatedError):
            log.debug("caller_gone", method=self.path)
        except GRPCError as error:  # the answer itself could not be sent, above the limit for one
            await stream.fail(error)

    def _accepted(self) -> tuple[AnyStream, Handler]:
        headers = self._fields
        if headers.get(":method") != "POST":
            raise Refused(Status.UNIMPLEMENTED, "gRPC calls are POST requests", 405)
        kind, _, subtype = headers.get("content-type", "").lower().partition("+")
        if kind != "application/grpc" or subtype not in ("", "proto"):
            raise Refused(
                Status.UNKNOWN, "content-type must be application/grpc or application/grpc+proto", 415
            )
        handler = self._serving.methods.get(self.path)
        if handler is None:
            raise Refused(Status.UNIMPLEMENTED, f"no such method: {self.path}")
        encoding = headers.get("grpc-encoding", compression.IDENTITY)
        if not compression.is_known(encoding):
            raise Refused(
                Status.UNIMPLEMENTED,
                f"grpc-encoding {encoding!r} is not supported; send one of {compression.ACCEPTED}",
                200,
                ("grpc-accept-encoding", compression.ACCEPTED),
            )
        stream = _new_stream(
            self._wire,
            self.path,
            handler.cardinality,
            handler.request_type,
            handler.reply_type,
            codec=self._serving.codec,
            status_details_codec=None,
            dispatch=_NO_LISTENERS,
            deadline=_deadline(headers.get("grpc-timeout")),
            user_agent=headers.get("user-agent"),
            max_message_bytes=self._serving.options.max_message_bytes,
            encoding=encoding,
        )
        try:
            stream.metadata = decode_metadata(self._headers)
        except ValueError as error:
            raise Refused(Status.INVALID_ARGUMENT, f"metadata cannot be read: {error}") from error
        return stream, handler

    async def _failure(self, stream: AnyStream, handler: Handler) -> GRPCError | None:
        """Run the handler and translate how it ended."""
        limit: asyncio.Timeout | None = None
        try:
            if stream.deadline is None:
                await handler.func(stream)
            else:
                async with asyncio.timeout(stream.deadline.time_remaining()) as limit:
                    await handler.func(stream)
        except GRPCError as error:
            return error
        except (StreamClosedError, StreamTerminatedError) as error:
            if stream.gone:
                raise
            return self._serving.status_of(error)  # of a call that the handler made
        except asyncio.CancelledError as error:
            if self._stopping:
                return None  # the status has been sent
            if _cancelled_by_us():
                raise
            return self._status_of_oddity(error, "awaited something that was cancelled")
        except TimeoutError as error:
            if limit is not None and limit.expired():
                return GRPCError(Status.DEADLINE_EXCEEDED, "the call's deadline passed while it was handled")
            return self._serving.status_of(error)
        except Exception as error:  # whatever a handler raises becomes a status
            return self._serving.status_of(error)
        except SystemExit as error:  # which asyncio would let end the whole server
            return self._status_of_oddity(error, f"called exit({error.code!r})")
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # a class of the handler's own
            return self._serving.status_of(error)
        return None

    def _status_of_oddity(self, error: BaseException, what: str) -> GRPCError:
        odd = RuntimeError(f"the handler of {self.path} {what}")
        odd.__cause__ = error
        return self._serving.status_of(odd)


def _cancelled_by_us() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _deadline(timeout: str | None) -> Deadline | None:
    if timeout is None:
        return None
    try:
        return Deadline(_timestamp=time.monotonic() + decode_timeout(timeout))
    except ValueError:
        raise Refused(Status.INVALID_ARGUMENT, f"invalid grpc-timeout: {timeout!r}") from None


async def _refuse(wire: WireStream, refusal: Refused) -> None:
    try:
        await wire.send_headers(refusal.headers, end_stream=True)
    except StreamClosedError:
        return
    if wire.closable:
        wire.reset_nowait()
