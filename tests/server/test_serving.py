import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from structlog.testing import capture_logs

from angzarr._gen.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse
from angzarr.app import App
from angzarr.codec import GrpcCodec
from angzarr.errors import ClientError, InvalidArgumentError
from angzarr.messages import services, unpack
from angzarr.messages.services import Rpc
from angzarr.router import Router, command_handler, handles, saga
from angzarr.server import CommandHandlerGrpc, ServerHandle, ServerOptions, create_server, serve, serving
from angzarr.server.readiness import TransportProbe
from angzarr.server.signals import StopSignals
from tests.bank.domain import Accounts, bank
from tests.bank.messages import AccountOpened, OpenAccount
from tests.router.helpers import book, request
from tests.server.apps import Slow, slow
from tests.server.peers import until

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"]
PACKAGE = "angzarr_client.proto.angzarr"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANGZARR_BIND_ADDRESS", "PORT", "TRANSPORT_TYPE", "ANGZARR_BUS_ENDPOINT", "UDS_BASE_PATH"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def served(*routers: Any, path: Path, **options: Any) -> AsyncIterator[Channel]:
    """`serve` on a socket, cancelled at the end."""
    task = asyncio.create_task(serve(*routers, address=f"unix:{path}", **options))
    await until(lambda: path.exists() or task.done())
    if task.done():
        task.result()
    async with Channel(path=str(path), codec=GrpcCodec()) as channel:
        yield channel
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def call(channel: Channel, rpc: Rpc, message: Any) -> Any:
    return await UnaryUnaryMethod(channel, rpc.path, rpc.request, rpc.response)(message)


