"""What the pytest plugin's fixtures hand to tests: coordinators, servers, a clock."""

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any as AnyValue

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.errors import InvalidArgumentError
from angzarr.server.grpc_server import GrpcServer
from angzarr.testing.scenarios import DEFAULT_AT


class FrozenClock:
    """The clock of a test: ``now()`` answers what it shows, until it is moved.

    Args:
        at: what it shows at first.
    """

    def __init__(self, at: datetime = DEFAULT_AT) -> None:
        self._at = at

    def __call__(self) -> datetime:
        """What it shows."""
        return self._at

    @property
    def now(self) -> datetime:
        """What it shows."""
        return self._at

    def move_to(self, at: datetime) -> None:
        """Show another time.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, ``at`` has no time zone.
        """
        if at.tzinfo is None:
            raise InvalidArgumentError(
                "frozen_clock.move_to() needs an aware datetime", details={"field": "at"}
            )
        self._at = at.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Show a later time, or an earlier one if ``by`` is negative."""
        self._at += by


class Coordinators:
    """Factory of running coordinators; those that were awaited are closed when the test ends."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    def __call__(self, app: AnyValue, **options: AnyValue) -> "Opening":
        """A coordinator for an application: ``async with`` it, or await it and let the test's end close it.

        Args:
            app: an App, or a router or handler class, which becomes an App of its own.
            options: as for EmbeddedCoordinator (``store``, ``uds_base``, ``tcp``, ``handlers``, ``config``, …).
        """
        return Opening(self._stack, lambda: EmbeddedCoordinator(_app_of(app), **options))

    async def close(self) -> None:
        """Close what was awaited, the last one first."""
        await self._stack.aclose()


class Opening:
    """Something that opens when it is entered or awaited."""

    def __init__(self, stack: AsyncExitStack, make: Callable[[], AnyValue]) -> None:
        self._stack = stack
        self._make = make
        self._entered: AnyValue = None

    def __await__(self) -> Generator[AnyValue, None, AnyValue]:
        return self._stack.enter_async_context(self._make()).__await__()

    async def __aenter__(self) -> AnyValue:
        self._entered = self._make()
        return await self._entered.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        suppressed: bool | None = await self._entered.__aexit__(kind, error, trace)
        return suppressed


class Servers:
    """Factory of business servers on free ports; those that were awaited are stopped when the test ends."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    def __call__(self, *routers_or_app: AnyValue, address: str = "127.0.0.1:0") -> Opening:
        """A gRPC server of routers, as a production coordinator calls it: entering or awaiting it gives its address.

        Args:
            routers_or_app: built routers, handler classes, or one App.
            address: where to listen; by default a free port of this machine.
        """
        return Opening(self._stack, lambda: self._serving(_routers_of(routers_or_app), address))

    @asynccontextmanager
    async def _serving(self, routers: list[AnyValue], address: str) -> AsyncIterator[str]:
        async with GrpcServer(routers) as server:
            yield await server.listen(address)

    async def close(self) -> None:
        """Stop what was awaited, the last one first."""
        await self._stack.aclose()


def _app_of(app: AnyValue) -> App:
    from angzarr.testing.subject import built

    return app if isinstance(app, App) else App("test", routers=[built(app)])


def _routers_of(given: tuple[AnyValue, ...]) -> list[AnyValue]:
    from angzarr.testing.subject import built

    return [
        router for item in given for router in (item.routers if isinstance(item, App) else (built(item),))
    ]
