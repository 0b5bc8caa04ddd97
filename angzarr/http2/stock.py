"""h2's connection, as gRPC's clients and servers need it."""

from typing import Any, ClassVar

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import FrameTooLargeError
from h2.settings import SettingCodes, Settings
from h2.stream import StreamInputs, StreamState
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame

from angzarr.http2.answers import answer_frames
from angzarr.http2.frames import FIRST_WINDOW, known
from angzarr.http2.light import lighten


class _Stock(H2Connection):
    """h2, with two of its answers changed.

    * A GOAWAY is for h2 the end of the connection, and every frame after it an error; calls under way go on here.
    * A frame that is too long is refused by its header; h2 waits for all of it first, up to 16 MiB.
    """

    def receive_data(self, data: Any) -> list[Event]:
        """As h2."""
        events = super().receive_data(data)
        begun = self.incoming_buffer._data[:3]
        if len(begun) == 3 and int.from_bytes(begun) > self.max_inbound_frame_size:
            self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
            raise FrameTooLargeError("a frame longer than agreed")
        return events

    def _widen(self, window: int) -> None:
        if window > FIRST_WINDOW:
            self.increment_flow_control_window(window - FIRST_WINDOW)

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = known(frame.error_code)
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]


class StockClient(_Stock):
    """h2 for a client.

    Args:
        config: for h2.
        window: bytes the server may send ahead, on each stream and on the connection.
        before_settings: how many streams to open at once before the server has said how many it takes.
    """

    def __init__(self, config: H2Configuration, window: int, before_settings: int) -> None:
        super().__init__(config)
        self._window = window
        self.let_open(before_settings)

    def initiate_connection(self) -> None:
        """As h2, and give the server room on the connection and its streams."""
        super().initiate_connection()
        self._widen(self._window)
        self.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: self._window})

    def let_open(self, streams: int) -> None:
        """Set how many streams may be open at once, as if the server had said so."""
        self.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = streams
        self.remote_settings.acknowledge()


class StockServer(_Stock):
    """h2 for a server, whose it is to refuse a call beyond the agreed number; for h2 that ends the connection.

    Args:
        window: bytes the client may send ahead, on each stream and on the connection.
        most_streams: how many streams the client is told it may open at once.
        light: whether to spare the work that h2 repeats for every call.
    """

    CONFIG: ClassVar[H2Configuration] = H2Configuration(
        client_side=False,
        header_encoding="ascii",
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=False,
    )

    def __init__(self, window: int, most_streams: int, *, light: bool) -> None:
        super().__init__(self.CONFIG)
        self.local_settings: Settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: most_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: self.DEFAULT_MAX_HEADER_LIST_SIZE,
                SettingCodes.INITIAL_WINDOW_SIZE: window,
            },
        )
        self._tidy_at = 128
        self._light = light
        self._window = window
        if light:
            lighten(self)

    def initiate_connection(self) -> None:
        """As h2, and give the client room on the connection."""
        super().initiate_connection()
        self._widen(self._window)

    def send_answer(self, stream_id: int, message: bytes) -> bool:
        """Send all of a successful unary answer: headers, message, status, end of stream.

        What h2 would do in three steps, with the same bytes and state afterwards; only for what needs no decision.

        Args:
            stream_id: a stream whose answer has not begun.
            message: with its gRPC prefix.

        Returns:
            Whether it was done; otherwise the state is as before, and the three steps are the caller's.
        """
        stream = self.streams.get(stream_id)
        size = len(message)
        if (
            not self._light
            or stream is None
            or size > min(self.outbound_flow_control_window, stream.outbound_flow_control_window)
            or self.encoder.header_table.resized
            or self.state_machine.state is not ConnectionState.SERVER_OPEN
            or stream.state_machine.headers_sent
            or not stream.open
        ):
            return False
        stream.state_machine.process_input(StreamInputs.SEND_HEADERS)
        stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        self.outbound_flow_control_window -= size
        stream.outbound_flow_control_window -= size
        self._data_to_send += answer_frames(stream_id, message, self.max_outbound_frame_size)
        return True

    def _receive_frame(self, frame: Frame) -> list[Event]:
        """As h2, which describes every frame to a log that nobody reads, where the frame is a usual one."""
        if not self._light or not self._is_usual(frame):
            return super()._receive_frame(frame)
        frames: list[Frame]
        events: list[Event]
        frames, events = self._frame_dispatch_table[type(frame)](frame)
        if frames:
            self._prepare_for_sending(frames)
        return events

    def _is_usual(self, frame: Frame) -> bool:
        """Whether a frame begins a call, or belongs to one whose request goes on: h2 cannot find its stream closed."""
        if type(frame) is HeadersFrame:
            return frame.stream_id > self.highest_inbound_stream_id
        if type(frame) is not DataFrame:
            return False
        stream = self.streams.get(frame.stream_id)
        return stream is not None and stream.state_machine.state is StreamState.OPEN

    @property
    def open_inbound_streams(self) -> int:
        """Never too many. Forgets closed streams, as h2 does here, but not at every request."""
        if len(self.streams) >= self._tidy_at:
            super()._open_streams(1)
            self._tidy_at = 128 + 2 * len(self.streams)
        return 0
