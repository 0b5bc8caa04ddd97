"""Clients over real connections: TCP, Unix sockets, TLS; connecting, closing, and what travels."""

import asyncio
import contextlib
import gc
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpclib
import grpclib.client
import grpclib.events
import pytest
from grpclib.const import Status

from angzarr import codec
from angzarr._gen.google.rpc import ErrorInfo, RetryInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.client import (
    Channel,
    ChannelConfig,
    CommandHandlerClient,
    DomainClient,
    QueryClient,
    SpeculativeClient,
    TransportMode,
)
from angzarr.client.calls import Method
from angzarr.errors import (
    ClientError,
    ConnectionError,
    GRPCError,
    InvalidArgumentError,
    OutcomeUnknownError,
    TransportError,
)
from angzarr.messages import (
    Any as PackedMessage,
)
from angzarr.messages import (
    CommandRequest,
    CommandResponse,
    Cover,
    EventBook,
    Query,
    SequenceRange,
)
from angzarr.messages.services import COMMAND_HANDLER_COORDINATOR, EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry, RetryPolicy
from tests.client.servers import Servicer, answering, free_port, serving

CERTIFICATES = Path(__file__).parent / "certificates"
CA = CERTIFICATES / "ca.pem"
ONCE = ExponentialBackoffRetry(max_attempts=1)
TWICE = ExponentialBackoffRetry(min_delay=0.001, max_attempts=2)


async def _echo(request: Any) -> EventBook:
    return EventBook(cover=request.cover, next_sequence=3)


QUERIES = Servicer(EVENT_QUERY, get_event_book=answering(_echo))


def failing(error: grpclib.GRPCError) -> Servicer:
    async def refuse(request: Any) -> Any:
        raise error

    return Servicer(
        EVENT_QUERY,
        get_event_book=answering(refuse),
    )


def refusing_commands(error: grpclib.GRPCError) -> Servicer:
    async def refuse(request: Any) -> Any:
        raise error

    return Servicer(COMMAND_HANDLER_COORDINATOR, handle_command=answering(refuse))


async def test_a_client_is_awaitable() -> None:
    async with serving(QUERIES) as endpoint:
        client = await QueryClient.connect(endpoint)
        book = await client.get_event_book(Query(cover=Cover(domain="player")))
        await client.close()
    assert book == EventBook(cover=Cover(domain="player"), next_sequence=3)


async def test_a_client_is_an_async_context_manager() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_an_awaited_client_is_one_too() -> None:
    async with serving(QUERIES) as endpoint:
        async with await QueryClient.connect(endpoint) as client:
            await client.get_event_book(Query())
        with pytest.raises(TransportError):
            await client.get_event_book(Query())


@pytest.mark.parametrize("form", ["{}", "unix:{}", "unix://{}"])
async def test_unix_sockets(tmp_path: Path, form: str) -> None:
    path = str(tmp_path / "ch.sock")
    async with serving(QUERIES, path=path), QueryClient.connect(form.format(path)) as client:
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_relative_unix_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with serving(QUERIES, path="ch.sock"):
        for endpoint in ("./ch.sock", "unix:ch.sock", "unix:./ch.sock"):
            async with QueryClient.connect(endpoint) as client:
                assert (await client.get_event_book(Query())).next_sequence == 3


async def test_http_is_plaintext() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(f"http://{endpoint}") as client:
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_for_domain_resolves_the_domains_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_UDS_BASE", str(tmp_path))
    async with (
        serving(QUERIES, path=str(tmp_path / "ch-player.sock")),
        DomainClient.for_domain("player", TransportMode.STANDALONE) as client,
    ):
        assert client.domain == "player"
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_connect_takes_the_domain_from_a_domains_endpoint(tmp_path: Path) -> None:
    path = str(tmp_path / "ch-player.sock")
    async with serving(QUERIES, path=path), DomainClient.connect(path) as client:
        assert client.domain == "player"
    async with DomainClient.connect("ch-table.angzarr.svc:1310", lazy=True) as client:
        assert client.domain == "table"
    async with DomainClient.connect("localhost:1310", lazy=True) as client:
        assert client.domain == ""


async def test_from_env_reads_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(QUERIES) as endpoint:
        monkeypatch.setenv("COORDINATOR", endpoint)
        async with QueryClient.from_env("COORDINATOR", "nowhere:1") as client:
            await client.get_event_book(Query())


