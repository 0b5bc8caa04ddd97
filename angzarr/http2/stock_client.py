"""h2's connection as a gRPC client needs it."""

from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import FrameTooLargeError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from angzarr.http2 import frames


class StockClient(H2Connection):
    """h2, with two of its answers changed.

    * A GOAWAY is for h2 the end of the connection, and every frame after it an error; calls under way go on here.
    * A frame that is too long is refused by its header; h2 waits for megabytes of it first.

    Args:
        config: for h2.
        window: bytes the server may send ahead, on each stream and on the connection.
        before_settings: how many streams to open at once before the server has said how many it takes.
    """

    def __init__(self, config: H2Configuration, window: int, before_settings: int) -> None:
        super().__init__(config)
        self.initiate_connection()
        self.increment_flow_control_window(window - frames.FIRST_WINDOW)
        self.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.let_open(before_settings)

    def let_open(self, streams: int) -> None:
        """Set how many streams may be open at once, as if the server had said so."""
        self.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = streams
        self.remote_settings.acknowledge()

    def receive_data(self, data: Any) -> list[Event]:
        """As h2."""
        events = super().receive_data(data)
        begun = self.incoming_buffer._data[:3]
        if len(begun) == 3 and int.from_bytes(begun) > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError("a frame longer than agreed")
        return events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frames.known(frame.error_code)
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]
