"""grpclib's HTTP/2 protocol, made to survive what networks and servers do.

* A GOAWAY ends only the calls the server has not begun with; the others finish, new ones go to a new connection.
* Before the server has said how many streams it takes at once, not more than 100 are opened: servers built on h2
  drop a connection that opens more than they announce.
* Frames grpclib does not know are ignored instead of killing the connection.
* Pings find dead connections, which are aborted, not politely closed.
"""

import asyncio
import struct
from asyncio import BaseTransport
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from grpclib.client import Handler
from grpclib.config import Configuration
from grpclib.protocol import AbstractHandler, EventsProcessor, H2Protocol, _set_nodelay
from h2.config import H2Configuration
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from angzarr.client import failures
from angzarr.client.config import ChannelConfig
from angzarr.client.liveness import Liveness
from angzarr.client.streams import CallStream
from angzarr.client.writing import ClientConnection
from angzarr.http2.lean_client import LeanClient
from angzarr.http2.stock import StockClient
from angzarr.log import get_logger

_WINDOWS = Configuration().__for_client__()
_BEFORE_SETTINGS = 100
_FRAME_HEADER = 9
_UNLIMITED = 2**32 - 1

_log = get_logger(__name__)


class NotHttp2Error(OSError):
    """What listens there speaks another protocol."""


class Processor(EventsProcessor):
    """Hands the connection's events to its streams."""

    draining: bool = False
    connection: ClientConnection

    def __init__(
        self,
        handler: AbstractHandler,
        connection: ClientConnection,
        greeted: "asyncio.Future[None]",
        liveness: Liveness,
    ) -> None:
        super().__init__(handler, connection)
        self._strangers = 0
        self._greeted = greeted
        self._liveness = liveness
        self.ending: str = ""

    def register(self, stream: Any) -> Callable[[], None]:
        self._liveness.call_began()
        if isinstance(stream, CallStream):
            self.streams[stream.id] = cast("Any", stream)
            return partial(self._release, stream)
        self._strangers += 1
        release = super().register(stream)
        return lambda: self._released(release)

    def _release(self, stream: CallStream) -> None:
        del self.streams[stream.id]
        connection = self.connection
        connection.stream_close_waiter.set()
        size = stream.unacked_size()
        if size and not connection.is_closing():
            connection.ack(stream.id, size)
        if self.draining and not self.streams:
            self.close("drained")

    def _released(self, release: Callable[[], None]) -> None:
        release()
        if self.draining and not self.streams:
            self.close("drained")

    def process(self, event: Event) -> None:
        handle = self.processors.get(event.__class__)
        if handle is not None:
            handle(event)

    def process_data_received(self, event: DataReceived) -> None:
        """As grpclib's, which looks at the clock each time."""
        stream: Any = self.streams.get(event.stream_id)
        if stream is None:
            self.connection.ack(event.stream_id, event.flow_controlled_length)
            return
        size = len(event.data)
        stream.buffer.add(event.data, event.flow_controlled_length)
        stream.data_received += size
        self.connection.data_received += size

    def process_window_updated(self, event: WindowUpdated) -> None:
        """Wake whoever waits for the window; grpclib wakes everybody, and servers write many of these."""
        if self._strangers:
            super().process_window_updated(event)
            return
        streams: Any = self.streams
        if event.stream_id == 0:
            for stream in streams.values():
                if stream.waits_for_window:
                    stream.set()
        elif event.stream_id in streams and streams[event.stream_id].waits_for_window:
            streams[event.stream_id].set()

    def process_remote_settings_changed(self, event: RemoteSettingsChanged) -> None:
        super().process_remote_settings_changed(event)
        if not self._greeted.done():
            self._greeted.set_result(None)
            if SettingCodes.MAX_CONCURRENT_STREAMS not in event.changed_settings:
                http2: Any = self.connection._connection
                http2.let_open(_UNLIMITED)
        self.connection.stream_close_waiter.set()

    def process_stream_reset(self, event: StreamReset) -> None:
        stream: Any = self.streams.get(event.stream_id)
        if isinstance(stream, CallStream) and event.remote_reset:
            stream.was_reset(event.error_code or 0)
            self.connection.streams_failed += 1
        else:
            super().process_stream_reset(event)

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        last = 2**31 - 1 if event.last_stream_id is None else event.last_stream_id
        _log.info("goaway_received", error_code=str(event.error_code), last_stream_id=last)
        self.draining = True
        self.handler.close()
        self.ending = f"GOAWAY from the server; error_code: {event.error_code}"
        reason = f"GOAWAY from the server before it began with the call; error_code: {event.error_code}"
        streams: list[Any] = list(self.streams.values())
        for stream in streams:
            if not stream.id or stream.id > last:
                self._give_up(stream, reason)
        if not self.streams:
            self.close("GOAWAY from the server")

    def refuse(self, error: OSError) -> None:
        """Tell whoever waits for the connection to open that it will not."""
        if not self._greeted.done():
            self._greeted.set_exception(error)
            self._greeted.exception()  # nobody need wait for it

    @staticmethod
    def _give_up(stream: Any, reason: str) -> None:
        if isinstance(stream, CallStream):
            stream.fail(failures.never_reached(reason))
        else:
            stream.__terminated__(reason)

    def close(self, reason: str = "Connection closed") -> None:
        super().close(reason)  # which deletes the table of what to do with events: from here on, nothing
        self.processors: dict[Any, Any] = {}
        self.ending = self.ending or reason
        self.refuse(OSError(reason))
        self.connection.write_ready.set()
        self.connection.stream_close_waiter.set()


