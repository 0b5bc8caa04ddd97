"""Our HTTP/2 connection against h2's: the same conversations, the same events, the same refusals."""

from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import hpack
import pytest
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.http2.headers import Prepared
from angzarr.http2.lean_client import LeanClient

WINDOW = 4 * 2**20
REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/s/m"),
    (":authority", "a"),
    ("te", "trailers"),
]
ANSWER = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0"), ("grpc-message", "")]


class Client:
    """One of the two connections, and h2's server at its other end.

    The server's frames are recorded, so that the other connection can be fed the same bytes.
    """

    def __init__(self, lean: bool) -> None:
        if lean:
            self.connection: Any = LeanClient(WINDOW, 100)
        else:
            config = h2.config.H2Configuration(
                client_side=True, header_encoding="ascii", validate_inbound_headers=False
            )
            self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        if not lean:
            self.connection.increment_flow_control_window(WINDOW - 65535)
            self.connection.update_settings(
                {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW, SettingCodes.ENABLE_PUSH: 0}
            )


def seen(events: list[h2.events.Event]) -> list[tuple[Any, ...]]:
    """What a client cares about of events."""
    found: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                headers = [tuple(header) for header in event.headers or []]
                found.append((type(event).__name__, event.stream_id, headers))
            case h2.events.DataReceived():
                found.append(("data", event.stream_id, bytes(event.data), event.flow_controlled_length))
            case h2.events.StreamEnded():
                found.append(("end", event.stream_id))
            case h2.events.StreamReset():
                found.append(("reset", event.stream_id, int(event.error_code), event.remote_reset))
            case h2.events.WindowUpdated():
                found.append(("window", event.stream_id, event.delta))
            case h2.events.PingAckReceived():
                found.append(("pong", event.ping_data))
            case h2.events.ConnectionTerminated():
                found.append(("goaway", event.last_stream_id, int(event.error_code or 0)))
    return found


def server() -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="ascii"))
    made.initiate_connection()
    return made


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


SETTINGS = frame(4, 0, 0, b"")


def opened(*streams: int, lean: bool = True) -> Any:
    """A client that has said hello and opened streams."""
    client = Client(lean).connection
    client.receive_data(SETTINGS)
    for stream in streams:
        client.send_headers(stream, REQUEST)
        client.send_data(stream, b"question", end_stream=True)
    client.data_to_send()
    return client


def test_the_first_bytes_are_the_preface_and_settings_without_push() -> None:
    peer, opening = server(), Client(True).connection.data_to_send()
    [event] = [
        event for event in peer.receive_data(opening) if isinstance(event, h2.events.RemoteSettingsChanged)
    ]
    assert opening.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert event.changed_settings[SettingCodes.ENABLE_PUSH].new_value == 0
    assert event.changed_settings[SettingCodes.INITIAL_WINDOW_SIZE].new_value == WINDOW
    assert peer.outbound_flow_control_window == WINDOW


def test_a_request_reaches_h2s_server() -> None:
    client, peer = Client(True).connection, server()
    client.send_headers(1, [*REQUEST, ("x-correlation-id", "corr")])
    client.send_data(1, b"question", end_stream=True)
    events = peer.receive_data(client.data_to_send())
    requests = [event for event in events if isinstance(event, h2.events.RequestReceived)]
    headers: Any = requests[0].headers
    assert [tuple(header) for header in headers] == [*REQUEST, ("x-correlation-id", "corr")]
    assert [event.data for event in events if isinstance(event, h2.events.DataReceived)] == [b"question"]
    assert any(isinstance(event, h2.events.StreamEnded) for event in events)


def test_a_request_in_one_step_is_that_of_two_steps() -> None:
    one, two = opened(), opened()
    assert one.send_request(Prepared(REQUEST), b"question") == 1
    two.send_headers(1, REQUEST)
    two.send_data(1, b"question", end_stream=True)
    assert one.data_to_send() == two.data_to_send() != b""
    assert (one._send_window, one._next_stream) == (two._send_window, two._next_stream) == (65527, 3)
    assert one.streams[1].send_window == two.streams[1].send_window == 65527
    assert one.streams[1].ended_here


