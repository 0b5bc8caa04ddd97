"""HPACK that remembers: what it writes hpack reads, and what it remembers is never stale."""

from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.http2.headers import HeaderDecoder, LiteralEncoder, Prepared

NAMES = st.from_regex(r"[a-z0-9_.-]{1,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=12)
REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/angzarr_client.proto.angzarr.EventQueryService/GetEventBook"),
    (":authority", "localhost:1310"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-python-angzarr"),
]


def pairs(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers]


@settings(max_examples=50, deadline=None)
@given(st.lists(HEADERS, max_size=5))
def test_hpack_reads_what_is_written(blocks: list[list[tuple[str, str]]]) -> None:
    encoder, decoder = LiteralEncoder(), hpack.Decoder()
    for headers in blocks:
        whole = REQUEST + headers
        assert pairs(decoder.decode(encoder.encode(whole))) == whole


def test_the_same_headers_are_the_same_bytes_and_leave_no_trace_in_the_peers_table() -> None:
    encoder, decoder = LiteralEncoder(), hpack.Decoder()
    first = encoder.encode(REQUEST)
    decoder.decode(first)
    assert encoder.encode(REQUEST) == first
    assert not decoder.header_table.dynamic_entries


def test_prepared_headers_can_be_put_together() -> None:
    whole = Prepared(REQUEST).plus(Prepared([("grpc-timeout", "1S")])).plus(Prepared([("x", "y")]))
    assert whole == [*REQUEST, ("grpc-timeout", "1S"), ("x", "y")]
    assert pairs(hpack.Decoder().decode(LiteralEncoder().encode(whole))) == whole


def test_secrets_are_marked_never_to_be_indexed() -> None:
    [header] = hpack.Decoder().decode(LiteralEncoder().encode([("authorization", "Bearer x")]))
    assert isinstance(header, hpack.NeverIndexedHeaderTuple)


def test_values_that_change_are_not_kept() -> None:
    encoder = LiteralEncoder()
    for number in range(1000):
        encoder.encode([*REQUEST, ("x-correlation-id", str(number)), ("grpc-timeout", f"{number}m")])
    assert len(encoder._kept) == len(REQUEST)


def test_what_is_kept_is_bounded() -> None:
    encoder = LiteralEncoder()
    for number in range(1000):
        encoder.encode([(":path", f"/{number}")])
    assert len(encoder._kept) == 256


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(HEADERS, st.sampled_from([0, 100, 4096])), max_size=15))
def test_answers_are_read_as_hpack_reads_them(steps: list[list[tuple[str, str]] | int]) -> None:
    encoder, plain, ours = hpack.Encoder(), hpack.Decoder(), HeaderDecoder(65536)
    for step in steps:
        if isinstance(step, int) and step != encoder.header_table_size:
            encoder.header_table_size = step
        headers = [] if isinstance(step, int) else step
        for _ in range(3):
            block = encoder.encode([(":status", "200"), *headers])
            assert ours.pairs(block) == pairs(plain.decode(block))


def test_equal_blocks_are_decoded_once() -> None:
    encoder, decoder = hpack.Encoder(), HeaderDecoder(65536)
    headers = [(":status", "200"), ("content-type", "application/grpc")]
    for _ in range(3):
        block = encoder.encode(headers)
        assert decoder.pairs(block) == headers
    assert list(decoder._kept) == [block]


def test_a_changed_table_forgets_what_was_kept() -> None:
    encoder, decoder = hpack.Encoder(), HeaderDecoder(65536)
    for _ in range(2):
        decoder.pairs(encoder.encode([("x", "1")]))
    indexed = encoder.encode([("x", "1")])
    decoder.pairs(indexed)
    assert decoder._kept
    decoder.pairs(encoder.encode([("x", "2")]))
    assert decoder.pairs(indexed) == [("x", "2")]


def test_equal_blocks_give_the_same_list_as_long_as_the_table_stays() -> None:
    decoder = HeaderDecoder(65536)
    decoder.pairs(hpack.Encoder().encode([("x", "1")]))
    first = decoder.pairs(b"\xbe")
    assert decoder.pairs(b"\xbe") is first
    decoder.pairs(hpack.Encoder().encode([("x", "2")]))
    assert decoder.pairs(b"\xbe") == [("x", "2")]
    assert first == [("x", "1")]


def test_large_blocks_are_not_kept() -> None:
    decoder = HeaderDecoder(65536)
    block = hpack.Encoder().encode([("x", "y" * 2000, True)], huffman=False)
    decoder.pairs(block)
    assert not decoder._kept


def test_a_header_list_beyond_the_limit_is_refused() -> None:
    with pytest.raises(hpack.OversizedHeaderListError):
        HeaderDecoder(100).pairs(hpack.Encoder().encode([("x", "y" * 200)]))
