"""Remembering header compression beside hpack's own: the same headers come out, whatever went in before."""

from collections.abc import Iterator
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple, OversizedHeaderListError
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.http2 import light
from angzarr.http2.light import RememberingDecoder, RememberingEncoder, lighten

NAMES = [
    b":status",
    b"content-type",
    b"grpc-status",
    b":path",
    b"te",
    b"grpc-message",
    b"x-correlation-id",
    b"grpc-timeout",
]
FIELDS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from([b"", b"200", b"0", b"trailers", b"a" * 300]) | st.binary(max_size=40),
)
BLOCKS = st.lists(st.lists(FIELDS, max_size=8), max_size=12)
ANSWER = [(b":status", b"200"), (b"content-type", b"application/grpc+proto")]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    light._fields.clear()
    yield
    light._fields.clear()


def decoded(decoder: Decoder, block: bytes) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]


@settings(deadline=None)
@given(BLOCKS, st.data())
def test_what_the_encoder_writes_hpack_reads(
    blocks: list[list[tuple[bytes, bytes]]], data: st.DataObject
) -> None:
    encoder, decoder = RememberingEncoder(), Decoder()
    for headers in blocks:
        if data.draw(st.booleans()):
            size = data.draw(st.sampled_from([0, 64, 4096]))
            encoder.header_table_size = size
        assert decoded(decoder, encoder.encode(headers)) == headers


@settings(deadline=None)
@given(BLOCKS, st.data())
def test_what_hpack_writes_the_decoder_reads(
    blocks: list[list[tuple[bytes, bytes]]], data: st.DataObject
) -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    for headers in [*blocks, *blocks]:
        if data.draw(st.booleans()):
            encoder.header_table_size = data.draw(st.sampled_from([0, 64, 4096]))
        assert decoded(decoder, encoder.encode(headers)) == headers


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_are_read_as_hpack_reads_them(blocks: list[bytes]) -> None:
    ours, theirs = RememberingDecoder(), Decoder()
    for block in [*blocks, *blocks]:
        assert outcome(ours, block) == outcome(theirs, block)


def outcome(decoder: Decoder, block: bytes) -> Any:
    try:
        return decoded(decoder, block)
    except Exception as error:
        return type(error)


def test_a_repeated_block_is_looked_up() -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    encoder.encode(ANSWER)
    first = encoder.encode(ANSWER)
    decoder.decode(Encoder().encode(ANSWER))
    decoder.decode(first)
    assert list(decoder._blocks) == [(first, False, 65536)]


def test_a_block_is_forgotten_when_the_table_changes() -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    decoder.decode(encoder.encode(ANSWER))
    decoder.decode(encoder.encode(ANSWER))
    decoder.decode(encoder.encode([(b"x-new", b"1")]))
    decoder.decode(encoder.encode([(b"x-new", b"1")]))
    assert len(decoder._blocks) == 1


def test_an_index_means_what_the_table_holds_now() -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    seen = [
        decoded(decoder, encoder.encode([(b"x-turn", b"%d" % turn), (b"x-same", b"1")]))
        for turn in range(300)
    ]
    assert seen == [[(b"x-turn", b"%d" % turn), (b"x-same", b"1")] for turn in range(300)]


def test_a_change_of_the_tables_size_is_carried_out_however_often_it_is_repeated() -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    for size in (0, 64, 0, 64):
        encoder.header_table_size = size
        decoder.decode(encoder.encode([]))
        assert decoder.header_table_size == size
    twice = [(b":status", b""), (b":status", b"")]
    assert decoded(decoder, encoder.encode(twice)) == twice


def test_what_is_remembered_is_bounded() -> None:
    encoder, decoder = RememberingEncoder(), RememberingDecoder()
    for number in range(2000):
        headers = [NeverIndexedHeaderTuple(b"x-number", b"%d" % number)]
        decoder.decode(Encoder().encode(headers))
        encoder.encode([(b":path", b"/%d" % number)])
    decoder.decode(Encoder().encode([NeverIndexedHeaderTuple(b"x-long", b"a" * 5000)]))
    assert len(decoder._blocks) == 64
    assert len(light._fields) == 1024
    assert max(len(block) for block, _, _ in decoder._blocks) < 1024


def test_only_values_an_application_chooses_are_remembered_across_connections() -> None:
    RememberingEncoder().encode([*ANSWER, (b"grpc-message", b"secret"), (b"authorization", b"secret")])
    assert sorted(light._fields) == [(b":status", b"200"), (b"content-type", b"application/grpc+proto")]


def test_a_sensitive_field_is_never_indexed() -> None:
    block = RememberingEncoder().encode([NeverIndexedHeaderTuple(b"authorization", b"Bearer x")])
    (field,) = Decoder().decode(block, raw=True)
    assert isinstance(field, NeverIndexedHeaderTuple)


def test_the_limit_on_header_lists_holds() -> None:
    decoder = RememberingDecoder()
    decoder.max_header_list_size = 100
    with pytest.raises(OversizedHeaderListError):
        decoder.decode(Encoder().encode([HeaderTuple(b"x-long", b"a" * 200)]))


def test_a_caller_that_changes_the_headers_changes_no_one_elses() -> None:
    encoder, decoder = Encoder(), RememberingDecoder()
    blocks = [encoder.encode(ANSWER) for _ in range(3)]
    for block in blocks:
        headers = decoder.decode(block, raw=True)
        assert len(list(headers)) == 2
        headers.clear()  # type: ignore[attr-defined]


def test_two_light_connections_talk_like_two_of_h2() -> None:
    assert conversation(light=True) == conversation(light=False)


def conversation(light: bool) -> list[str]:
    client = H2Connection(H2Configuration(client_side=True, header_encoding="ascii"))
    server = H2Connection(H2Configuration(client_side=False, header_encoding="ascii"))
    for connection in (client, server) if light else ():
        lighten(connection)
    client.initiate_connection()
    server.initiate_connection()
    events: list[str] = []
    for number in range(20):
        stream = client.get_next_available_stream_id()
        client.send_headers(
            stream, [(":method", "POST"), (":path", "/a/B"), (":scheme", "http"), (":authority", "x")]
        )
        client.send_data(stream, b"%d" % number, end_stream=True)
        events += map(repr, server.receive_data(client.data_to_send()))
        server.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        server.send_headers(stream, [("grpc-status", str(number % 3))], end_stream=True)
        events += map(repr, client.receive_data(server.data_to_send()))
    return events
