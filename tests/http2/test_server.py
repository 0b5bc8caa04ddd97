"""What speaks HTTP/2 for the server – lean, light, h2 as it is – fed with the same bytes: all say and send the same."""

from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.http2.lean_client import LeanClient
from angzarr.http2.lean_server import LeanServer
from angzarr.http2.stock import StockServer

REQUEST = [
    (":method", "POST"),
    (":path", "/a.B/C"),
    (":scheme", "http"),
    (":authority", "x"),
    ("te", "trailers"),
]
OPENING = [(":status", "200"), ("content-type", "application/grpc+proto")]
OK = [("grpc-status", "0")]

ACTIONS = st.one_of(
    st.tuples(st.just("open"), st.binary(max_size=40), st.booleans()),
    st.tuples(st.just("send"), st.integers(0, 5), st.binary(max_size=40), st.booleans()),
    st.tuples(st.just("reset"), st.integers(0, 5)),
    st.tuples(st.just("answer"), st.integers(0, 5), st.sampled_from([5, 100, 20_000])),
    st.tuples(
        st.just("ping"),
    ),
    st.tuples(st.just("table"), st.sampled_from([0, 4096])),
)


def client() -> H2Connection:
    made = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    made.initiate_connection()
    return made


def server(kind: str, window: int = 4 * 2**20) -> Any:
    made: Any = (
        LeanServer(window, 1000) if kind == "lean" else StockServer(window, 1000, light=kind == "light")
    )
    made.initiate_connection()
    return made


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


FRAMES = [
    frame(0, 0, 0, b"data of no stream"),
    frame(0, 0, 99, b"data of a stream nobody opened"),
    frame(0, 8, 1, b"\xffpadding longer than its frame"),
    frame(1, 4, 2, b"\x82"),
    frame(1, 4, 101, b"\xff\xff\xff\xff\xff"),
    frame(1, 0, 103, b"\x83"),
    frame(2, 0, 1, b"\0\0\0\0\x10"),
    frame(2, 0, 0, b"\0\0\0\0\x10"),
    frame(3, 0, 1, b"\0\0"),
    frame(4, 0, 0, b"\0\x04\xff\xff\xff\xff"),
    frame(4, 0, 0, b"\0\x05\0\0\0\x01"),
    frame(4, 0, 0, b"\0\x03"),
    frame(4, 0, 1, b""),
    frame(4, 1, 0, b"not empty"),
    frame(5, 4, 1, b"\0\0\0\x02\x82"),
    frame(6, 0, 0, b"short"),
    frame(6, 0, 1, b"12345678"),
    frame(7, 0, 0, bytes(8)),
    frame(7, 0, 0, b"short"),
    frame(8, 0, 0, b"\0\0\0\0"),
    frame(8, 0, 0, b"\x7f\xff\xff\xff"),
    frame(8, 0, 301, b"\0\0\0\x01"),
    frame(9, 4, 1, b"\x82"),
    frame(0xF0, 0, 0, b"unknown"),
]


class Pair:
    """A client and a server, and what each of them has seen."""

    def __init__(self, kind: str) -> None:
        self.client = client()
        self.server = server(kind)
        self.dead = False
        self.streams: list[int] = []
        self.seen: list[str] = []
        self.resized = False
        self.answered: set[int] = set()
        self.exchange()

    def exchange(self, extra: bytes = b"") -> None:
        for _ in range(3):
            self._tell(self.server, self.client.data_to_send() + extra)
            self._tell(self.client, self.server.data_to_send())
            extra = b""

    def _tell(self, whom: H2Connection, data: bytes) -> None:
        if self.dead:
            return
        try:
            self.seen.extend(found for event in whom.receive_data(data) if (found := _described(event)))
        except ProtocolError:
            self.seen.append("dead")
            self.dead = True

    def act(self, action: tuple[Any, ...]) -> None:
        if self.dead:
            return
        try:
            getattr(self, action[0])(*action[1:])
        except (ProtocolError, LookupError):
            self.seen.append("refused")
        self.exchange()

    def open(self, body: bytes, end: bool) -> None:
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, [*REQUEST, ("x-body", body.hex())])
        self.streams.append(stream)
        self.client.send_data(stream, body, end_stream=end)

    def send(self, which: int, body: bytes, end: bool) -> None:
        self.client.send_data(self.streams[which], body, end_stream=end)

    def reset(self, which: int) -> None:
        self.client.reset_stream(self.streams[which])

    def answer(self, which: int, size: int) -> None:
        # Once: h2 gives up a stream that its own side uses wrongly, and resets what comes on it then.
        if self.streams[which] in self.answered:
            return
        self.answered.add(self.streams[which])
        answer(self.server, self.streams[which], bytes(size))

    def raw(self, data: bytes) -> None:
        self.exchange(data)

    def ping(self) -> None:
        self.client.ping(b"12345678")

    def table(self, size: int) -> None:
        # Once: hpack loses changes that follow each other before a header block, and h2's peers then break off.
        if not self.resized:
            self.resized = True
            self.client.update_settings({1: size})