class ClientProtocol(H2Protocol):
    """One connection to a server.

    Args:
        config: of the channel.
        h2_config: for h2, where ``config.http2`` says that it stands below.
    """

    def __init__(self, config: ChannelConfig, h2_config: H2Configuration) -> None:
        super().__init__(Handler(), _WINDOWS, h2_config)
        self._lean = config.http2 == "lean"
        self._written = False  # since the server's last word
        self._writing = False  # when the loop's turn ends
        self._first = b""
        self._loop = asyncio.get_running_loop()
        self.heard: float = self._loop.time()
        self.liveness: Liveness = Liveness(config, self)
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def usable(self) -> bool:
        """Whether new calls can be opened on it."""
        return not cast("Handler", self.handler).connection_lost and not self.connection.is_closing()

    @property
    def is_greeted(self) -> bool:
        """Whether the server has sent its settings."""
        return self.greeted.done() and not self.greeted.cancelled() and self.greeted.exception() is None

    @property
    def calls(self) -> int:
        """How many calls are under way."""
        return len(self.processor.streams)

    @property
    def answers(self) -> int:
        """A number that grows with everything the server sends for calls."""
        connection = self.connection
        return connection.data_received + connection.streams_succeeded + connection.streams_failed

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _set_nodelay(transport.get_extra_info("socket"))
        window = _WINDOWS.http2_stream_window_size
        http2: LeanClient | StockClient
        if self._lean:
            http2 = LeanClient(window, _BEFORE_SETTINGS)
        else:
            http2 = StockClient(self.h2_config, window, _BEFORE_SETTINGS)
        http2.initiate_connection()
        self.connection: ClientConnection = ClientConnection(http2, self._transport, config=self.config)
        self.connection.flush()
        self.processor: Processor = Processor(self.handler, self.connection, self.greeted, self.liveness)
        self.liveness.begin()

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        self._written = False
        if len(self._first) < _FRAME_HEADER and not self._greeted(data):
            return
        try:
            events = self.connection.feed(data)
        except ProtocolError as error:
            self.connection.flush()
            self.processor.close(f"the server broke the protocol: {error}")
            return
        process = self.processor.process
        for event in events:
            process(event)
        if not self.connection.is_closing():
            self.connection.flush()

    def _greeted(self, data: bytes) -> bool:
        """Whether the server began with SETTINGS, as HTTP/2 demands: h2 would wait for megabytes of a false frame."""
        self._first += data[: _FRAME_HEADER - len(self._first)]
        settings, stream = self._first[3:4], self._first[5:9]
        if settings in (b"", b"\x04") and not any(stream):
            return True
        reason = f"the server does not speak HTTP/2, it begins with {self._first!r}"
        self.processor.refuse(NotHttp2Error(reason))
        self.abort(reason)
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.liveness.end()
        self.processor.close(f"connection lost: {exc}" if exc else "connection lost: closed by the server")
        if not self.lost.done():
            self.lost.set_result(None)

    def flush(self) -> None:
        """Write what is to be sent: what answers the server first at once, what follows when the loop's turn ends."""
        if self._written and len(self.processor.streams) > 1:
            if not self._writing:
                self._writing = True
                self._loop.call_soon(self._flush_rest)
            return
        self._written = True
        self.connection.flush()

    def _flush_rest(self) -> None:
        self._writing = False
        if not self.connection.is_closing():
            self.connection.flush()

    def close(self) -> None:
        """Say goodbye and close; calls that are under way end with TransportError."""
        if not self.connection.is_closing():
            self.connection._connection.close_connection()
            self.connection.flush()
        self.processor.close("the client was closed")

    def retire(self) -> None:
        """Open no new calls; close when those under way have ended."""
        self.handler.close()
        self.processor.draining = True
        if not self.processor.streams:
            self.close()

    def abort(self, reason: str) -> None:
        """Drop the connection without waiting for what is still to be written."""
        self.processor.close(reason)
        self._transport.abort()

    def ping(self, now: float) -> None:
        """Ask the server for a sign of life."""
        self.connection._connection.ping(struct.pack("!Q", int(now * 1e6)))
        self.connection.flush()