async def health(channel: Channel, service: str) -> int:
    check = UnaryUnaryMethod(channel, "/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
    answer = await check(HealthCheckRequest(service=service))
    assert answer is not None
    return int(answer.status)


async def test_a_router_is_served(tmp_path: Path) -> None:
    async with served(bank()[0], path=tmp_path / "a.sock") as channel:
        response = await call(channel, HANDLE, request(OpenAccount(owner="alice")))
    assert unpack(response.events.pages[0].event, AccountOpened).owner == "alice"


async def test_routers_of_every_kind_share_one_server(tmp_path: Path) -> None:
    async with served(*bank(), path=tmp_path / "a.sock") as channel:
        assert await call(channel, HANDLE, request(OpenAccount(owner="alice")))
        projection = await call(channel, services.PROJECTOR.rpcs["Handle"], book(AccountOpened(owner="a")))
        assert projection.projector == "statements"


async def test_an_app_is_served_with_all_its_routers(tmp_path: Path) -> None:
    async with served(App("bank", routers=bank()), path=tmp_path / "a.sock") as channel:
        for name in ("CommandHandlerService", "SagaService", "ProcessManagerService", "UpcasterService"):
            assert await health(channel, f"{PACKAGE}.{name}") == 1


async def test_several_routers_of_one_kind_are_served_as_one(tmp_path: Path) -> None:
    async with served(bank()[0], slow(), path=tmp_path / "a.sock") as channel:
        for domain in ("account", "slow"):
            command = request(OpenAccount(owner=""))
            command.command.cover.domain = domain
            response = await call(channel, HANDLE, command)
            assert response.events.cover.domain == domain


async def test_routers_of_one_kind_whose_options_differ_are_an_error() -> None:
    other = Router("slow", run_sync_handlers_in_thread=True).with_handler(Slow, Slow).build()
    with pytest.raises(InvalidArgumentError, match="have different options"):
        await serve(bank()[0], other)


async def test_health_knows_the_server_its_services_by_both_names_and_the_name_asked_for(
    tmp_path: Path,
) -> None:
    async with served(bank()[0], path=tmp_path / "a.sock", health_service="player") as channel:
        for name in ("", "CommandHandlerService", f"{PACKAGE}.CommandHandlerService", "player"):
            assert await health(channel, name) == 1


async def test_the_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    async with served(bank()[0], path=tmp_path / "a.sock"):
        pass
    assert not (tmp_path / "a.sock").exists()


async def test_the_address_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSPORT_TYPE", "uds")
    monkeypatch.setenv("UDS_BASE_PATH", str(tmp_path))
    monkeypatch.setenv("DOMAIN", "account")
    task = asyncio.create_task(serve(bank()[0]))
    await until((tmp_path / "business-account.sock").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_start_and_end_are_logged(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with served(bank()[0], path=tmp_path / "a.sock") as channel:
            await health(channel, "")
    assert [entry["event"] for entry in logs if entry["event"].startswith("server_")] == [
        "server_started",
        "server_shutdown",
    ]
    assert logs[0]["address"] == f"unix:{tmp_path}/a.sock"


async def test_a_server_that_never_started_logs_no_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as logs, pytest.raises(ClientError):
        await serve(bank()[0], address=f"127.0.0.1:{taken.getsockname()[1]}")
    assert [entry for entry in logs if entry["event"].startswith("server_")] == []


async def test_nothing_to_serve_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="there is nothing to serve"):
        await serve()


async def test_a_router_that_was_not_built_is_an_error_with_the_remedy() -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be served: pass built routers"):
        await serve(Router("accounts").with_handler(Accounts, Accounts))


async def test_a_wrong_environment_is_an_error_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_READINESS_PROBE_INTERVAL", "often")
    with pytest.raises(InvalidArgumentError, match="ANGZARR_READINESS_PROBE_INTERVAL='often'"):
        await serve(bank()[0], address=f"unix:{tmp_path}/a.sock")
    assert not (tmp_path / "a.sock").exists()


@saga(name="waiting", source="account", target="table", sync=True)
class Waiting: ...


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("PORT", "http", "INVALID_PORT"),
        ("ANGZARR_MODE", "cloud", "INVALID_TRANSPORT_MODE"),
        ("ANGZARR_CH_PORT", "-1", "INVALID_PORT"),
        ("ANGZARR_READINESS_PROBE_INTERVAL", "0", "INVALID_ENVIRONMENT"),
        ("ANGZARR_READINESS_PROBE_TIMEOUT", "soon", "INVALID_ENVIRONMENT"),
        ("ANGZARR_GRPC_MESSAGE_SIZE_KB", "much", "INVALID_ENVIRONMENT"),
        ("ANGZARR_TLS_CERTIFICATE", "no.pem", "INVALID_ENVIRONMENT"),
    ],
)
async def test_every_wrong_variable_is_named_with_its_value_at_the_start(
    name: str, value: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_BIND_ADDRESS", "" if name == "PORT" else "127.0.0.1:0")
    monkeypatch.setenv(name, value)
    if name.startswith("ANGZARR_TLS"):
        monkeypatch.setenv("ANGZARR_TLS_KEY", "no.key")
    router = Router("waiting").with_handler(Waiting, Waiting).build()
    with pytest.raises(ClientError, match=name) as raised:
        await serve(router)
    assert raised.value.code == code
    assert (raised.value.details["env_var"], raised.value.details["input"]) == (name, value)
    assert value in raised.value.message


async def test_the_message_limit_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_GRPC_MESSAGE_SIZE_KB", "1")
    async with served(bank()[0], path=tmp_path / "a.sock") as channel:
        with pytest.raises(Exception, match="exceeds the limit of 1024 bytes"):
            await call(channel, HANDLE, request(OpenAccount(owner="a" * 2000)))


async def test_a_server_that_is_created_is_not_started_and_not_ready() -> None:
    handle = create_server([bank()[0]], "player", address="127.0.0.1:0")
    assert isinstance(handle, ServerHandle)
    assert handle.address == "127.0.0.1:0"
    assert handle.server.addresses == ()
    assert not handle.transport_signal.is_bound()
    assert {name: int(handle.health_servicer.status(name)) for name in handle.health_servicer.names} == {
        "": 2,
        f"{PACKAGE}.CommandHandlerService": 2,
        "CommandHandlerService": 2,
        "player": 2,
    }


async def test_a_created_server_listens_where_the_environment_says() -> None:
    assert create_server([bank()[0]]).address == "[::]:50052"


async def test_a_created_server_can_be_started_called_and_stopped() -> None:
    handle = create_server(bank()[0], address="127.0.0.1:0", options=ServerOptions(linger=0.05))
    await handle.start()
    assert handle.transport_signal.is_bound()
    port = int(handle.server.addresses[0].rpartition(":")[2])
    async with Channel("127.0.0.1", port, codec=GrpcCodec()) as channel:
        assert await call(channel, HANDLE, request(OpenAccount(owner="alice")))
        await handle.stop(grace=1.0)
    await handle.wait_for_termination()


async def test_a_created_server_is_started_and_stopped_as_grpcios_are() -> None:
    handle = create_server(slow(), address="127.0.0.1:0")
    await handle.server.start()
    port = int(handle.server.addresses[0].rpartition(":")[2])
    async with Channel("127.0.0.1", port, codec=GrpcCodec()) as channel:
        assert await health(channel, "CommandHandlerService") == 2
    await handle.server.stop(0.1)
    await handle.server.wait_for_termination()
    assert handle.server.addresses == ()


async def test_health_flips_before_the_port_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "NOTICE", 3600.0)
    handle = create_server(slow(), address="127.0.0.1:0", options=ServerOptions(grace=3600.0))
    await handle.start()
    await handle.health_servicer.set("", 1)
    stopping = asyncio.create_task(serving._stop(handle, StopSignals()))
    await until(lambda: int(handle.health_servicer.status()) == 2)
    port = int(handle.server.addresses[0].rpartition(":")[2])
    async with Channel("127.0.0.1", port, codec=GrpcCodec()) as newcomer:
        assert await health(newcomer, "") == 2
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await handle.stop(0)