@pytest.mark.parametrize("value", [None, ""])
async def test_from_env_falls_back_to_the_default(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("COORDINATOR", raising=False)
    else:
        monkeypatch.setenv("COORDINATOR", value)
    async with serving(QUERIES) as endpoint, DomainClient.from_env("COORDINATOR", endpoint) as client:
        await client.get_event_book(Query())


async def test_nobody_listening_is_a_connection_error_with_endpoint_and_cause() -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionError, match=r"^connection failed$") as raised:
        await QueryClient.connect(endpoint, ONCE)
    assert raised.value.code == "CONNECTION_FAILED"
    assert raised.value.details["endpoint"] == endpoint
    assert (
        "refused" in raised.value.details["cause"] or "Connect call failed" in raised.value.details["cause"]
    )
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.is_connection_error()


async def test_several_attempts_say_so() -> None:
    with pytest.raises(ConnectionError, match=r"^connection failed after max retries$") as raised:
        await QueryClient.connect(f"127.0.0.1:{free_port()}", TWICE)
    assert raised.value.code == "CONNECTION_FAILED_MAX_RETRIES"


@pytest.mark.parametrize("endpoint", ["/nowhere/ch.sock", "host.invalid:1310"])
async def test_a_missing_socket_and_an_unknown_host_are_connection_errors(endpoint: str) -> None:
    with pytest.raises(ConnectionError) as raised:
        await QueryClient.connect(endpoint, ONCE)
    assert raised.value.details["endpoint"] == endpoint


def test_a_bad_endpoint_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        QueryClient.connect("localhost")
    assert raised.value.code == "ENDPOINT_INVALID_URI"


async def test_a_connection_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Channel, "_create_connection", never)
    with pytest.raises(ConnectionError) as raised:
        await QueryClient.connect("localhost:1310", ONCE, config=ChannelConfig(connect_timeout=0.01))
    assert raised.value.details["cause"] == "no connection within 0.01 s"


async def test_lazy_connects_with_the_first_call() -> None:
    port = free_port()
    async with QueryClient.connect(f"127.0.0.1:{port}", ONCE, lazy=True) as client:
        with pytest.raises(ConnectionError):
            await client.get_event_book(Query())
        async with serving(QUERIES, port=port):
            await client.get_event_book(Query())


async def test_a_deadline_bounds_a_lazy_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Channel, "_create_connection", never)
    async with CommandHandlerClient.connect("localhost:1310", lazy=True) as client:
        with pytest.raises(GRPCError) as raised:
            await client.handle_command(CommandRequest(), timeout=0.01)
    assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED
    assert not isinstance(raised.value, OutcomeUnknownError)


async def test_a_closed_client_says_so() -> None:
    async with serving(QUERIES) as endpoint:
        client = await DomainClient.connect(endpoint, domain="player")
        await client.close()
        await client.close()
        for call in (
            client.get_event_book(Query()),
            client.send(SequenceRange(), root=uuid.uuid4()),
            client.get_events(Query()),
        ):
            with pytest.raises(TransportError) as raised:
                await call
            assert raised.value.is_connection_error()
            assert not isinstance(raised.value, OutcomeUnknownError)
            assert raised.value.details["cause"] == "the client is closed"


async def test_from_channel_leaves_the_channel_open() -> None:
    async with serving(QUERIES) as endpoint:
        channel = Channel(endpoint)
        client = QueryClient.from_channel(channel)
        await client.get_event_book(Query())
        await client.close()
        await QueryClient.from_channel(channel).get_event_book(Query())
        await channel.aclose()
        with pytest.raises(TransportError):
            await client.get_event_book(Query())


async def test_one_channel_serves_clients_of_every_kind() -> None:
    async with serving(QUERIES) as endpoint:
        channel = Channel(endpoint)
        for kind in (QueryClient, CommandHandlerClient, SpeculativeClient, DomainClient):
            kind.from_channel(channel)
        await DomainClient.from_channel(channel).get_event_book(Query())
        await channel.aclose()


async def test_a_client_takes_grpclibs_own_channel() -> None:
    async with serving(QUERIES) as endpoint:
        host, _, port = endpoint.partition(":")
        channel = grpclib.client.Channel(host, int(port))
        assert (await QueryClient.from_channel(channel).get_event_book(Query())).next_sequence == 3
        client = DomainClient(channel)
        await client.get_event_book(Query(), timeout=2)
        await client.close()
        with pytest.raises(TransportError):
            await client.get_event_book(Query())


