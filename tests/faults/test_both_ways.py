"""Exchanges whose two directions get in each other's way."""

import asyncio

import h2.events

from angzarr import codec
from angzarr.messages import Cover, Query
from tests.faults.clients import OK, client_of
from tests.faults.peers import BOOK, Peer


async def answering_each_message(peer: Peer) -> None:
    """Answer every message of one stream with a book, giving back what was read of the window only then."""
    message = codec.encode(BOOK)
    framed = b"\0" + len(message).to_bytes(4) + message
    body, begun = bytearray(), False
    while data := await peer.reader.read(65536):
        for event in peer.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                body += event.data
                peer.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if not begun:
                    begun = True
                    peer.h2.send_headers(event.stream_id, OK)
                while len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5]):
                    del body[: 5 + int.from_bytes(body[1:5])]
                    peer.h2.send_data(event.stream_id, framed)
            elif isinstance(event, h2.events.StreamEnded):
                peer.h2.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        await peer.flush()


async def test_queries_above_the_window_and_books_travel_at_the_same_time() -> None:
    queries = [Query(cover=Cover(domain="d" * 50_000)) for _ in range(40)]
    async with client_of(answering_each_message) as client, asyncio.timeout(60):
        books = [book async for book in client.query.synchronize(queries)]
    assert books == [BOOK] * 40