@pytest.mark.parametrize("add_servicer", [None, CommandHandlerGrpc])
async def test_the_reference_clients_form_of_create_server_works(add_servicer: Any) -> None:
    handle = create_server(add_servicer, bank()[0], "player")
    assert f"{PACKAGE}.CommandHandlerService" in handle.server.services
    assert "player" in handle.health_servicer.names


async def test_readiness_needs_the_coordinators_of_sync_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "standalone")
    handle = create_server([bank()[0]])
    assert [type(probe) for probe in handle.probes] == [TransportProbe]

    class Sending:
        def __mapping__(self) -> Any:
            return bank()[1].__mapping__()

        def sync_output_domains(self) -> list[str]:
            return ["table"]

        def has_async_outputs(self) -> bool:
            return True

    monkeypatch.setenv("ANGZARR_BUS_ENDPOINT", "kafka:9092")
    assert [probe.name for probe in create_server([Sending()]).probes] == ["transport", "table", "bus"]


async def test_a_server_whose_needs_are_not_met_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_BUS_ENDPOINT", f"{tmp_path}/no-such-bus.sock")
    async with served(bank()[1], path=tmp_path / "a.sock") as channel:
        assert await health(channel, "") == 2


async def test_a_slow_command_in_flight_is_answered_when_the_server_is_stopped(tmp_path: Path) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @command_handler(domain="slow", state=dict)
    class Waiting:
        @handles(OpenAccount)
        async def open(self, command: OpenAccount, state: dict[str, Any]) -> AccountOpened:
            begun.set()
            await release.wait()
            return AccountOpened(owner=command.owner)

    path = tmp_path / "a.sock"
    router = Router("slow").with_handler(Waiting, Waiting).build()
    task = asyncio.create_task(serve(router, address=str(path)))
    await until(path.exists)
    async with Channel(path=str(path), codec=GrpcCodec()) as channel:
        command = request(OpenAccount(owner="abc"))
        command.command.cover.domain = "slow"
        answer = asyncio.create_task(call(channel, HANDLE, command))
        await begun.wait()
        task.cancel()
        release.set()
        assert unpack((await answer).events.pages[0].event, AccountOpened).owner == "abc"
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_address_in_use_is_an_error(tmp_path: Path) -> None:
    async with served(bank()[0], path=tmp_path / "a.sock"):
        with pytest.raises(ClientError, match="another server listens there"):
            await serve(bank()[0], address=f"unix:{tmp_path}/a.sock")
