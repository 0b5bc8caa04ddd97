"""Servers that answer garbage, or not at all as gRPC does."""

import asyncio
from contextlib import suppress

import anyio
import h2.errors
import h2.events
import h2.exceptions
import pytest
from grpclib.const import Status

from angzarr.errors import ClientError, GRPCError, OutcomeUnknownError, TransportError
from angzarr.messages import EventBook, Query
from tests.faults.clients import (
    DONE,
    OK,
    QUICK,
    client_of,
    command,
    resetting,
    saying,
)
from tests.faults.peers import BOOK, Peer, Script


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (h2.errors.ErrorCodes.INTERNAL_ERROR, Status.INTERNAL),
        (h2.errors.ErrorCodes.CANCEL, Status.CANCELLED),
        (h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED),
        (h2.errors.ErrorCodes.INADEQUATE_SECURITY, Status.PERMISSION_DENIED),
    ],
)
async def test_a_reset_stream_is_a_status(code: h2.errors.ErrorCodes, status: Status) -> None:
    async with client_of(resetting(code), retry=QUICK) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
        assert raised.value.grpc_code is status
        assert code.name in raised.value.grpc_details
        with pytest.raises(OutcomeUnknownError):
            await command(client)


async def test_a_reset_leaves_the_cancellation_count_alone_inside_asyncio_timeout() -> None:
    async with client_of(resetting(h2.errors.ErrorCodes.INTERNAL_ERROR)) as client:
        async with asyncio.timeout(30):
            with pytest.raises(GRPCError):
                await client.get_event_book(Query())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(5)
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 100, bytes(range(256)) * 40]
)
async def test_garbage_after_a_good_beginning_is_a_transport_error(garbage: bytes) -> None:
    async def spit(peer: Peer) -> None:
        await peer.request()
        await peer.write(garbage)
        await peer.until_closed()

    async with client_of(spit) as client:
        with pytest.raises(TransportError) as raised:
            await client.get_event_book(Query(), timeout=30)
        assert "broke the protocol" in raised.value.details["cause"]
        with pytest.raises(OutcomeUnknownError):
            await command(client, timeout=30)


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        (saying([(":status", "503"), ("content-type", "text/html")], b"<h1>"), Status.UNAVAILABLE, "503"),
        (saying([(":status", "404")]), Status.UNIMPLEMENTED, "404"),
        (saying([(":status", "500")]), Status.UNKNOWN, "500"),
        (saying([(":status", "200"), ("content-type", "text/html")]), Status.UNKNOWN, "text/html"),
        (saying([(":status", "200")]), Status.UNKNOWN, "content-type"),
        (saying(OK, b"\0\0\0\0\0"), Status.UNKNOWN, "no grpc-status"),
        (saying(OK, b"\0\0\0\0\0", [("grpc-status", "many")]), Status.UNKNOWN, "'many'"),
        (saying(OK, b"\0\0\0\0\0", [("grpc-status", "99")]), Status.UNKNOWN, "'99'"),
        (saying(OK, b"", DONE), Status.INTERNAL, "no message"),
        (saying(OK, b"\0\0\0\0\x09abc", DONE), Status.INTERNAL, "cut off"),
        (saying(OK, b"\0\0", DONE), Status.INTERNAL, "cut off"),
        (saying(OK, b"\x01\0\0\0\x01a", DONE), Status.INTERNAL, "compressed"),
        (saying(OK, b"\0\0\0\0\x02\xff\xff", DONE), Status.INTERNAL, "not a "),
        (saying(OK, bytes(5) * 2, DONE), Status.INTERNAL, "more than one message"),
        (saying(OK, b"\0\x7f\xff\xff\xff", DONE), Status.RESOURCE_EXHAUSTED, "max_message_bytes"),
    ],
)
async def test_an_answer_that_is_not_one_is_a_status(script: Script, status: Status, text: str) -> None:
    async with client_of(script) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=30)
        assert raised.value.grpc_code is status
        assert text in raised.value.grpc_details
        with pytest.raises(OutcomeUnknownError):
            await command(client, timeout=30)


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    async def flood(peer: Peer) -> None:
        stream = await peer.request()
        peer.h2.send_headers(stream, OK)
        with suppress(h2.exceptions.ProtocolError):
            while True:
                peer.h2.send_data(stream, bytes(1000))
                await peer.flush()
                await asyncio.sleep(0)
                if peer.reader._buffer:  # type: ignore[attr-defined]
                    peer.h2.receive_data(await peer.reader.read(65536))
        await peer.until_closed()

    async with client_of(flood) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=30)
    assert "more than one message" in raised.value.grpc_details


@pytest.mark.parametrize("length", ["0", "7", "1000000000", "-1", "many"])
async def test_a_content_length_that_is_wrong_is_no_answer(length: str) -> None:
    async def lie(peer: Peer) -> None:
        peer.h2.config.validate_outbound_headers = False
        stream = await peer.request()
        peer.h2.send_headers(stream, [*OK, ("content-length", length)])
        peer.h2.send_data(stream, bytes(5))
        peer.h2.send_headers(stream, DONE, end_stream=True)
        await peer.flush()
        await peer.until_closed()

    async with client_of(lie) as client:
        with pytest.raises(ClientError):
            await client.get_event_book(Query(), timeout=30)


async def test_a_content_length_that_is_right_changes_nothing() -> None:
    async with client_of(saying([*OK, ("content-length", "5")], bytes(5), DONE)) as client:
        assert await client.get_event_book(Query(), timeout=30) == EventBook()


async def test_frames_of_an_unknown_type_are_ignored() -> None:
    async def odd(peer: Peer) -> None:
        stream = await peer.request()
        await peer.write(b"\x00\x00\x03\xbe\x00" + (0).to_bytes(4) + b"abc")
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(odd) as client:
        assert await client.get_event_book(Query()) == BOOK


async def test_an_informational_answer_before_the_real_one_is_ignored() -> None:
    async def hint(peer: Peer) -> None:
        stream = await peer.request()
        peer.h2.send_headers(stream, [(":status", "103")])
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(hint) as client:
        assert await client.get_event_book(Query()) == BOOK
