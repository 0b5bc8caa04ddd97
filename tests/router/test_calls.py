"""How methods are called: what may be left out, what is asked for by name, sync and async, in threads."""

import asyncio
import functools
import threading
from typing import Any

import anyio
import pytest
import structlog

from angzarr.messages import Cover, unpack_any
from angzarr.router import applies, command_handler, handles, projector
from tests.bank.messages import Account, CloseAccount, Deposit, Deposited, OpenAccount, Withdraw, Withdrawn
from tests.router.conftest import Dispatch
from tests.router.helpers import ROOT, book, command_router, projector_router, request


async def test_trailing_parameters_may_be_left_out(dispatch: Dispatch) -> None:
    seen: list[tuple[Any, ...]] = []

    @command_handler(domain="account", state=Account)
    class Short:
        @handles(Deposit)
        def deposit(self, command: Deposit, state: Account, sequence: int) -> None:
            seen.append((command, state, sequence))

        @handles(Withdraw)
        def withdraw(self, command: Withdraw, state: Account) -> None:
            seen.append((command, state))

        @handles(CloseAccount)
        def close(self, command: CloseAccount) -> None:
            seen.append((command,))

        @handles(OpenAccount)
        def open(self, *everything: Any) -> None:
            seen.append(everything)

    asked = request(
        Deposit(amount=1), Withdraw(), CloseAccount(), OpenAccount(owner="o"), after=book(start=3)
    )
    await dispatch(command_router(Short), asked)
    assert seen == [
        (Deposit(amount=1), Account(), 3),
        (Withdraw(), Account()),
        (CloseAccount(),),
        (OpenAccount(owner="o"), Account(), 3),
    ]


async def test_defaults_of_standard_parameters_are_overridden_and_others_kept(dispatch: Dispatch) -> None:
    seen: list[Any] = []

    @command_handler(domain="account", state=Account)
    class Defaults:
        @handles(Deposit)
        def deposit(
            self,
            command: Deposit,
            state: Account | None = None,
            sequence: int = -1,
            limit: int = 7,
            *,
            strict: bool = True,
            **more: Any,
        ) -> None:
            seen.append((state, sequence, limit, strict, more))

    await dispatch(command_router(Defaults), request(Deposit()))
    assert seen == [(Account(), 0, 7, True, {})]


async def test_command_handlers_may_ask_for_cover_and_correlation_id(dispatch: Dispatch) -> None:
    seen: list[Any] = []

    @command_handler(domain="account", state=Account)
    class Asking:
        @handles(Deposit)
        def deposit(self, command: Deposit, cover: Cover, state: Account, correlation_id: str) -> None:
            seen.append((cover.root.value, state, correlation_id))

        @handles(Withdraw)
        def withdraw(self, command: Withdraw, *, cover: Cover) -> None:
            seen.append(cover.domain)
            cover.domain = "changed by the handler"

    response = await dispatch(command_router(Asking), request(Deposit(), Withdraw()))
    assert seen == [(ROOT, Account(), "corr-1"), "account"]
    assert response.events.cover.domain == "account"


async def test_the_first_parameter_is_the_message_whatever_its_name(dispatch: Dispatch) -> None:
    seen: list[Any] = []

    @command_handler(domain="account", state=Account)
    class Naming:
        @handles(Deposit)
        def deposit(self, cover: Deposit) -> None:
            seen.append(cover)

    await dispatch(command_router(Naming), request(Deposit(amount=2)))
    assert seen == [Deposit(amount=2)]