@pytest.mark.parametrize(
    ("obstacle", "headers", "message"),
    [
        pytest.param(frame(4, 0, 0, b"\0\x03\0\0\0\0"), REQUEST, b"", id="no stream is allowed"),
        pytest.param(frame(4, 0, 0, b"\0\x04\0\0\0\x07"), REQUEST, b"question", id="the window is small"),
        pytest.param(frame(4, 0, 0, b"\0\x01\0\0\0\0"), REQUEST, b"", id="HPACK has something to say first"),
        pytest.param(b"", REQUEST, bytes(16385), id="the message takes two frames"),
        pytest.param(b"", [*REQUEST, ("x", "x" * 16384)], b"", id="the headers take two frames"),
    ],
)
def test_what_one_step_cannot_do_is_left_undone(
    obstacle: bytes, headers: list[tuple[str, str]], message: bytes
) -> None:
    client = opened()
    client.receive_data(obstacle)
    client.data_to_send()
    assert client.send_request(Prepared(headers), message) is None
    assert client.data_to_send() == b""
    assert client.get_next_available_stream_id() == 1
    assert not client.streams


def test_one_step_takes_no_more_than_the_connections_window() -> None:
    client = opened()
    for _ in range(4):
        client.send_request(Prepared(REQUEST), bytes(16000))
    assert client.send_request(Prepared(REQUEST), bytes(1536)) is None
    assert client.send_request(Prepared(REQUEST), bytes(1535)) == 9


def test_no_stream_is_opened_in_one_step_when_the_ids_have_run_out() -> None:
    client = opened()
    client._next_stream = 2**31 - 1
    assert client.send_request(Prepared(REQUEST), b"") == 2**31 - 1
    assert client.send_request(Prepared(REQUEST), b"") is None


def test_headers_larger_than_a_frame_are_continued() -> None:
    client, peer = Client(True).connection, server()
    client.send_headers(1, [*REQUEST, ("x-large", "y" * 40000)], end_stream=True)
    [request] = [
        event
        for event in peer.receive_data(client.data_to_send())
        if isinstance(event, h2.events.RequestReceived)
    ]
    headers: Any = request.headers
    assert ("x-large", "y" * 40000) in [tuple(header) for header in headers]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("open")),
        st.tuples(st.just("answer"), st.integers(0, 9)),
        st.tuples(st.just("data"), st.integers(0, 9), st.binary(max_size=200), st.integers(0, 20)),
        st.tuples(st.just("trailers"), st.integers(0, 9)),
        st.tuples(st.just("only"), st.integers(0, 9)),
        st.tuples(st.just("reset"), st.integers(0, 9), st.sampled_from([0, 1, 2, 7, 8, 11])),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("window"), st.integers(0, 9), st.integers(1, 100000)),
        st.tuples(st.just("ping")),
        st.tuples(st.just("settings"), st.integers(0, 70000), st.sampled_from([16384, 20000])),
        st.tuples(st.just("unknown")),
        st.tuples(st.just("send"), st.integers(0, 9), st.binary(max_size=200)),
    ),
    max_size=20,
)