async def test_listeners_of_grpclibs_own_channel_are_heard() -> None:
    seen: list[str] = []

    async def look(stream: Any) -> None:
        seen.append(stream.metadata["authorization"])
        await stream.recv_message()
        await stream.send_message(EventBook())

    async def authorize(event: grpclib.events.SendRequest) -> None:
        event.metadata["authorization"] = "Bearer x"

    async with serving(Servicer(EVENT_QUERY, get_event_book=look)) as endpoint:
        host, _, port = endpoint.partition(":")
        channel = grpclib.client.Channel(host, int(port))
        grpclib.events.listen(channel, grpclib.events.SendRequest, authorize)
        await QueryClient.from_channel(channel).get_event_book(Query())
        channel.close()
    assert seen == ["Bearer x"]


async def test_a_deadline_on_grpclibs_own_channel_leaves_the_cancellation_count_alone() -> None:
    async def sleep(request: Any) -> Any:
        await asyncio.sleep(5)

    async with serving(Servicer(EVENT_QUERY, get_event_book=answering(sleep))) as endpoint:
        host, _, port = endpoint.partition(":")
        channel = grpclib.client.Channel(host, int(port))
        async with asyncio.timeout(5):
            with pytest.raises(GRPCError) as raised:
                await QueryClient.from_channel(channel).get_event_book(Query(), timeout=0.05)
        channel.close()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED


async def test_nobody_listening_behind_grpclibs_own_channel_is_a_connection_error() -> None:
    channel = grpclib.client.Channel("127.0.0.1", free_port())
    client = QueryClient.from_channel(channel, retry=ONCE)
    with pytest.raises(ConnectionError):
        await client.get_event_book(Query())


async def test_unused_channels_leave_no_warning() -> None:
    Channel("localhost:1310")
    gc.collect()


async def test_a_dropped_client_warns_of_its_open_connection() -> None:
    async with serving(QUERIES) as endpoint:
        client = await QueryClient.connect(endpoint)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        clients = [client]
        del client
        with pytest.warns(ResourceWarning, match="Unclosed connection"):
            clients.clear()


def rich(code: Status, *details: Any) -> bytes:
    return codec.encode(RpcStatus(code=code.value, message="text", details=list(details)))


def packed(name: str, message: Any) -> PackedMessage:
    return PackedMessage(type_url=f"type.googleapis.com/google.rpc.{name}", value=codec.encode(message))


async def call_refused_with(error: grpclib.GRPCError) -> GRPCError:
    async with serving(failing(error)) as endpoint, QueryClient.connect(endpoint, ONCE) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    return raised.value


async def test_a_plain_status_travels() -> None:
    error = await call_refused_with(grpclib.GRPCError(Status.NOT_FOUND, "kein Konto für «alice»"))
    assert error.grpc_code is Status.NOT_FOUND
    assert error.grpc_details == "kein Konto für «alice»"
    assert (error.message, error.code, error.details) == ("grpc error", "GRPC_ERROR", {})
    assert error.status().status is Status.NOT_FOUND
    assert error.retry_delay is None
    assert error.current_events is None
    assert error.__cause__ is error.status()


async def test_code_and_details_travel_in_error_info() -> None:
    info = ErrorInfo(reason="VALUE_EMPTY", domain="angzarr", metadata={"field": "name"})
    status = Status.INVALID_ARGUMENT
    error = await call_refused_with(
        grpclib.GRPCError(status, "value must not be empty", rich(status, packed("ErrorInfo", info)))
    )
    assert error.is_invalid_argument()
    assert error.code == "VALUE_EMPTY"
    assert error.details == {"field": "name"}
    assert error.__notes__ == ["INVALID_ARGUMENT: value must not be empty [VALUE_EMPTY]"]


async def test_our_error_info_wins_over_a_foreign_one() -> None:
    foreign = ErrorInfo(reason="QUOTA", domain="googleapis.com")
    ours = ErrorInfo(reason="VALUE_EMPTY", domain="angzarr")
    status = Status.INVALID_ARGUMENT
    details = rich(
        status, packed("ErrorInfo", foreign), packed("Help", ErrorInfo()), packed("ErrorInfo", ours)
    )
    assert (await call_refused_with(grpclib.GRPCError(status, "", details))).code == "VALUE_EMPTY"


