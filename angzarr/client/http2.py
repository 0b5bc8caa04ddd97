"""grpclib's HTTP/2 protocol, made to survive what networks and servers do.

* A GOAWAY ends only the calls the server has not begun with; the others finish, new ones go to a new connection.
* Before the server has said how many streams it takes at once, not more than 100 are opened: servers built on h2
  drop a connection that opens more than they announce.
* Frames grpclib does not know are ignored instead of killing the connection.
* Keepalive pings find dead connections, which are aborted, not politely closed.
"""

import asyncio
import struct
from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any, cast

from grpclib.client import Handler
from grpclib.config import Configuration
from grpclib.protocol import AbstractHandler, Connection, EventsProcessor, H2Protocol, _set_nodelay
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, RemoteSettingsChanged, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from angzarr.client import failures
from angzarr.client.config import ChannelConfig
from angzarr.client.lean import LeanConnection
from angzarr.client.streams import CallStream
from angzarr.log import get_logger

_WINDOWS = Configuration().__for_client__()
_BEFORE_SETTINGS = 100
_FRAME_HEADER = 9
_UNLIMITED = 2**32 - 1

_log = get_logger(__name__)


class Processor(EventsProcessor):
    """Hands the connection's events to its streams."""

    draining: bool = False
    _introduced = False

    def __init__(self, handler: AbstractHandler, connection: Connection) -> None:
        super().__init__(handler, connection)
        self._strangers = 0

    def register(self, stream: Any) -> Callable[[], None]:
        self._strangers += not isinstance(stream, CallStream)
        release = super().register(stream)
        return lambda: self._released(release)

    def _released(self, release: Callable[[], None]) -> None:
        release()
        if self.draining and not self.streams:
            self.close("drained")

    def process(self, event: Event) -> None:
        if event.__class__ in getattr(self, "processors", ()):
            super().process(event)

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
        if not self._introduced:
            self._introduced = True
            if SettingCodes.MAX_CONCURRENT_STREAMS not in event.changed_settings:
                _let_open(self.connection._connection, _UNLIMITED)
        self.connection.stream_close_waiter.set()

    def process_stream_reset(self, event: StreamReset) -> None:
        stream: Any = self.streams.get(event.stream_id)
        if isinstance(stream, CallStream) and event.remote_reset:
            stream.fail(failures.stream_reset(event.error_code or 0))
            self.connection.streams_failed += 1
        else:
            super().process_stream_reset(event)

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        last = 2**31 - 1 if event.last_stream_id is None else event.last_stream_id
        _log.info("goaway_received", error_code=str(event.error_code), last_stream_id=last)
        self.draining = True
        self.handler.close()
        reason = f"GOAWAY from the server before it began with the call; error_code: {event.error_code}"
        streams: list[Any] = list(self.streams.values())
        for stream in streams:
            if not stream.id or stream.id > last:
                self._give_up(stream, reason)
        if not self.streams:
            self.close("GOAWAY from the server")

    @staticmethod
    def _give_up(stream: Any, reason: str) -> None:
        if isinstance(stream, CallStream):
            stream.fail(failures.never_reached(reason))
        else:
            stream.__terminated__(reason)

    def close(self, reason: str = "Connection closed") -> None:
        super().close(reason)
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
        self._keepalive_time = config.keepalive_time
        self._keepalive_timeout = config.keepalive_timeout
        self._lean = config.http2 == "lean"
        self._timer: asyncio.TimerHandle | None = None
        self._pinged = 0.0
        self._writing = False
        self._first = b""
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def usable(self) -> bool:
        """Whether new calls can be opened on it."""
        return not cast("Handler", self.handler).connection_lost and not self.connection.is_closing()

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._lean:
            lean: Any = LeanConnection(_WINDOWS.http2_stream_window_size, _BEFORE_SETTINGS)
            lean.initiate_connection()
            _set_nodelay(transport.get_extra_info("socket"))
            self.connection: Connection = Connection(lean, self._transport, config=self.config)
            self.connection.flush()
        else:
            super().connection_made(transport)
            # h2 takes a GOAWAY for the end of the connection and refuses every frame after it.
            self.connection._connection._frame_dispatch_table[GoAwayFrame] = _goaway_event
            _let_open(self.connection._connection, _BEFORE_SETTINGS)
        self.processor: Processor = Processor(self.handler, self.connection)
        if self._keepalive_time is not None:
            self._timer = self._loop.call_later(self._keepalive_time, self._keep_alive)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if len(self._first) < _FRAME_HEADER and not self._greeted(data):
            return
        try:
            events = self.connection.feed(data)
        except ProtocolError as error:
            self.connection.flush()
            self.processor.close(f"the server broke the protocol: {error}")
            return
        processor = self.processor
        for event in events:
            processor.process(event)
        if not self.connection.is_closing():
            self.connection.flush()

    def _greeted(self, data: bytes) -> bool:
        """Whether the server began with SETTINGS, as HTTP/2 demands: h2 would wait for megabytes of a false frame."""
        self._first += data[: _FRAME_HEADER - len(self._first)]
        settings, stream = self._first[3:4], self._first[5:9]
        if settings in (b"", b"\x04") and not any(stream):
            return True
        self.abort(f"the server does not speak HTTP/2, it begins with {self._first!r}")
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.processor.close(f"connection lost: {exc}" if exc else "connection lost: closed by the server")
        if not self.lost.done():
            self.lost.set_result(None)

    def flush(self) -> None:
        """Write what is to be sent: the first time in a turn of the loop at once, what follows together at its end."""
        if not self._writing:
            self._writing = True
            self._loop.call_soon(self._flush_rest)
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

    def _keep_alive(self) -> None:
        assert self._keepalive_time is not None
        now = self._loop.time()
        unanswered = self._pinged > self._heard
        if unanswered and now - self._pinged >= self._keepalive_timeout:
            _log.warning("keepalive_failed", timeout=self._keepalive_timeout)
            self.abort(f"keepalive: no answer to a ping within {self._keepalive_timeout:g} s")
            return
        if not unanswered and now - self._heard >= self._keepalive_time:
            self._pinged = now
            self.connection._connection.ping(struct.pack("!Q", int(now * 1e6)))
            self.connection.flush()
        due = (
            self._pinged + self._keepalive_timeout - now
            if self._pinged > self._heard
            else self._keepalive_time
        )
        self._timer = self._loop.call_later(min(due, self._keepalive_time), self._keep_alive)


def _goaway_event(frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
    event = ConnectionTerminated()
    event.error_code = _known(frame.error_code)
    event.last_stream_id = frame.last_stream_id
    event.additional_data = frame.additional_data or None
    return [], [event]


def _let_open(connection: H2Connection | LeanConnection, streams: int) -> None:
    """Set how many streams may be open at once, as if the server had said so."""
    if isinstance(connection, LeanConnection):
        connection.max_concurrent_streams = streams
    else:
        connection.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = streams
        connection.remote_settings.acknowledge()


def _known(code: int) -> Any:
    try:
        return ErrorCodes(code)
    except ValueError:
        return code
