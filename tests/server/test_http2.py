"""The server's HTTP/2 connection, light and as h2 is, fed with the same bytes: they must say and send the same."""

from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, TrailersReceived
from h2.exceptions import ProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.server.http2 import ServerHttp2
from angzarr.server.options import ServerOptions

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
    st.tuples(st.just("answer"), st.integers(0, 5), st.sampled_from([0, 1, 100, 20_000])),
    st.tuples(st.just("raw"), st.binary(max_size=30)),
    st.tuples(
        st.just("ping"),
    ),
    st.tuples(st.just("table"), st.sampled_from([0, 4096])),
)


def client() -> H2Connection:
    made = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    made.initiate_connection()
    return made


def server(light: bool) -> ServerHttp2:
    made = ServerHttp2(ServerOptions(light_http2=light))
    made.initiate_connection()
    return made


class Pair:
    """A client and a server, and what each of them has seen."""

    def __init__(self, light: bool) -> None:
        self.client = client()
        self.server = server(light)
        self.streams: list[int] = []
        self.seen: list[str] = []
        self.exchange()

    def exchange(self, extra: bytes = b"") -> None:
        for _ in range(3):
            self._tell(self.server, self.client.data_to_send() + extra)
            self._tell(self.client, self.server.data_to_send())
            extra = b""

    def _tell(self, whom: H2Connection, data: bytes) -> None:
        try:
            self.seen.extend(map(_described, whom.receive_data(data)))
        except ProtocolError as error:
            self.seen.append(type(error).__name__)

    def act(self, action: tuple[Any, ...]) -> None:
        try:
            getattr(self, action[0])(*action[1:])
        except (ProtocolError, IndexError) as error:
            self.seen.append(f"refused: {type(error).__name__}")
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
        answer(self.server, self.streams[which], bytes(size))

    def raw(self, data: bytes) -> None:
        self.exchange(data)

    def ping(self) -> None:
        self.client.ping(b"12345678")

    def table(self, size: int) -> None:
        self.client.update_settings({1: size})


def answer(server: ServerHttp2, stream: int, message: bytes) -> None:
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
    return repr(event).replace("<", "").partition(" at 0x")[0]


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=14))
def test_light_and_stock_see_and_send_the_same(actions: list[tuple[Any, ...]]) -> None:
    light, stock = Pair(light=True), Pair(light=False)
    for action in actions:
        light.act(action)
        stock.act(action)
        assert light.seen == stock.seen
    assert light.client.outbound_flow_control_window == stock.client.outbound_flow_control_window
    assert light.server.outbound_flow_control_window == stock.server.outbound_flow_control_window


def test_an_answer_in_one_step_is_what_h2_would_send() -> None:
    pair = Pair(light=True)
    pair.open(b"x", True)
    pair.exchange()
    assert pair.server.send_answer(1, b"m" * 40_000)
    assert not pair.server.streams[1].open
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
def test_an_answer_above_the_window_is_left_to_flow_control(size: int) -> None:
    pair = Pair(light=True)
    pair.open(b"x", True)
    pair.exchange()
    assert not pair.server.send_answer(1, bytes(size))
    assert pair.server.streams[1].open


def test_an_answer_to_a_stream_that_is_gone_or_has_begun_is_left_to_h2() -> None:
    pair = Pair(light=True)
    pair.open(b"x", True)
    pair.open(b"x", True)
    pair.exchange()
    pair.server.send_headers(1, OPENING)
    pair.server.reset_stream(3)
    assert [pair.server.send_answer(stream, b"") for stream in (1, 3, 99)] == [False, False, False]


def test_closed_streams_are_forgotten_in_time() -> None:
    pair = Pair(light=True)
    for _ in range(1000):
        stream = pair.client.get_next_available_stream_id()
        pair.client.send_headers(stream, REQUEST, end_stream=True)
        pair.server.receive_data(pair.client.data_to_send())
        pair.server.send_answer(stream, b"")
        pair.client.receive_data(pair.server.data_to_send())
    assert len(pair.server.streams) < 400