async def test_the_retry_delay_comes_from_retry_info() -> None:
    status = Status.RESOURCE_EXHAUSTED
    info = packed("RetryInfo", RetryInfo(retry_delay=timedelta(seconds=1.5)))
    error = await call_refused_with(grpclib.GRPCError(status, "busy", rich(status, info)))
    assert error.retry_delay == timedelta(seconds=1.5)


@pytest.mark.parametrize("status", [Status.FAILED_PRECONDITION, Status.ABORTED])
async def test_a_bare_event_book_in_the_details_is_the_current_events(status: Status) -> None:
    book = EventBook(cover=Cover(domain="player"), next_sequence=7)
    error = await call_refused_with(grpclib.GRPCError(status, "Sequence mismatch", codec.encode(book)))
    assert error.current_events == book
    assert error.code == "GRPC_ERROR"


@pytest.mark.parametrize("details", [b"\xff\xff", b"\x0a\x7f", b"\x08"])
async def test_details_nobody_can_read_do_not_hide_the_status(details: bytes) -> None:
    error = await call_refused_with(grpclib.GRPCError(Status.FAILED_PRECONDITION, "no", details))
    assert error.is_precondition_failed()
    assert error.current_events is None


async def test_trailing_metadata_is_on_the_error() -> None:
    async def refuse(stream: Any) -> None:
        await stream.recv_message()
        await stream.send_trailing_metadata(
            status=Status.ABORTED, metadata={"x-shard": "7", "x-raw-bin": b"\x00\x01"}
        )

    async with (
        serving(Servicer(EVENT_QUERY, get_event_book=refuse)) as endpoint,
        QueryClient.connect(endpoint) as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    assert raised.value.metadata["x-shard"] == "7"
    assert raised.value.metadata["x-raw-bin"] == b"\x00\x01"


@pytest.mark.parametrize(
    "status",
    [
        Status.INVALID_ARGUMENT,
        Status.FAILED_PRECONDITION,
        Status.NOT_FOUND,
        Status.DEADLINE_EXCEEDED,
        Status.INTERNAL,
    ],
)
async def test_other_statuses_than_unavailable_are_not_retried(status: Status) -> None:
    calls = 0

    async def refuse(request: Any) -> Any:
        nonlocal calls
        calls += 1
        raise grpclib.GRPCError(status, "no")

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(refuse))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, TWICE) as client:
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())
    assert calls == 1


async def test_an_unavailable_read_is_retried() -> None:
    calls = 0

    async def recover(request: Any) -> EventBook:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return EventBook(next_sequence=calls)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(recover))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, TWICE) as client:
        assert (await client.get_event_book(Query())).next_sequence == 2


async def test_an_unavailable_command_is_of_unknown_outcome_and_not_retried() -> None:
    servicer = refusing_commands(grpclib.GRPCError(Status.UNAVAILABLE, "starting"))
    async with serving(servicer) as endpoint, DomainClient.connect(endpoint, TWICE) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.command_handler.handle_command(CommandRequest())
    assert raised.value.grpc_code is Status.UNAVAILABLE
    assert raised.value.grpc_details == "starting"


async def test_retry_commands_retries_an_unavailable_command() -> None:
    calls = 0

    async def recover(request: Any) -> CommandResponse:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return CommandResponse()

    servicer = Servicer(COMMAND_HANDLER_COORDINATOR, handle_command=answering(recover))
    async with (
        serving(servicer) as endpoint,
        DomainClient.connect(endpoint, TWICE, retry_commands=True) as client,
    ):
        await client.command_handler.handle_command(CommandRequest())
    assert calls == 2


async def test_a_request_above_the_limit_is_not_sent() -> None:
    config = ChannelConfig(max_message_bytes=100)
    async with (
        serving(QUERIES) as endpoint,
        DomainClient.connect(endpoint, config=config, domain="player") as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(cover=Cover(domain="x" * 100)))
        assert raised.value.grpc_code is Status.RESOURCE_EXHAUSTED
        assert "104 bytes" in raised.value.grpc_details
        with pytest.raises(GRPCError) as raised:
            await client.send(Cover(domain="x" * 100), root="alice")
        assert not isinstance(raised.value, OutcomeUnknownError)


