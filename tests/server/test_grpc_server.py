import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from angzarr.errors import ClientError, InvalidArgumentError
from angzarr.server.addresses import is_served
from tests.server.peers import CHAT, COUNT, ECHO, WAIT, Bytes, Peer, RawCodec, framed, server_of, serving


def channel(port: int) -> Channel:
    return Channel("127.0.0.1", port, codec=RawCodec())


async def echo(channel: Channel, message: bytes, **options: Any) -> bytes:
    reply = await UnaryUnaryMethod(channel, ECHO, bytes, bytes)(message, **options)
    assert isinstance(reply, bytes)
    return reply


async def test_a_unary_call_is_answered() -> None:
    async with serving(Bytes()) as (_, port), channel(port) as client:
        assert await echo(client, b"hello") == b"hello"


async def test_an_empty_message_is_a_message() -> None:
    async with serving(Bytes()) as (_, port), channel(port) as client:
        assert await echo(client, b"") == b""


async def test_a_stream_is_answered_message_by_message() -> None:
    async with serving(Bytes()) as (_, port), channel(port) as client:
        method = UnaryStreamMethod(client, COUNT, bytes, bytes)
        assert await method(b"3") == [b"3", b"2", b"1"]


async def test_messages_larger_than_the_window_pass_both_ways() -> None:
    large = os.urandom(6 * 2**20)
    async with serving(Bytes()) as (_, port), channel(port) as client:
        assert await echo(client, large) == large


async def test_a_status_travels_with_its_details() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request(ECHO, b"reject"))
    assert answer["grpc-status"] == "9"
    assert answer["grpc-message"] == "niet m%C3%B6glich"
    assert answer["grpc-status-details-bin"] == "CAk"


async def test_a_status_message_may_begin_and_end_with_spaces() -> None:
    class Spaced:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Spaced/Out": Handler(self._out, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _out(self, stream: Any) -> None:
            raise GRPCError(Status.ABORTED, "  two, one ")

    async with serving(Spaced()) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request("/test.Spaced/Out", b""))
    assert answer["grpc-message"] == "%20%20two, one%20"


async def test_an_unexpected_exception_becomes_the_status_the_server_was_told() -> None:
    async with serving(Bytes()) as (_, port), channel(port) as client:
        with pytest.raises(GRPCError) as caught:
            await echo(client, b"raise")
        assert (caught.value.status, caught.value.message) == (Status.INTERNAL, "RuntimeError")
        assert await echo(client, b"still serving") == b"still serving"


async def test_a_message_above_the_limit_is_refused_when_only_its_length_has_arrived() -> None:
    async with serving(Bytes(), max_message_bytes=1000) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO, end=False)
        peer.h2.send_data(stream, framed(b"x" * 1001)[:5])
        peer.flush()
        answer = await peer.answer(stream)
    assert answer["grpc-status"] == "8"
    assert answer["grpc-message"] == "received message of 1001 bytes exceeds the limit of 1000 bytes"


async def test_a_message_of_exactly_the_limit_passes() -> None:
    async with serving(Bytes(), max_message_bytes=1000) as (_, port), channel(port) as client:
        assert await echo(client, b"x" * 1000) == b"x" * 1000


async def test_an_answer_above_the_limit_is_resource_exhausted() -> None:
    async with serving(Bytes(), max_message_bytes=1000) as (_, port), channel(port) as client:
        with pytest.raises(GRPCError) as caught:
            await echo(client, b"grow 1001")
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert caught.value.message == "answer of 1001 bytes exceeds the limit of 1000 bytes"


@pytest.mark.parametrize(
    ("headers", "status", "http"),
    [
        ({":path": "/test.Bytes/Nothing"}, "12", "200"),
        ({":method": "GET"}, "12", "405"),
        ({"content-type": "application/json"}, "2", "415"),
        ({"content-type": "application/grpc+json"}, "2", "415"),
        ({"grpc-timeout": "soon"}, "3", "200"),
        ({"key-bin": "A"}, "3", "200"),
    ],
)
async def test_what_is_no_call_of_ours_is_answered_with_a_reason(
    headers: dict[str, str], status: str, http: str
) -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request(ECHO, b"", True, headers))
    assert (answer["grpc-status"], answer[":status"]) == (status, http)
    assert answer["grpc-message"]


async def test_a_request_without_a_path_is_answered() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        peer.h2.config.validate_outbound_headers = False
        peer.h2.send_headers(1, [(":method", "POST"), ("content-type", "application/grpc")], end_stream=True)
        peer.flush()
        assert (await peer.answer(1))["grpc-status"] == "12"


