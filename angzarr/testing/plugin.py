"""The pytest plugin: fixtures ``coordinator``, ``frozen_clock``, ``angzarr_server``; option ``--angzarr-replay``.

pytest loads it by its entry point in every run, so it imports nothing but pytest until a fixture is used. It works
with anyio's plugin, with pytest-asyncio and with pytest-xdist. Async tests need no marker and no configuration: those
that no other plugin runs, anyio's does. Beside pytest-asyncio these are the unmarked ones, unless its mode is auto.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from angzarr.testing.harness import Coordinators, FrozenClock, Servers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("angzarr").addoption(
        "--angzarr-replay",
        action="store_true",
        help="rebuild every aggregate of every embedded coordinator that a test closes, and compare it with its "
        "live state",
    )


def pytest_configure(config: pytest.Config) -> None:
    """With ``--angzarr-replay``, look at every coordinator that closes in this process."""
    if config.getoption("--angzarr-replay"):
        from angzarr.testing.replay import replay_at_close

        config.add_cleanup(replay_at_close())


_PLUGINS_FOR_ASYNC_TESTS = ("trio", "tornado", "twisted", "aiohttp")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    """Hand async tests to anyio's plugin, unless another one may want them."""
    if collector.istestfunction(obj, name):
        handle = getattr(obj, "hypothesis", None)
        is_async = inspect.iscoroutinefunction(obj if handle is None else handle.inner_test)
        if is_async and _nobody_else_runs(collector, obj):
            pytest.mark.usefixtures("anyio_backend")(obj)


def _nobody_else_runs(collector: pytest.Module | pytest.Class, test: Any) -> bool:
    plugins = collector.config.pluginmanager
    if not plugins.hasplugin("anyio") or any(map(plugins.hasplugin, _PLUGINS_FOR_ASYNC_TESTS)):
        return False
    return not plugins.hasplugin("asyncio") or not _is_for_pytest_asyncio(collector, test)


def _is_for_pytest_asyncio(collector: pytest.Module | pytest.Class, test: Any) -> bool:
    """Whether pytest-asyncio runs a test: all of them in its auto mode, else, as by default, those marked for it."""
    mode = collector.config.getoption("asyncio_mode", None) or collector.config.getini("asyncio_mode")
    marks = [*getattr(test, "pytestmark", ()), *collector.iter_markers()]
    return str(mode) == "auto" or any(mark.name == "asyncio" for mark in marks)


@pytest.fixture
def coordinator(request: pytest.FixtureRequest) -> "Coordinators":
    """Factory of coordinators in memory: ``async with coordinator(app) as running`` or ``await coordinator(app)``."""
    from angzarr.testing.harness import Coordinators

    made = Coordinators()
    _around_test(request, lambda: _closing(made.close))
    return made


@pytest.fixture
def angzarr_server(request: pytest.FixtureRequest) -> "Servers":
    """Factory of gRPC servers: ``async with angzarr_server(router) as address`` or ``await angzarr_server(router)``."""
    from angzarr.testing.harness import Servers

    made = Servers()
    _around_test(request, lambda: _closing(made.close))
    return made


@pytest.fixture
def frozen_clock(request: pytest.FixtureRequest) -> "FrozenClock":
    """A clock that ``now()`` obeys during the test, also in tasks; ``move_to`` and ``advance`` it."""
    from angzarr.messages import frozen
    from angzarr.testing.harness import FrozenClock

    clock = FrozenClock()

    @asynccontextmanager
    async def frozen_here() -> AsyncIterator[None]:
        with frozen(clock):
            yield

    _around_test(request, frozen_here, lambda: frozen(clock))
    return clock


@asynccontextmanager
async def _closing(close: Callable[[], Any]) -> AsyncIterator[None]:
    """Close within the test's own event loop, whoever's plugin runs it; a fixture's teardown would be outside."""
    try:
        yield
    finally:
        await close()


def _around_test(
    request: pytest.FixtureRequest,
    around: Callable[[], Any],
    around_sync: Callable[[], Any] | None = None,
) -> None:
    """Run the test inside a context manager: loops and context variables of the test are not those of its fixtures."""
    item = request.node
    function = getattr(item, "obj", None)
    hypothesis_handle = getattr(function, "hypothesis", None)
    if hypothesis_handle is not None:
        hypothesis_handle.inner_test = _wrapped(hypothesis_handle.inner_test, around, around_sync)
    elif function is not None:
        item.obj = _wrapped(function, around, around_sync)


def _wrapped(
    function: Callable[..., Any], around: Callable[[], Any], around_sync: Callable[[], Any] | None
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            async with around():
                return await function(*args, **kwargs)

        return wrapped
    if around_sync is None:
        return function

    @functools.wraps(function)
    def wrapped_sync(*args: Any, **kwargs: Any) -> Any:
        with around_sync():
            return function(*args, **kwargs)

    return wrapped_sync