async def test_static_and_class_methods_and_wrapped_ones_are_called(dispatch: Dispatch) -> None:
    def traced(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @command_handler(domain="account", state=Account)
    class Odd:
        @staticmethod
        @handles(Deposit)
        def deposit(command: Deposit, state: Account) -> Deposited:
            return Deposited(amount=command.amount)

        @classmethod
        @handles(Withdraw)
        def withdraw(cls, command: Withdraw) -> Withdrawn:
            return Withdrawn(amount=command.amount)

        @handles(CloseAccount)
        @traced
        async def close(self, command: CloseAccount, state: Account) -> Deposited:
            return Deposited(amount=3)

    response = await dispatch(
        command_router(Odd), request(Deposit(amount=1), Withdraw(amount=2), CloseAccount())
    )
    assert len(response.events.pages) == 3


async def test_a_decorator_may_stand_above_staticmethod_and_classmethod(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class Odd:
        @handles(Deposit)
        @staticmethod
        def deposit(command: Deposit, account: Account, correlation_id: str) -> Deposited:
            return Deposited(amount=account.balance + command.amount)

        @handles(Withdraw)
        @classmethod
        def withdraw(cls, command: Withdraw) -> Withdrawn:
            return Withdrawn(amount=command.amount)

        @applies(Deposited)
        @staticmethod
        def deposited(account: Account, event: Deposited) -> None:
            account.balance = event.amount

    response = await dispatch(command_router(Odd), request(Deposit(amount=1), Deposit(amount=2), Withdraw()))
    assert [unpack_any(page.event) for page in response.events.pages] == [
        Deposited(amount=1),
        Deposited(amount=3),
        Withdrawn(),
    ]


async def test_an_instance_of_a_subclass_is_called_by_its_own_methods(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class Base:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Any:
            raise AssertionError("overridden")

    class Double(Base):
        def deposit(self, command: Deposit) -> Any:
            return Deposited(amount=2 * command.amount)

    router = command_router((Base, Double))
    response = await dispatch(router, request(Deposit(amount=2)))
    assert Deposited.FromString(response.events.pages[0].event.value).amount == 4


def where(seen: list[Any]) -> type:
    """A handler that notes in which thread each of its methods runs."""

    @command_handler(domain="account", state=Account)
    class Where:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            seen.append((threading.current_thread() is main, structlog.contextvars.get_contextvars()))

        @handles(Withdraw)
        async def withdraw(self, command: Withdraw) -> None:
            seen.append((threading.current_thread() is main, structlog.contextvars.get_contextvars()))

    main = threading.current_thread()
    return Where


async def test_sync_handlers_run_on_the_loop_unless_told_otherwise(dispatch: Dispatch) -> None:
    seen: list[Any] = []
    await dispatch(command_router(where(seen)), request(Deposit(), Withdraw()))
    assert [on_loop for on_loop, _ in seen] == [True, True]


async def test_sync_handlers_can_run_in_worker_threads_with_the_same_context(dispatch: Dispatch) -> None:
    seen: list[Any] = []
    router = command_router(where(seen), run_sync_handlers_in_thread=True)
    await dispatch(router, request(Deposit(), Withdraw()))
    assert [on_loop for on_loop, _ in seen] == [False, True]
    assert seen[0][1] == {"domain": "account", "root": ROOT.hex(), "correlation_id": "corr-1"}


async def test_a_slow_sync_handler_in_a_thread_does_not_stall_the_loop() -> None:
    started, release = threading.Event(), threading.Event()

    @command_handler(domain="account", state=Account)
    class Slow:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            started.set()
            assert release.wait(10)
            return Deposited(amount=1)

    router = command_router(Slow, run_sync_handlers_in_thread=True)
    async with anyio.create_task_group() as group:
        group.start_soon(router.dispatch, request(Deposit()))
        while not started.is_set():
            await anyio.lowlevel.checkpoint()
        release.set()


async def test_the_context_variables_are_bound_around_the_handler_and_restored(dispatch: Dispatch) -> None:
    seen: list[Any] = []
    structlog.contextvars.bind_contextvars(domain="outer", request_id="r1")
    try:
        await dispatch(command_router(where(seen)), request(Withdraw()))
        after = structlog.contextvars.get_contextvars()
    finally:
        structlog.contextvars.clear_contextvars()
    assert seen[0][1] == {
        "domain": "account",
        "root": ROOT.hex(),
        "correlation_id": "corr-1",
        "request_id": "r1",
    }
    assert after == {"domain": "outer", "request_id": "r1"}


async def test_projectors_run_with_the_context_of_their_book() -> None:
    seen: list[Any] = []

    @projector(name="p", domains=["*"])
    class Noting:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    await projector_router(Noting).dispatch(book(Deposited()))
    assert seen == [{"domain": "account", "root": ROOT.hex(), "correlation_id": "corr-1"}]
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_cancelled_dispatch_restores_the_context_and_stays_cancelled(dispatch: Dispatch) -> None:
    entered = asyncio.Event()
    after: list[Any] = []

    @command_handler(domain="account", state=Account)
    class Waiting:
        @handles(Deposit)
        async def deposit(self, command: Deposit) -> None:
            entered.set()
            await asyncio.Event().wait()

    async def call() -> None:
        try:
            await dispatch(command_router(Waiting), request(Deposit()))
        finally:
            after.append(structlog.contextvars.get_contextvars())

    task = asyncio.create_task(call())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == [{}]


async def test_concurrent_dispatches_do_not_see_each_others_context(dispatch: Dispatch) -> None:
    seen: list[Any] = []
    both = asyncio.Barrier(2)

    @command_handler(domain="account", state=Account)
    class Meeting:
        @handles(Deposit)
        async def deposit(self, command: Deposit) -> None:
            await both.wait()
            seen.append(structlog.contextvars.get_contextvars()["correlation_id"])

    async def call(correlation_id: str) -> None:
        asked = request(Deposit())
        asked.command.cover.correlation_id = correlation_id
        await dispatch(router, asked)

    router = command_router(Meeting)
    async with anyio.create_task_group() as group:
        group.start_soon(call, "one")
        group.start_soon(call, "two")
    assert sorted(seen) == ["one", "two"]


async def test_an_awaitable_that_a_sync_method_returns_is_awaited(dispatch: Dispatch) -> None:
    async def later() -> Deposited:
        return Deposited(amount=5)

    @command_handler(domain="account", state=Account)
    class Returning:
        @handles(Withdraw)
        def withdraw(self, command: Withdraw) -> Any:
            return later()

    response = await dispatch(command_router(Returning), request(Withdraw()))
    assert len(response.events.pages) == 1