async def test_an_answer_above_the_limit_is_resource_exhausted() -> None:
    async def large(request: Any) -> EventBook:
        return EventBook(cover=Cover(domain="x" * 5_000_000))

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(large))
    async with serving(servicer) as endpoint:
        async with QueryClient.connect(endpoint, config=ChannelConfig(max_message_bytes=1000)) as client:
            with pytest.raises(GRPCError) as raised:
                await client.get_event_book(Query())
        assert raised.value.grpc_code is Status.RESOURCE_EXHAUSTED
        assert "1000" in raised.value.grpc_details
        async with QueryClient.connect(endpoint) as client:
            assert len((await client.get_event_book(Query())).cover.domain) == 5_000_000


async def test_the_limit_is_ten_mebibytes() -> None:
    async def echo(request: Any) -> EventBook:
        return EventBook(cover=request.cover)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(echo))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint) as client:
        largest = Query(cover=Cover(domain="x" * (10 * 2**20 - 10)))
        assert (await client.get_event_book(largest)).cover == largest.cover
        with pytest.raises(GRPCError):
            await client.get_event_book(Query(cover=Cover(domain="x" * (10 * 2**20))))


async def test_what_is_no_request_is_refused() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        with pytest.raises(InvalidArgumentError, match="invalid argument"):
            await client._calls.read(
                Method.of(EVENT_QUERY, "GetEventBook", EventBook), client._stub, Cover(), "", None
            )


async def test_a_field_that_cannot_be_encoded_is_named() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        with pytest.raises(ClientError) as raised:
            await client.get_event_book(Query(range=SequenceRange(lower=-1)))
    assert raised.value.is_invalid_argument()


async def metadata_seen(config: ChannelConfig, calls: int = 1) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []

    async def look(stream: Any) -> None:
        seen.append(dict(stream.metadata))
        await stream.recv_message()
        await stream.send_message(EventBook())

    async with (
        serving(Servicer(EVENT_QUERY, get_event_book=look)) as endpoint,
        QueryClient.connect(endpoint, config=config) as client,
    ):
        for _ in range(calls):
            await client.get_event_book(Query(cover=Cover(correlation_id="corr")))
    return seen


async def test_metadata_of_the_channel_goes_with_every_call() -> None:
    config = ChannelConfig(metadata={"authorization": "Bearer x", "trace-bin": b"\x00\xff"})
    assert await metadata_seen(config) == [
        {"authorization": "Bearer x", "trace-bin": b"\x00\xff", "x-correlation-id": "corr"}
    ]


async def test_metadata_may_be_made_anew_for_each_call() -> None:
    tokens = iter(["one", "two"])

    async def token() -> list[tuple[str, str | bytes]]:
        return [("authorization", next(tokens))]

    seen = await metadata_seen(ChannelConfig(metadata=token), calls=2)
    assert [call["authorization"] for call in seen] == ["one", "two"]


async def test_metadata_that_cannot_be_sent_is_refused_before_the_call() -> None:
    async def bad() -> list[tuple[str, str | bytes]]:
        return [("Authorization", "x")]

    with pytest.raises(InvalidArgumentError) as raised:
        await metadata_seen(ChannelConfig(metadata=bad))
    assert raised.value.details["field"] == "metadata"