def answer(server: Any, stream: int, message: bytes) -> None:
    """As the server's streams do."""
    if stream not in server.streams:
        raise IndexError(stream)
    if server.send_answer(stream, message):
        return
    server.send_headers(stream, OPENING)
    for start in range(0, len(message), 16_384):
        server.send_data(stream, message[start : start + 16_384])
    server.send_headers(stream, OK, end_stream=True)


def _described(event: Event) -> str:
    """What a server or a client does something about."""
    match event:
        case RequestReceived() | ResponseReceived() | TrailersReceived():
            headers = [(str(name), str(value)) for name, value in event.headers or ()]
            return f"{type(event).__name__} {event.stream_id} {headers}"
        case DataReceived():
            return f"data {event.stream_id} {event.data!r} {event.flow_controlled_length}"
        case StreamEnded():
            return f"end {event.stream_id}"
        case StreamReset():
            return f"reset {event.stream_id} {int(event.error_code or 0)} {event.remote_reset}"
        case ConnectionTerminated():
            return f"goaway {event.last_stream_id}"
        case PingAckReceived():
            return f"pong {event.ping_data!r}"
    return ""


@pytest.mark.parametrize("kind", ["lean", "light"])
@settings(deadline=None, max_examples=60)
@given(actions=st.lists(ACTIONS, max_size=14))
def test_every_kind_sees_and_sends_what_h2_does(kind: str, actions: list[tuple[Any, ...]]) -> None:
    ours, stock = Pair(kind), Pair("h2")
    for action in actions:
        ours.act(action)
        stock.act(action)
        assert ours.seen == stock.seen
    for connection in (ours, stock):
        connection.exchange()
    assert ours.client.outbound_flow_control_window == stock.client.outbound_flow_control_window


@pytest.mark.parametrize("kind", ["lean", "light"])
@pytest.mark.parametrize("data", FRAMES)
def test_what_h2_refuses_every_kind_refuses(data: bytes, kind: str) -> None:
    ours, stock = Pair(kind), Pair("h2")
    for pair in (ours, stock):
        pair.act(("open", b"body", False))
        pair.act(("raw", data))
        pair.act(("ping",))
    assert ours.dead == stock.dead
    assert ours.seen == stock.seen


def test_a_reset_of_a_stream_that_was_never_opened_is_refused_as_the_rfc_says() -> None:
    pair = Pair("lean")
    pair.act(("raw", frame(3, 0, 201, b"\0\0\0\x08")))
    assert pair.dead


def test_what_does_not_begin_with_the_preface_is_refused_at_its_first_wrong_byte() -> None:
    connection = server("lean")
    assert connection.receive_data(b"PRI * HTTP/2.0\r\n") == []
    with pytest.raises(ProtocolError):
        connection.receive_data(b"GET")


@given(cut=st.integers(1, 200))
def test_bytes_may_come_in_any_pieces(cut: int) -> None:
    whole, pieces = server("lean"), server("lean")
    sender = client()
    sender.send_headers(1, REQUEST)
    sender.send_data(1, b"x" * 300, end_stream=True)
    data = sender.data_to_send()
    events = [
        event
        for start in range(0, len(data), cut)
        for event in pieces.receive_data(data[start : start + cut])
    ]
    assert list(map(_described, events)) == list(map(_described, whole.receive_data(data)))