class Conversation:
    """Both connections talk to an h2 server each; they must see and say the same."""

    def __init__(self) -> None:
        self.clients = [Client(True).connection, Client(False).connection]
        self.peers = [server(), server()]
        self.open: list[int] = []
        self.answered: set[int] = set()
        self.exchange()

    def exchange(self) -> None:
        for _ in range(3):
            for client, peer in zip(self.clients, self.peers, strict=True):
                peer.receive_data(client.data_to_send())
            lean, stock = (
                seen(client.receive_data(peer.data_to_send()))
                for client, peer in zip(self.clients, self.peers, strict=True)
            )
            assert lean == stock
        for stream in self.open:
            windows = {client.local_flow_control_window(stream) for client in self.clients}
            assert len(windows) == 1

    def everywhere(self, action: Callable[[Any], None]) -> None:
        for peer in self.peers:
            action(peer)

    def step(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("open",):
                stream = self.clients[0].get_next_available_stream_id()
                assert stream == self.clients[1].get_next_available_stream_id()
                for client in self.clients:
                    client.send_headers(stream, REQUEST)
                self.open.append(stream)
            case ("ping",):
                self.everywhere(lambda peer: peer.ping(b"12345678"))
                for client in self.clients:
                    client.ping(b"abcdefgh")
            case ("settings", window, size):
                changed = {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.MAX_FRAME_SIZE: size}
                self.everywhere(lambda peer: peer.update_settings(changed))
            case ("unknown",):
                for client in self.clients:
                    assert seen(client.receive_data(frame(0xBE, 0xFF, 0, b"grease"))) == []
            case (_, index, *_) if self.open:
                self.on_stream(self.open[index % len(self.open)], step)

    def on_stream(self, stream: int, step: tuple[Any, ...]) -> None:
        match step:
            case ("answer", _) if stream not in self.answered:
                self.answered.add(stream)
                self.everywhere(lambda peer: peer.send_headers(stream, ANSWER))
            case ("data", _, data, padding) if stream in self.answered:
                self.everywhere(lambda peer: peer.send_data(stream, data, pad_length=padding or None))
                self.exchange()
                size = len(data) + (padding + 1 if padding else 0)
                for client in self.clients:
                    client.acknowledge_received_data(size, stream)
            case ("trailers", _) if stream in self.answered:
                self.everywhere(lambda peer: peer.send_headers(stream, TRAILERS, end_stream=True))
                self.leave(stream)
            case ("only", _) if stream not in self.answered:
                self.everywhere(lambda peer: peer.send_headers(stream, ANSWER + TRAILERS, end_stream=True))
                self.leave(stream)
            case ("reset", _, code):
                self.everywhere(lambda peer: peer.reset_stream(stream, code))
                self.open.remove(stream)
            case ("cancel", _):
                for client in self.clients:
                    client.reset_stream(stream, error_code=h2.errors.ErrorCodes.CANCEL)
                self.open.remove(stream)
            case ("window", _, increment):
                self.everywhere(lambda peer: peer.increment_flow_control_window(increment, stream))
                self.everywhere(lambda peer: peer.increment_flow_control_window(increment))
            case ("send", _, data):
                room = self.clients[0].local_flow_control_window(stream)
                for client in self.clients:
                    client.send_data(stream, data[: max(room, 0)])

    def leave(self, stream: int) -> None:
        """The server has ended the stream: end it here too."""
        self.exchange()
        for client in self.clients:
            client.end_stream(stream)
        self.open.remove(stream)


@settings(max_examples=50, deadline=None)
@given(steps)
def test_conversations_go_as_with_h2(conversation: list[tuple[Any, ...]]) -> None:
    both = Conversation()
    for step in conversation:
        both.step(step)
        both.exchange()
    lean, stock = both.clients
    assert len(lean.streams) == stock.open_outbound_streams


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12),
            st.integers(0, 255),
            st.sampled_from([0, 1, 2, 3, 5, 99]),
            st.binary(max_size=30),
        ),
        max_size=6,
    ),
    st.data(),
)
def test_arbitrary_frames_never_crash_and_come_in_any_pieces(
    frames: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    raw = b"".join(frame(*each) for each in frames)
    whole, pieces = opened(1, 3), opened(1, 3)
    expected = outcome(whole, [raw])
    cut = data.draw(st.integers(0, len(raw)))
    assert outcome(pieces, [raw[:cut], raw[cut:]]) == expected


def outcome(client: Any, chunks: list[bytes]) -> Any:
    events: list[tuple[Any, ...]] = []
    for chunk in chunks:
        try:
            events += seen(client.receive_data(chunk))
        except h2.exceptions.ProtocolError as error:
            return type(error).__name__, client.data_to_send()
    return events, client.data_to_send()


HEADERS_BLOCK = hpack.Encoder().encode(ANSWER)
REFUSED = {
    "data of the connection": frame(0, 0, 0, b"x"),
    "data of a stream nobody opened": frame(0, 0, 9, b"x"),
    "data of a stream the server opened": frame(0, 0, 2, b"x"),
    "data before headers": frame(0, 0, 1, b"x"),
    "padding longer than the frame": frame(1, 4, 1, HEADERS_BLOCK) + frame(0, 8, 1, b"\x05abc"),
    "headers of a stream nobody opened": frame(1, 4, 9, HEADERS_BLOCK),
    "headers of the connection": frame(1, 4, 0, HEADERS_BLOCK),
    "headers hpack cannot read": frame(1, 4, 1, b"\xff\xff\xff\xff"),
    "an interrupted header block": frame(1, 0, 1, HEADERS_BLOCK) + frame(6, 0, 0, b"12345678"),
    "a continuation of nothing": frame(9, 4, 1, HEADERS_BLOCK),
    "a flood of continuations": frame(1, 0, 1, b"") + frame(9, 0, 1, b"") * 70,
    "trailers that end nothing": frame(1, 4, 1, HEADERS_BLOCK) * 2,
    "a push": frame(5, 4, 1, b"\0\0\0\x02" + HEADERS_BLOCK),
    "a reset of the connection": frame(3, 0, 0, b"\0\0\0\x08"),
    "a reset of a stream nobody opened": frame(3, 0, 9, b"\0\0\0\x08"),
    "a reset that is cut off": frame(3, 0, 1, b"\0\0"),
    "settings of a stream": frame(4, 0, 1, b""),
    "settings that are cut off": frame(4, 0, 0, b"\0\x03\0"),
    "an acknowledgement with settings": frame(4, 1, 0, b"\0\x03\0\0\0\x01"),
    "a window that is too large": frame(4, 0, 0, b"\0\x04\xff\xff\xff\xff"),
    "frames that are too small": frame(4, 0, 0, b"\0\x05\0\0\0\x01"),
    "push set to two": frame(4, 0, 0, b"\0\x02\0\0\0\x02"),
    "a ping of a stream": frame(6, 0, 1, b"12345678"),
    "a ping that is cut off": frame(6, 0, 0, b"1234"),
    "a goodbye that is cut off": frame(7, 0, 0, b"\0\0\0\0"),
    "a goodbye of a stream": frame(7, 0, 1, bytes(8)),
    "a window that grows by nothing": frame(8, 0, 0, bytes(4)),
    "a window update that is cut off": frame(8, 0, 0, b"\0\0"),
    "the connection's window overflowing": frame(8, 0, 0, b"\x7f\xff\xff\xff"),
    "a priority of the connection": frame(2, 0, 0, bytes(5)),
    "more data than the stream's window": frame(1, 4, 1, HEADERS_BLOCK) + frame(0, 0, 1, bytes(16384)) * 257,
    "a frame longer than agreed": (20000).to_bytes(3) + bytes((0, 0)) + (1).to_bytes(4) + bytes(20000),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_server_that_breaks_the_protocol_is_told_so(raw: bytes) -> None:
    client = opened(1)
    with pytest.raises(h2.exceptions.ProtocolError):
        client.receive_data(raw)
    assert client.data_to_send()[-17:][3] == 7


def test_a_server_must_begin_with_settings() -> None:
    with pytest.raises(h2.exceptions.ProtocolError, match="SETTINGS"):
        Client(True).connection.receive_data(frame(6, 0, 0, b"12345678"))


def test_a_frame_that_is_too_long_is_refused_by_its_header() -> None:
    with pytest.raises(h2.exceptions.FrameTooLargeError):
        opened(1).receive_data(b"\xff\xff\xff\0\0\0\0\0\x01")


def test_an_oversized_header_list_ends_the_connection() -> None:
    encoder = hpack.Encoder()
    block = encoder.encode([("x", "y" * 4000)])
    client = opened(1)
    with pytest.raises(h2.exceptions.ProtocolError):
        client.receive_data(frame(1, 4, 1, block + b"\xbe" * 30))


def test_no_more_streams_are_opened_than_the_server_takes() -> None:
    client = opened()
    client.receive_data(frame(4, 0, 0, b"\0\x03\0\0\0\x02"))
    client.send_headers(1, REQUEST)
    client.send_headers(3, REQUEST)
    with pytest.raises(h2.exceptions.TooManyStreamsError):
        client.send_headers(5, REQUEST)
    client.reset_stream(1)
    client.send_headers(5, REQUEST)


def test_stream_ids_run_out() -> None:
    client = opened()
    client._next_stream = 2**31 - 1
    client.send_headers(2**31 - 1, REQUEST)
    with pytest.raises(h2.exceptions.NoAvailableStreamIDError):
        client.get_next_available_stream_id()


def test_a_smaller_table_of_the_servers_is_acknowledged_in_the_next_headers() -> None:
    client, peer = opened(), server()
    peer.update_settings({SettingCodes.HEADER_TABLE_SIZE: 0})
    client.receive_data(peer.data_to_send())
    client.data_to_send()
    client.send_headers(1, REQUEST)
    assert client.data_to_send()[9:10] == b"\x20"
    client.send_headers(3, REQUEST)
    assert client.data_to_send()[9:10] != b"\x20"


def test_frames_of_streams_that_are_over_are_ignored_but_counted() -> None:
    client = opened(1)
    client.reset_stream(1)
    client.data_to_send()
    assert client.receive_data(frame(1, 4, 1, HEADERS_BLOCK) + frame(0, 0, 1, bytes(16384)) * 300) == []
    assert client.data_to_send()[:5] == b"\x00\x00\x04\x08\x00"


def test_sending_beyond_the_window_is_refused() -> None:
    client = opened()
    client.send_headers(1, REQUEST)
    with pytest.raises(h2.exceptions.FlowControlError):
        client.send_data(1, bytes(70000))
    with pytest.raises(h2.exceptions.FrameTooLargeError):
        client.send_data(1, bytes(20000))


@pytest.mark.parametrize(
    "action",
    [
        lambda client: client.send_data(1, b"more"),
        lambda client: client.end_stream(1),
        lambda client: client.local_flow_control_window(1),
        lambda client: client.reset_stream(7),
    ],
)
def test_a_stream_that_is_over_takes_nothing(action: Callable[[Any], None]) -> None:
    with pytest.raises(h2.exceptions.StreamClosedError):
        action(opened(1))


FLOODS = {
    "pings": frame(6, 0, 0, b"12345678"),
    "answers to pings nobody sent": frame(6, 1, 0, b"12345678"),
    "settings": frame(4, 0, 0, b""),
    "acknowledgements": frame(4, 1, 0, b""),
    "priorities": frame(2, 0, 1, bytes(5)),
    "window updates": frame(8, 0, 0, b"\0\0\0\x01"),
    "empty data": frame(0, 0, 1, b""),
    "data that is padding": frame(0, 8, 1, b"\x05" + bytes(5)),
    "resets of a stream that is over": frame(3, 0, 1, b"\0\0\0\x08"),
    "headers of a stream that is over": frame(3, 0, 1, b"\0\0\0\x08") + frame(1, 4, 1, HEADERS_BLOCK),
    "empty data of a stream that is over": frame(3, 0, 1, b"\0\0\0\x08") + frame(0, 0, 1, b""),
    "goodbyes": frame(7, 0, 0, bytes(8)),
    "unknown frames": frame(0xBE, 0, 0, b"grease"),
    "informational headers": frame(1, 4, 3, hpack.Encoder().encode([(":status", "103")])),
}


def flood(client: Any, raw: bytes) -> None:
    for _ in range(1500):
        client.receive_data(raw)


@pytest.mark.parametrize("raw", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_ends_the_connection(raw: bytes) -> None:
    client = opened(1, 3)
    client.receive_data(frame(1, 4, 1, HEADERS_BLOCK))
    for _ in range(1000):
        client.receive_data(raw)
    client.data_to_send()
    with pytest.raises(h2.exceptions.ProtocolError, match="flood"):
        flood(client, raw)
    assert client.data_to_send()[-4:] == int(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM).to_bytes(4)


def test_what_calls_cost_in_such_frames_is_no_flood() -> None:
    client = opened()
    for stream in range(1, 10_000, 2):
        client.send_headers(stream, REQUEST)
        client.send_data(stream, b"question", end_stream=True)
        client.receive_data(
            frame(8, 0, 0, b"\0\0\0\x08")
            + frame(6, 0, 0, b"12345678")
            + frame(1, 4, stream, HEADERS_BLOCK)
            + frame(0, 0, stream, b"answer")
            + frame(1, 5, stream, HEADERS_BLOCK)
        )
        client.data_to_send()


def test_a_thousand_calls_that_are_cancelled_together_are_no_flood() -> None:
    client = opened()
    client.receive_data(frame(4, 0, 0, b"\0\x03\0\0\x10\0"))
    for _ in range(5):
        first = client.get_next_available_stream_id()
        for stream in range(first, first + 2000, 2):
            client.send_headers(stream, REQUEST)
            client.send_data(stream, b"question", end_stream=True)
        for stream in range(first, first + 2000, 2):
            client.reset_stream(stream)
            client.receive_data(frame(1, 4, stream, HEADERS_BLOCK) + frame(1, 5, stream, HEADERS_BLOCK))
        client.data_to_send()
