"""One client's connection: takes calls in, and says goodbye so that the client knows what became of each."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from grpclib.config import Configuration
from grpclib.protocol import AbstractHandler, Connection, H2Protocol
from grpclib.protocol import Stream as WireStream
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError
from hyperframe.frame import GoAwayFrame
from structlog.stdlib import BoundLogger

from angzarr.http2.lean_server import LeanServer
from angzarr.http2.stock import StockServer
from angzarr.log import get_logger
from angzarr.server.calls import Call, Headers, Serving
from angzarr.server.options import ServerOptions
from angzarr.server.wire import Events

log: BoundLogger = get_logger(__name__)

PARTING = 0.05
"""Seconds between a connection's last answer and GOAWAY: grpclib's own client drops an answer that arrives with one."""


class Owner(Protocol):
    """Who keeps the connections: told of the first and the last sign of each, and of every call that ends."""

    serving: Serving
    draining: bool

    def opened(self, connection: "ServerConnection") -> None: ...
    def closed(self, connection: "ServerConnection") -> None: ...
    def call_started(self, call: Call) -> None: ...
    def call_ended(self, call: Call) -> None: ...


class _Socket(Connection):
    """grpclib's, which writes to clients that are gone, until asyncio warns of it again and again."""

    def flush(self) -> None:
        if not self.is_closing():
            super().flush()


class ServerConnection(H2Protocol):
    """The server's end of one HTTP/2 connection."""

    def __init__(self, owner: Owner, config: Configuration) -> None:
        self.calls: _Calls = _Calls(owner, self)
        super().__init__(self.calls, config, StockServer.CONFIG)
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self.said_goodbye: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        http2 = _http2(self._owner.serving.options)
        self.connection: Connection = _Socket(http2, self._transport, config=self.config)
        self.connection.flush()
        self.connection.initialize()
        self.processor: Events = Events(self.calls, self.connection)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Feed the bytes to h2; what it cannot understand ends the connection with a GOAWAY that says why."""
        try:
            events = self.connection.feed(data)
        except (ProtocolError, ValueError) as error:  # ValueError: headers that are not ASCII
            log.debug("protocol_error", error=str(error))
            self.connection.flush()
            self.processor.close(f"Protocol error: {error}")
            return
        for event in events:
            self.processor.process(event)
        if not self.connection.is_closing():
            self.connection.flush()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._owner.closed(self)

    def drain(self) -> None:
        """Say goodbye soon after no call is in flight any more."""
        asyncio.get_running_loop().call_later(PARTING, self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        if not self.calls.in_flight:
            self.say_goodbye()

    def say_goodbye(self) -> None:
        """Tell the client by GOAWAY which calls were taken; it hangs up, we do not, so that nothing is cut off."""
        if self.said_goodbye or self._transport is None or self.connection.is_closing():
            return
        self.said_goodbye = True
        self.calls.stop_background()
        self.connection.flush()
        # h2's own close_connection would forbid refusing what is still on its way
        last = self.connection._connection.highest_inbound_stream_id
        self._transport.write(GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.NO_ERROR).serialize())

    def break_off(self) -> None:
        """Answer every call UNAVAILABLE and cancel its handler."""
        self.calls.stop_all()

    def hang_up(self) -> None:
        """Close the connection after what is written has been sent."""
        if not self.connection.is_closing():
            self.processor.close("Server closed the connection")

    def abort(self) -> None:
        """Close the connection now, whatever the client has not read."""
        if self._transport is not None:
            self._transport.abort()


def _http2(options: ServerOptions) -> Any:
    window, most_streams = options.window_bytes, options.max_concurrent_streams
    made: LeanServer | StockServer
    if options.http2 == "lean":
        made = LeanServer(window, most_streams)
    else:
        made = StockServer(window, most_streams, light=options.http2 == "light")
    made.initiate_connection()
    return made


class _Calls(AbstractHandler):
    """The calls of one connection, under the names grpclib's protocol knows."""

    def __init__(self, owner: Owner, connection: ServerConnection) -> None:
        self._owner = owner
        self._connection = connection
        self._calls: dict[WireStream, Call] = {}

    @property
    def in_flight(self) -> int:
        """How many calls run, those in the background aside."""
        return sum(not call.background for call in self._calls.values())

    def __len__(self) -> int:
        return len(self._calls)

    def accept(self, stream: WireStream, headers: Any, release_stream: Callable[[], Any]) -> None:
        call = Call(stream, cast("Headers", headers), self._owner.serving)
        if self._refuses(call):
            with contextlib.suppress(StreamClosedError):  # its caller gave up in the same breath
                # certainly not executed: safe to send elsewhere
                stream.reset_nowait(ErrorCodes.REFUSED_STREAM)
            release_stream()
            return
        self._calls[stream] = call
        self._owner.call_started(call)
        call.task = asyncio.get_running_loop().create_task(call.run(), name=call.path)
        call.task.add_done_callback(lambda _: self._ended(stream, release_stream))

    def _refuses(self, call: Call) -> bool:
        if (
            self._connection.said_goodbye
            or len(self._calls) >= self._owner.serving.options.max_concurrent_streams
        ):
            return True
        return self._owner.draining and not call.background

    def _ended(self, stream: WireStream, release_stream: Callable[[], Any]) -> None:
        call = self._calls.pop(stream)
        release_stream()
        self._owner.call_ended(call)
        call.settle()
        if self._owner.draining:
            self._connection.drain()

    def cancel(self, stream: WireStream) -> None:
        """The client has cancelled the call."""
        if stream in self._calls:
            self._calls[stream].cancel()

    def close(self) -> None:
        """The connection is gone, and with it whoever waited for its calls."""
        for call in self._calls.values():
            call.cancel()

    def stop_background(self) -> None:
        for call in [call for call in self._calls.values() if call.background]:
            call.stop()

    def stop_all(self) -> None:
        for call in list(self._calls.values()):
            call.stop()
