"""Requests that come compressed."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from angzarr.server.compression import decompressed
from tests.server.peers import ECHO, Bytes, Peer, framed, serving

BOMB = gzip.compress(bytes(50 * 2**20))


def squeezed(message: bytes, compress: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    return b"\1" + framed(compress(message))[1:]


async def answer_to(data: bytes, encoding: str | None, **options: int) -> tuple[dict[str, str], bytes]:
    """What the server says to these bytes of a request, and the message it answers."""
    headers = {} if encoding is None else {"grpc-encoding": encoding}
    async with serving(Bytes(), **options) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO, headers=headers)
        peer.h2.send_data(stream, data, end_stream=True)
        peer.flush()
        return await peer.answer(stream), peer.body(stream)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_message_is_understood(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    answer, body = await answer_to(squeezed(b"hello", compress), encoding)
    assert (answer["grpc-status"], body) == ("0", framed(b"hello"))


@pytest.mark.parametrize("encoding", ["gzip", "identity", None])
async def test_a_message_that_is_not_compressed_passes_whatever_the_encoding(encoding: str | None) -> None:
    answer, body = await answer_to(framed(b"plain"), encoding)
    assert (answer["grpc-status"], body) == ("0", framed(b"plain"))


async def test_an_encoding_we_do_not_know_is_refused_with_those_we_do() -> None:
    answer, _ = await answer_to(squeezed(b"hello"), "snappy")
    assert answer["grpc-status"] == "12"
    assert answer["grpc-accept-encoding"] == "identity,deflate,gzip"
    assert answer["grpc-message"] == (
        "grpc-encoding 'snappy' is not supported; send one of identity,deflate,gzip"
    )


@pytest.mark.parametrize("encoding", [None, "identity"])
async def test_compressed_without_saying_how_is_an_error(encoding: str | None) -> None:
    answer, _ = await answer_to(squeezed(b"hello"), encoding)
    assert answer["grpc-status"] == "13"


@pytest.mark.parametrize(
    "broken", [b"\1" + framed(b"no gzip")[1:], squeezed(b"hello" * 99)[:-9]], ids=["other bytes", "cut off"]
)
async def test_what_is_not_compressed_so_is_an_error(broken: bytes) -> None:
    data = broken[:1] + (len(broken) - 5).to_bytes(4, "big") + broken[5:]
    answer, _ = await answer_to(data, "gzip")
    assert answer["grpc-status"] == "13"
    assert answer["grpc-message"].startswith("the message is not gzip")


async def test_a_message_that_would_be_above_the_limit_is_resource_exhausted() -> None:
    answer, _ = await answer_to(squeezed(bytes(1001)), "gzip", max_message_bytes=1000)
    assert answer["grpc-status"] == "8"
    assert answer["grpc-message"] == (
        "received message exceeds the limit of 1000 bytes once it is decompressed"
    )
    answer, body = await answer_to(squeezed(bytes(1000)), "gzip", max_message_bytes=1000)
    assert (answer["grpc-status"], len(body)) == ("0", 1005)


async def test_a_compressed_message_above_the_limit_is_refused_when_only_its_length_has_arrived() -> None:
    async with serving(Bytes(), max_message_bytes=1000) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO, headers={"grpc-encoding": "gzip"})
        peer.h2.send_data(stream, b"\1" + (1001).to_bytes(4, "big"))
        peer.flush()
        answer = await peer.answer(stream)
    assert answer["grpc-status"] == "8"
    assert answer["grpc-message"] == "received message of 1001 bytes exceeds the limit of 1000 bytes"


def test_a_bomb_is_not_blown_up() -> None:
    from grpclib.exceptions import GRPCError

    tracemalloc.start()
    try:
        with pytest.raises(GRPCError):
            decompressed(BOMB, "gzip", 2**20)
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()