async def test_the_channels_timeout_is_the_default_of_its_calls() -> None:
    async def sleep(request: Any) -> Any:
        await asyncio.sleep(5)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(sleep))
    async with (
        serving(servicer) as endpoint,
        QueryClient.connect(endpoint, config=ChannelConfig(timeout=0.05)) as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED


def server_context(*, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context.set_alpn_protocols(["h2"])
    if mutual:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def secured(*, mutual: bool = False) -> AsyncIterator[str]:
    async with serving(QUERIES, ssl=server_context(mutual=mutual)) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    "roots", [CA, str(CA), CA.read_bytes(), CA.read_text()], ids=["path", "str", "pem", "text"]
)
async def test_tls_with_own_roots(roots: Any) -> None:
    config = ChannelConfig(root_certificates=roots)
    async with secured() as endpoint:
        for form in (endpoint, f"https://{endpoint}"):
            async with QueryClient.connect(form, ONCE, config=config) as client:
                assert (await client.get_event_book(Query())).next_sequence == 3


async def test_https_trusts_the_systems_roots_only() -> None:
    retried: list[int] = []
    policy = ExponentialBackoffRetry(min_delay=0.001, on_retry=lambda index, error: retried.append(index))
    async with secured() as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(f"https://{endpoint}", policy)
    assert raised.value.code == "CONNECTION_FAILED"
    assert "CERTIFICATE_VERIFY_FAILED" in raised.value.details["cause"]
    assert retried == []


async def test_another_authority_is_not_trusted() -> None:
    config = ChannelConfig(root_certificates=CERTIFICATES / "stranger.pem")
    async with secured() as endpoint:
        with pytest.raises(ConnectionError, match="connection failed"):
            await QueryClient.connect(endpoint, ONCE, config=config)


async def test_the_certificate_must_carry_the_name_called() -> None:
    async with secured() as endpoint:
        wrong = ChannelConfig(root_certificates=CA, authority="elsewhere.test")
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, ONCE, config=wrong)
        assert "elsewhere.test" in raised.value.details["cause"]
        right = ChannelConfig(root_certificates=CA, authority="coordinator.test:443")
        async with QueryClient.connect(endpoint, ONCE, config=right) as client:
            await client.get_event_book(Query())


async def test_mutual_tls() -> None:
    config = ChannelConfig(
        root_certificates=CA,
        certificate_chain=CERTIFICATES / "client.pem",
        private_key=(CERTIFICATES / "client.key").read_bytes(),
    )
    async with secured(mutual=True) as endpoint:
        async with QueryClient.connect(endpoint, ONCE, config=config) as client:
            await client.get_event_book(Query())
        anonymous = ChannelConfig(root_certificates=CA)
        with pytest.raises(ClientError) as raised:
            async with QueryClient.connect(endpoint, ONCE, config=anonymous) as client:
                await client.get_event_book(Query())
        assert raised.value.is_connection_error()


async def test_plaintext_to_a_tls_server_is_a_connection_error() -> None:
    async with secured() as endpoint, QueryClient.connect(endpoint, ONCE) as client:
        with pytest.raises(ClientError) as raised:
            await client.get_event_book(Query(), timeout=2)
    assert raised.value.is_connection_error()


async def test_the_authority_is_what_calls_name() -> None:
    async with secured() as endpoint:
        channel = Channel(endpoint, ChannelConfig(root_certificates=CA, authority="coordinator.test"))
        assert channel._authority == "coordinator.test"
        assert Channel(endpoint)._authority == endpoint


async def test_certificates_do_not_go_with_http() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Channel("http://localhost:1", ChannelConfig(root_certificates=CA))
    assert raised.value.details["field"] == "root_certificates"


def test_certificates_for_http_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        QueryClient.connect("http://localhost:1", config=ChannelConfig(root_certificates=CA))
    assert raised.value.details["field"] == "root_certificates"


def test_what_is_no_retry_policy_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        QueryClient.connect("localhost:1", "often")  # type: ignore[arg-type]
    assert raised.value.details["field"] == "retry"


async def test_a_policy_of_ones_own_retries_reads() -> None:
    class Stubborn(RetryPolicy):
        async def execute(self, operation: Any, *, deadline: float | None = None) -> Any:
            for _ in range(3):
                with contextlib.suppress(GRPCError):
                    return await operation()
            return await operation()

    calls = 0

    async def recover(request: Any) -> EventBook:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return EventBook(next_sequence=calls)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(recover))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, Stubborn(), lazy=True) as client:
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_a_domain_client_may_be_told_its_domain() -> None:
    async with serving(QUERIES) as endpoint:
        channel = Channel(endpoint)
        assert DomainClient.from_channel(channel, domain="player").domain == "player"
        async with DomainClient.from_env("NOT_SET_ANYWHERE", endpoint, domain="table") as client:
            assert client.domain == "table"
        await channel.aclose()


async def test_a_channel_that_was_never_made_leaves_no_trace() -> None:
    with pytest.raises(InvalidArgumentError):
        Channel("nowhere")
    gc.collect()


async def test_a_policy_written_for_the_reference_client_needs_no_deadline() -> None:
    class Once(RetryPolicy):
        async def execute(self, operation: Any) -> Any:  # type: ignore[override]
            return await operation()

    servicer = failing(grpclib.GRPCError(Status.UNAVAILABLE, "down"))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, Once()) as client:
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())
