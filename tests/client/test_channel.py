"""Clients over real connections: connecting, endpoints, closing, and channels of others."""

import asyncio
import gc
import uuid
from pathlib import Path
from typing import Any

import grpclib
import grpclib.client
import grpclib.events
import pytest
from grpclib.const import Status

from angzarr.client import (
    Channel,
    ChannelConfig,
    CommandHandlerClient,
    DomainClient,
    QueryClient,
    SagaClient,
    SpeculativeClient,
    TransportMode,
)
from angzarr.errors import (
    ConnectionError,
    GRPCError,
    InvalidArgumentError,
    OutcomeUnknownError,
    TransportError,
)
from angzarr.messages import (
    CommandRequest,
    Cover,
    EventBook,
    Query,
    SequenceRange,
)
from angzarr.messages.services import EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry
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


@pytest.mark.parametrize("client", [QueryClient, CommandHandlerClient, SpeculativeClient, SagaClient])
async def test_clients_of_every_kind_find_a_domain(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_UDS_BASE", str(tmp_path))
    async with (
        serving(QUERIES, path=str(tmp_path / "ch-player.sock")),
        client.for_domain("player", TransportMode.STANDALONE) as found,
    ):
        assert found.channel.endpoint.path == f"{tmp_path}/ch-player.sock"


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
        await client.get_event_book(Query(), timeout=30)
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
        async with asyncio.timeout(30):
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


def test_what_is_no_retry_policy_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        QueryClient.connect("localhost:1", "often")  # type: ignore[arg-type]
    assert raised.value.details["field"] == "retry"


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