async def test_a_request_that_ends_within_its_message_is_an_error() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO, end=False)
        peer.h2.send_data(stream, framed(b"whole")[:7], end_stream=True)
        peer.flush()
        answer = await peer.answer(stream)
    assert answer["grpc-message"] == "the request ended in the middle of a message"


async def test_a_unary_call_without_a_message_is_an_error() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(ECHO, end=False)
        peer.h2.end_stream(stream)
        peer.flush()
        answer = await peer.answer(stream)
    assert (answer["grpc-status"], answer["grpc-message"]) == (
        "12",
        "/test.Bytes/Echo takes one message and got none",
    )


async def test_a_handler_that_answers_nothing_is_an_error() -> None:
    class Silent:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Silent/Say": Handler(self._say, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _say(self, stream: Any) -> None:
            await stream.recv_message()

    async with serving(Silent()) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request("/test.Silent/Say", b""))
    assert (answer["grpc-status"], answer["grpc-message"]) == (
        "13",
        "/test.Silent/Say returned without an answer",
    )


async def test_a_handler_that_awaits_something_cancelled_does_not_leave_its_caller_waiting() -> None:
    class Broken:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Broken/Break": Handler(self._break, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _break(self, stream: Any) -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async with serving(Broken()) as (_, port), await Peer.connect(port) as peer:
        assert (await peer.answer(peer.request("/test.Broken/Break", b"")))["grpc-status"] == "13"


async def test_a_passed_deadline_cancels_the_handler_and_is_told() -> None:
    service = Bytes()
    async with serving(service) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request(WAIT, b"", headers={"grpc-timeout": "20m"}))
    assert answer["grpc-status"] == "4"
    assert service.cancelled.is_set()


async def test_a_fired_deadline_leaves_the_handlers_own_timeouts_alone() -> None:
    seen: list[int] = []

    class Tidy:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/test.Tidy/Up": Handler(self._up, Cardinality.UNARY_UNARY, bytes, bytes)}

        async def _up(self, stream: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                async with asyncio.timeout(30):
                    await asyncio.sleep(0)
                task = asyncio.current_task()
                assert task is not None
                seen.append(task.cancelling())

    async with serving(Tidy()) as (_, port), await Peer.connect(port) as peer:
        answer = await peer.answer(peer.request("/test.Tidy/Up", b"", headers={"grpc-timeout": "10m"}))
    assert (answer["grpc-status"], seen) == ("4", [1])


async def test_a_call_the_client_resets_is_cancelled() -> None:
    service = Bytes()
    async with serving(service) as (server, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"")
        await service.started.wait()
        peer.h2.reset_stream(stream)
        peer.flush()
        await service.cancelled.wait()
        assert (await peer.answer(peer.request(ECHO, b"x")))["grpc-status"] == "0"
        assert server.calls_in_flight == 0


async def test_a_lost_connection_cancels_its_calls() -> None:
    service = Bytes()
    async with serving(service) as (_, port):
        async with await Peer.connect(port) as peer:
            peer.request(WAIT, b"")
            await service.started.wait()
        await service.cancelled.wait()


async def test_what_is_not_http2_ends_the_connection_and_nothing_else() -> None:
    async with (
        serving(Bytes()) as (_, port),
        await Peer.connect(port) as healthy,
        await Peer.connect(port) as peer,
    ):
        peer.write(b"\0\0\1\0\0\0\0\0\0x")  # data that belongs to no stream
        assert (await peer.goaway()).error_code != 0
        assert await peer.closed()
        assert (await healthy.answer(healthy.request(ECHO, b"x")))["grpc-status"] == "0"


async def test_a_frame_longer_than_agreed_is_refused_before_it_has_arrived() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        peer.write(b"\xff" * 20_000)
        assert (await peer.goaway()).error_code == 6


async def test_headers_that_are_not_ascii_end_the_connection_with_a_goaway() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        peer.request(ECHO, b"", headers={"note": "ä"})
        assert await peer.closed()
    async with serving(Bytes()) as (_, port), channel(port) as client:
        assert await echo(client, b"x") == b"x"


async def test_a_frame_of_an_unknown_type_is_ignored() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        peer.write(b"\0\0\4\xf0\0\0\0\0\0abcd")
        assert (await peer.answer(peer.request(ECHO, b"x")))["grpc-status"] == "0"


async def test_a_client_that_says_goodbye_still_gets_its_answer() -> None:
    service = Bytes()
    async with serving(service) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(WAIT, b"late")
        await service.started.wait()
        peer.write(b"\0\0\x08\7\0\0\0\0\0" + bytes(8))
        await asyncio.sleep(0)
        service.release.set()
        assert (await peer.answer(stream))["grpc-status"] == "0"
        assert peer.body(stream) == framed(b"late")


async def test_calls_above_the_limit_of_a_connection_are_refused_one_by_one() -> None:
    service = Bytes()
    async with serving(service, max_concurrent_streams=2) as (_, port), await Peer.connect(port) as peer:
        streams = [peer.request(WAIT, b"%d" % number) for number in range(3)]
        assert (await peer.answer(streams[2]))["reset"] == "7"
        service.release.set()
        assert [(await peer.answer(stream))["grpc-status"] for stream in streams[:2]] == ["0", "0"]


async def test_a_call_on_a_chat_is_answered_while_the_request_goes_on() -> None:
    async with serving(Bytes()) as (_, port), await Peer.connect(port) as peer:
        stream = peer.request(CHAT, b"one", end=False)
        await peer.read(lambda event: peer.body(stream) == framed(b"one") or _is_data(event))
        peer.h2.send_data(stream, framed(b"two"), end_stream=True)
        peer.flush()
        await peer.answer(stream)
        assert peer.body(stream) == framed(b"one") + framed(b"two")


def _is_data(event: Any) -> bool:
    return type(event).__name__ == "DataReceived"


async def test_two_services_that_claim_one_method_are_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match=r"two services claim /test\.Bytes/Echo"):
        server_of(Bytes(), Bytes())


