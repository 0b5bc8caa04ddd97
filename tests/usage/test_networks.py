"""The code of the documentation's pages about connections, failures and interceptors, and that it works."""

import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from angzarr import (
    BreakerConfig,
    Call,
    ChannelConfig,
    ClientError,
    CorrelationInterceptor,
    DomainClient,
    EmbeddedCoordinator,
    ExponentialBackoffRetry,
    GRPCError,
    LoggingInterceptor,
    OutcomeUnknownError,
    Proceed,
    Query,
    QueryClient,
    events_of,
)
from angzarr.messages.services import EVENT_QUERY
from angzarr.telemetry import TelemetryInterceptor
from tests.client.servers import Servicer, answering, free_port, serving
from tests.faults.clients import killed
from tests.faults.peers import BOOK, scripted
from tests.faults.peers import answering as answering_peer

CERTIFICATES = Path(__file__).parents[1] / "client" / "certificates"


@pytest.fixture
async def endpoint(players: ModuleType) -> AsyncIterator[str]:
    """A coordinator of the README's application on a TCP port."""
    async with EmbeddedCoordinator(players.app, tcp="127.0.0.1:0") as coordinator:
        yield coordinator.addresses[0]


@pytest.fixture
async def tls_endpoint() -> AsyncIterator[str]:
    """A server that wants certificates from its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERTIFICATES / "ca.pem")
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_REQUIRED

    async def book(request: Any) -> Any:
        return BOOK

    async with serving(Servicer(EVENT_QUERY, get_event_book=answering(book)), ssl=context) as endpoint:
        yield endpoint


async def test_mutual_tls(tls_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CERTIFICATES)
    # --8<-- [start:tls]
    config = ChannelConfig(
        root_certificates="ca.pem",  # whom to trust; a path, or the PEM itself as text or bytes
        certificate_chain="client.pem",  # who we are, for servers that ask
        private_key="client.key",
        authority="localhost",  # the name in the server's certificate, where it is not the endpoint's
    )
    async with QueryClient.connect(tls_endpoint, config=config) as client:
        book = await client.get_event_book(Query())
    # --8<-- [end:tls]
    assert book == BOOK


async def test_silence(endpoint: str, players: ModuleType) -> None:
    alice = uuid.uuid4()
    # --8<-- [start:silence]
    config = ChannelConfig(
        timeout=30.0,  # seconds for a call that states none of its own, all its attempts together
        connect_timeout=3.0,  # for one attempt to connect: TCP, TLS and the server's first word
        keepalive_time=300.0,  # ping after so much silence even without calls; ask what the server allows
        keepalive_timeout=10.0,  # how long the answer to a ping may take
    )
    async with DomainClient.connect(endpoint, domain="player", config=config) as player:
        await player.send(players.RegisterPlayer(name="alice"), root=alice)
        await player.send(players.DepositFunds(amount=50), root=alice, timeout=20.0)
    # --8<-- [end:silence]


async def test_tokens(endpoint: str, players: ModuleType) -> None:
    fetched = 0

    async def current_token() -> str:
        nonlocal fetched
        fetched += 1
        return "secret"

    # --8<-- [start:tokens]
    async def credentials() -> list[tuple[str, str | bytes]]:
        return [("authorization", f"Bearer {await current_token()}")]

    config = ChannelConfig(metadata=credentials)
    async with DomainClient.connect(endpoint, domain="player", config=config) as player:
        await player.send(players.RegisterPlayer(name="alice"), root="alice")
    # --8<-- [end:tokens]
    assert fetched == 1


async def test_balancing(endpoint: str, players: ModuleType) -> None:
    service = endpoint.replace("127.0.0.1", "localhost")
    # --8<-- [start:balancing]
    config = ChannelConfig(balancing="round_robin")
    async with DomainClient.connect(service, domain="player", config=config) as player:
        await player.send(players.RegisterPlayer(name="alice"), root="alice")
    # --8<-- [end:balancing]


async def test_one_channel(endpoint: str) -> None:
    # --8<-- [start:channel]
    async with DomainClient.connect(endpoint, domain="player") as player:
        assert player.channel is not None
        everything = QueryClient.from_channel(player.channel)  # closing it leaves the channel open
        roots = [root async for root in everything.get_aggregate_roots()]
    # --8<-- [end:channel]
    assert roots == []


@pytest.mark.parametrize("http2", ["lean", "h2"])
async def test_http2(endpoint: str, players: ModuleType, http2: Any) -> None:
    async with DomainClient.connect(endpoint, domain="player", config=ChannelConfig(http2=http2)) as player:
        response = await player.send(players.RegisterPlayer(name="alice"), root="alice")
    assert len(events_of(response)) == 1


async def test_retries() -> None:
    async with scripted(killed, answering_peer) as endpoint:
        failures: list[str] = []
        # --8<-- [start:retries]
        policy = ExponentialBackoffRetry(
            min_delay=0.1,
            max_delay=2.0,
            max_attempts=5,
            on_retry=lambda attempt, error: failures.append(f"{attempt}: {error}"),
        )
        async with QueryClient.connect(endpoint, policy) as client:
            book = await client.get_event_book(Query(), timeout=10.0)
        # --8<-- [end:retries]
    assert book == BOOK
    assert failures == ["0: transport error"]


async def test_unknown_outcomes(players: ModuleType) -> None:
    async with EmbeddedCoordinator(players.app) as coordinator:
        player = coordinator.client("player")
        alice = uuid.uuid4()
        outcome = await registered(player, players.RegisterPlayer(name="alice"), alice)
        again = await registered(player, players.RegisterPlayer(name="alice"), alice)
    assert (outcome, again) == ("registered", "refused: PLAYER_EXISTS")
    async with (
        scripted(killed, answering_peer) as endpoint,
        DomainClient.connect(endpoint, domain="player") as client,
    ):
        outcome = await registered(client, players.RegisterPlayer(name="bob"), alice)
        assert outcome == "registered after all"
    async with DomainClient.connect(f"127.0.0.1:{free_port()}", domain="player", lazy=True) as client:
        client.command_handler.channel.close()  # type: ignore[union-attr]
        assert await registered(client, players.RegisterPlayer(name="bob"), alice) == "not sent"


# --8<-- [start:unknown]
async def registered(player: DomainClient, command: Any, root: uuid.UUID) -> str:
    try:
        await player.send(command, root=root)
    except OutcomeUnknownError:  # it was sent, and the answer is missing: look
        book = await player.query.query("player", root).get_event_book()
        return "registered after all" if book.next_sequence else "not registered"
    except GRPCError as error:  # the server's own word
        return f"refused: {error.code}"
    except ClientError:  # it never reached the server
        return "not sent"
    return "registered"


# --8<-- [end:unknown]


async def test_breaker() -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    # --8<-- [start:breaker]
    config = ChannelConfig(
        retry_budget=20,  # failures in a row, all calls together, before nothing is retried any more
        retry_budget_ratio=0.1,  # what each success gives back
        circuit_breaker=BreakerConfig(failures=5, reset_after=10.0),
    )
    # --8<-- [end:breaker]
    once = ExponentialBackoffRetry(max_attempts=1)
    codes: list[str] = []
    async with QueryClient.connect(endpoint, once, lazy=True, config=config) as client:
        for _ in range(6):
            with pytest.raises(ClientError) as raised:
                await client.get_event_book(Query())
            codes.append(raised.value.code)
    assert codes == ["CONNECTION_FAILED"] * 5 + ["CIRCUIT_OPEN"]


# --8<-- [start:interceptor]
class Tenant:
    """Names the tenant with every call; refuses the ones that have none."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        if not self._name:
            raise PermissionError(f"no tenant for {call.rpc.path}")
        call.metadata.append(("x-tenant", self._name))
        return await proceed(call)


