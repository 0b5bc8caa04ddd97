"""h2's connection as a gRPC server needs it."""

from typing import Any, ClassVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import FrameTooLargeError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from angzarr.http2 import lighten
from angzarr.server.options import ServerOptions

_FRAME_HEADER = 9


class ServerHttp2(H2Connection):
    """h2, with two of its answers softened.

    * A call beyond the agreed number of concurrent ones is the server's to refuse; for h2 it ends the connection.
    * A client that says GOAWAY still gets the answers of its calls; for h2 the connection is over.

    Args:
        options: the limits that the client is told.
    """

    CONFIG: ClassVar[H2Configuration] = H2Configuration(
        client_side=False,
        header_encoding="ascii",
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=False,
    )

    def __init__(self, options: ServerOptions) -> None:
        super().__init__(self.CONFIG)
        self.local_settings: Settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: options.max_concurrent_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: self.DEFAULT_MAX_HEADER_LIST_SIZE,
                SettingCodes.INITIAL_WINDOW_SIZE: options.window_bytes,
            },
        )
        self._tidy_at = 128
        if options.light_http2:
            lighten(self)

    def receive_data(self, data: Any) -> list[Event]:
        """As h2, which would otherwise wait for all of a frame, up to 16 MiB, before it finds that it is too long."""
        events = super().receive_data(data)
        if len(self.incoming_buffer._data) > self.max_inbound_frame_size + _FRAME_HEADER:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError("a frame longer than agreed")
        return events

    @property
    def open_inbound_streams(self) -> int:
        """Never too many. Forgets closed streams, as h2 does here, but not at every request."""
        if len(self.streams) >= self._tidy_at:
            super()._open_streams(1)
            self._tidy_at = 128 + 2 * len(self.streams)
        return 0

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        event = ConnectionTerminated()
        event.last_stream_id = frame.last_stream_id
        return [], [event]
