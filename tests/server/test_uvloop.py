"""Serving in uvloop's event loop, which `run_server` and `angzarr serve` use where it is installed."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from angzarr.client import ChannelConfig, ChannelStub
from angzarr.client.channel import Channel
from angzarr.messages import services, unpack
from angzarr.router import Router, command_handler, handles
from angzarr.server import GrpcServer, ServerOptions, server_tls
from angzarr.server.runners import run_blocking
from tests.bank.domain import Accounts
from tests.bank.messages import AccountOpened, OpenAccount
from tests.router.helpers import request

if TYPE_CHECKING:
    import ssl

CERTIFICATES = Path(__file__).parents[1] / "client" / "certificates"


def in_uvloop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    uvloop = pytest.importorskip("uvloop", reason="the extra is not installed")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def opened(channel: Channel) -> AccountOpened:
    stub = ChannelStub(channel, services.COMMAND_HANDLER)
    response = await stub.handle(request(OpenAccount(owner="alice")), timeout=30)
    await channel.aclose()
    return unpack(response.events.pages[0].event, AccountOpened)


@pytest.mark.parametrize("http2", ["lean", "light", "h2"])
@pytest.mark.parametrize("where", ["tcp", "unix", "tls"])
def test_a_router_is_served_and_drained(http2: Any, where: str, tmp_path: Path) -> None:
    router = Router("accounts").with_handler(Accounts, Accounts).build()
    secured = where == "tls"

    async def main() -> None:
        context: ssl.SSLContext | None = None
        if secured:
            context = server_tls(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
        config = ChannelConfig(root_certificates=CERTIFICATES / "ca.pem" if secured else None)
        async with GrpcServer([router], options=ServerOptions(http2=http2, linger=0.05)) as server:
            path = f"unix:{tmp_path}/s.sock" if where == "unix" else "127.0.0.1:0"
            address = await server.listen(path, ssl=context)
            assert (await opened(Channel(address, config))).owner == "alice"
        assert server.connections == 0

    in_uvloop(main)
    assert not (tmp_path / "s.sock").exists()


def test_calls_in_flight_are_answered_and_stuck_ones_cut_off() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    @command_handler(domain="account", state=dict)
    class Waiting:
        @handles(OpenAccount)
        async def open(self, command: OpenAccount) -> AccountOpened:
            entered.set()
            await release.wait()
            return AccountOpened(owner=command.owner)

    async def main() -> None:
        router = Router("waiting").with_handler(Waiting, Waiting).build()
        async with GrpcServer([router], options=ServerOptions(linger=0.05)) as server:
            call = asyncio.create_task(opened(Channel(await server.listen("127.0.0.1:0"))))
            await entered.wait()
            drain = asyncio.create_task(server.drain(5))
            await asyncio.sleep(0)
            release.set()
            assert (await call).owner == "alice"
            await drain

    in_uvloop(main)


def test_blocking_runners_use_it_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop", reason="the extra is not installed")
    loops: list[Any] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())

    run_blocking(main)
    assert isinstance(loops[0], uvloop.Loop)