# --8<-- [end:interceptor]


async def test_interceptors(endpoint: str, players: ModuleType) -> None:
    # --8<-- [start:interceptors]
    config = ChannelConfig(interceptors=[CorrelationInterceptor(), LoggingInterceptor(), Tenant("acme")])
    async with DomainClient.connect(endpoint, domain="player", config=config) as player:
        await player.send(players.RegisterPlayer(name="alice"), root="alice")
    # --8<-- [end:interceptors]
    nobody = ChannelConfig(interceptors=[Tenant("")])
    async with DomainClient.connect(endpoint, domain="player", config=nobody) as player:
        with pytest.raises(PermissionError, match="HandleCommand"):
            await player.send(players.RegisterPlayer(name="bob"), root="bob")


async def test_telemetry(endpoint: str, players: ModuleType) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # --8<-- [start:telemetry]
    config = ChannelConfig(interceptors=[TelemetryInterceptor(provider)])
    async with DomainClient.connect(endpoint, domain="player", config=config) as player:
        await player.send(players.RegisterPlayer(name="alice"), root="alice")
    # --8<-- [end:telemetry]
    [span] = exporter.get_finished_spans()
    assert span.name == "angzarr_client.proto.angzarr.CommandHandlerCoordinatorService/HandleCommand"
    provider.shutdown()