@pytest.mark.parametrize("kind", ["lean", "light"])
def test_an_answer_in_one_step_is_what_h2_would_send(kind: str) -> None:
    pair = Pair(kind)
    pair.open(b"x", True)
    pair.exchange()
    assert pair.server.send_answer(1, b"m" * 40_000)
    assert 1 not in pair.server.streams or not pair.server.streams[1].open
    events = pair.client.receive_data(pair.server.data_to_send())
    assert [type(event) for event in events] == [
        ResponseReceived,
        DataReceived,
        DataReceived,
        DataReceived,
        TrailersReceived,
        StreamEnded,
    ]
    assert b"".join(event.data for event in events if isinstance(event, DataReceived)) == b"m" * 40_000


@pytest.mark.parametrize("size", [65_536, 100_000])
@pytest.mark.parametrize("kind", ["lean", "light"])
def test_an_answer_above_the_window_is_left_to_flow_control(size: int, kind: str) -> None:
    pair = Pair(kind)
    pair.open(b"x", True)
    pair.exchange()
    assert not pair.server.send_answer(1, bytes(size))
    assert 1 in pair.server.streams


@pytest.mark.parametrize("kind", ["lean", "light"])
def test_an_answer_to_a_stream_that_is_gone_or_has_begun_is_left_to_h2(kind: str) -> None:
    pair = Pair(kind)
    pair.open(b"x", True)
    pair.open(b"x", True)
    pair.exchange()
    pair.server.send_headers(1, OPENING, end_stream=True)
    pair.server.reset_stream(3)
    assert [pair.server.send_answer(stream, b"") for stream in (1, 3, 99)] == [False, False, False]


@pytest.mark.parametrize("kind", ["lean", "light"])
def test_closed_streams_are_forgotten_in_time(kind: str) -> None:
    pair = Pair(kind)
    for _ in range(1000):
        stream = pair.client.get_next_available_stream_id()
        pair.client.send_headers(stream, REQUEST, end_stream=True)
        pair.server.receive_data(pair.client.data_to_send())
        pair.server.send_answer(stream, b"")
        pair.client.receive_data(pair.server.data_to_send())
    assert len(pair.server.streams) < 400


def test_lean_answers_a_client_that_says_its_table_size_twice() -> None:
    pair = Pair("lean")
    pair.client.update_settings({1: 0})
    pair.exchange()
    pair.open(b"", False)
    pair.client.update_settings({1: 0})
    pair.exchange()
    pair.act(("answer", 0, 5))
    assert pair.seen[-2:] == ["TrailersReceived 1 [('grpc-status', '0')]", "end 1"]


def test_window_updates_that_come_with_calls_are_no_flood() -> None:
    """What grpc's C core sends: two windows a call."""
    lean = server("lean")
    begin = LeanClient(2**20, 100)
    begin.initiate_connection()
    lean.receive_data(begin.data_to_send())
    window = frame(8, 0, 0, (1000).to_bytes(4, "big"))
    for _ in range(2_500):
        stream = begin.get_next_available_stream_id()
        begin.send_headers(stream, REQUEST)
        begin.send_data(stream, b"asked", end_stream=True)
        lean.receive_data(window + begin.data_to_send() + window)
        assert lean.send_answer(stream, b"answer")
        begin.receive_data(lean.data_to_send())


@pytest.mark.parametrize(
    "nothing", [frame(1, 5, 1, b"\x82"), frame(0, 0, 1, b""), frame(8, 0, 1, b"\0\0\0\1")]
)
def test_a_flood_of_frames_for_a_call_that_is_over_ends_the_connection(nothing: bytes) -> None:
    pair = Pair("lean")
    pair.open(b"x", True)
    pair.exchange()
    assert pair.server.send_answer(1, b"answer")
    pair.server.data_to_send()
    with pytest.raises(ProtocolError, match="flood"):
        flood(pair.server, nothing)


def flood(connection: Any, data: bytes) -> None:
    for _ in range(3000):
        connection.receive_data(data)


@pytest.mark.parametrize("kind", ["lean", "light", "h2"])
def test_the_smallest_window_there_is_needs_no_widening(kind: str) -> None:
    made = server(kind, window=65_535)
    client().receive_data(made.data_to_send())


@pytest.mark.parametrize("kind", ["lean", "light", "h2"])
def test_a_frame_that_is_too_long_is_refused_by_its_header(kind: str) -> None:
    made = server(kind)
    made.receive_data(client().data_to_send())
    with pytest.raises(ProtocolError):
        made.receive_data(b"\xff\xff\xff\0\0\0\0\0\x01")
