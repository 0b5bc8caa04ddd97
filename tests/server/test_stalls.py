"""A handler that holds the event loop is named in the log."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from angzarr.router import command_handler, handles
from angzarr.router.grpc import CommandHandlerGrpc
from angzarr.server.stalls import code_of, naming_stalls
from tests.bank.domain import bank
from tests.bank.messages import Account, Deposit
from tests.router.helpers import command_router, request
from tests.server.peers import until
from tests.server.test_runners import call, channel_to, open_slowly, process


@command_handler(domain="account", state=Account)
class Busy:
    """Computes until it is told to stop, in a method of its own."""

    def __init__(self, enough: Callable[[], bool] = lambda: True) -> None:
        self._enough = enough

    @handles(Deposit)
    async def deposit(self, command: Deposit) -> None:
        self._compute()

    def _compute(self) -> None:
        end = time.monotonic() + 10
        while not self._enough() and time.monotonic() < end:
            pass


async def test_the_handler_is_named_while_it_blocks_and_once_it_has_let_go() -> None:
    with capture_logs() as logs:
        router = command_router((Busy, lambda: Busy(lambda: any("handler" in line for line in logs))))
        with naming_stalls(code_of([router]), limit=0.05):
            await router.dispatch(request(Deposit()))
            await until(lambda: len(logs) > 1)
    first, second = logs
    assert (first["event"], first["handler"], first["log_level"]) == (
        "handler_blocks_event_loop",
        "Busy.deposit",
        "warning",
    )
    assert __file__ in first["at"]
    assert "run_sync_handlers_in_thread" in first["remedy"]
    assert (second["event"], second["handler"]) == ("handler_blocked_event_loop", "Busy.deposit")
    assert second["seconds"] >= first["seconds"]


async def test_what_is_no_handler_is_not_named() -> None:
    with capture_logs() as logs, naming_stalls(code_of(bank()), limit=0.02):
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
        await asyncio.sleep(0.02)
    assert logs == []


async def test_without_handlers_nothing_is_watched() -> None:
    before = threading.active_count()
    with naming_stalls({}):
        assert threading.active_count() == before


def test_routers_and_their_adapters_have_code_and_other_services_have_none() -> None:
    router: Any = command_router(Busy)
    names = code_of([router])
    assert names == code_of([CommandHandlerGrpc(router)])
    assert {"Busy.deposit", "Busy._compute"} <= set(names.values())
    assert code_of([object()]) == {}


@pytest.mark.once
async def test_a_served_handler_that_blocks_is_named() -> None:
    async with (
        process("blocking", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started),
        channel_to(started["address"]) as channel,
    ):
        answer = asyncio.create_task(call(channel, open_slowly(1)))
        assert (await server.wait_for("handler_blocks_event_loop"))["handler"] == "Blocking.open"
        assert (await server.wait_for("handler_blocked_event_loop"))["seconds"] >= 1.2
        assert len((await answer).events.pages) == 1