async def test_the_services_served_are_listed() -> None:
    assert server_of(Bytes()).services == ("test.Bytes",)


async def test_every_interface_means_both_internet_protocols() -> None:
    async with server_of(Bytes()) as server:
        port = int((await server.listen("[::]:0")).rpartition(":")[2])
        async with Channel("127.0.0.1", port, codec=RawCodec()) as four:
            assert await echo(four, b"4") == b"4"
        async with Channel("::1", port, codec=RawCodec()) as six:
            assert await echo(six, b"6") == b"6"


async def test_one_server_listens_at_several_addresses(tmp_path: Path) -> None:
    async with server_of(Bytes()) as server:
        tcp = await server.listen("127.0.0.1:0")
        unix = await server.listen(f"unix:{tmp_path}/a.sock")
        assert server.addresses == (tcp, unix)
        async with Channel(path=f"{tmp_path}/a.sock", codec=RawCodec()) as client:
            assert await echo(client, b"x") == b"x"
    assert list(server.addresses) == []


async def test_a_socket_is_its_owners_alone_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.sock"
    async with server_of(Bytes()) as server:
        await server.listen(f"unix:{path}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    crashed = await asyncio.start_unix_server(lambda *_: None, path)
    os.link(path, tmp_path / "kept")
    crashed.close()
    await crashed.wait_closed()
    (tmp_path / "kept").rename(path)
    async with server_of(Bytes()) as server:
        await server.listen(str(path))
        assert await asyncio.to_thread(is_served, str(path))


async def test_the_socket_of_a_running_server_is_not_taken(tmp_path: Path) -> None:
    async with server_of(Bytes()) as first, server_of(Bytes()) as second:
        address = await first.listen(f"unix:{tmp_path}/a.sock")
        with pytest.raises(ClientError, match="another server listens there") as caught:
            await second.listen(address)
        assert caught.value.code == "BIND_FAILED"
        assert caught.value.details["endpoint"] == address


async def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("data")
    async with server_of(Bytes()) as server:
        with pytest.raises(ClientError, match="a file that is not a socket is in the way"):
            await server.listen(str(path))
    assert path.read_text() == "data"


async def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    async with server_of(Bytes()) as successor:
        async with server_of(Bytes()) as server:
            await server.listen(str(path))
            path.unlink()
            await successor.listen(str(path))
        assert path.exists()


async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    async with serving(Bytes()) as (_, port), server_of(Bytes()) as second:
        with pytest.raises(ClientError) as caught:
            await second.listen(f"127.0.0.1:{port}")
    assert caught.value.code == "BIND_FAILED"
    assert str(caught.value) == f"cannot listen on the address: 127.0.0.1:{port}: Address already in use"


async def test_a_stopped_server_breaks_the_connections_of_clients_that_stay() -> None:
    async with serving(Bytes(), linger=0.05) as (_, port), channel(port) as client:
        await echo(client, b"x")
        stream = client.request(WAIT, Cardinality.UNARY_UNARY, bytes, bytes)
    with pytest.raises((StreamTerminatedError, OSError)):
        async with stream:
            await stream.send_request()
