"""The projectors of a coordinator: woken by commits, waited for by sync callers, rebuilt beside the live ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, faults
from angzarr.coordinator.commits import Commit
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import Pending
from angzarr.coordinator.handlers import ProjectorEndpoint
from angzarr.coordinator.outliving import outliving
from angzarr.coordinator.store.records import (
    AdoptPositions,
    ForgetPositions,
    Key,
    SetPosition,
)
from angzarr.coordinator.subscription import Subscription
from angzarr.coordinator.walking import EVERYTHING
from angzarr.messages import EventBook, Projection

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_NEARLY = 100
"""Positions that a rebuild may be behind when it takes over; it would never end beside a writer without a pause."""


class Projections:
    """The projectors of an engine."""

    def __init__(self, engine: Engine, group: "TaskGroup") -> None:
        self._engine = engine
        self._group = group
        self.subscriptions: dict[str, Subscription] = {
            projector.name: Subscription(engine, projector, consumer_of(projector.name), group)
            for projector in engine.components.projectors
        }
        self._rebuilding: set[str] = set()

    async def start(self) -> None:
        """Take up where an earlier process stopped."""
        for subscription in self.subscriptions.values():
            await subscription.start()
            self._group.start_soon(subscription.walk.follow)

    def committed(self, commit: Commit) -> None:
        """Wake the projectors that take the domain."""
        for subscription in self.subscriptions.values():
            if subscription.takes(commit.key.domain):
                subscription.wake(commit.position)

    async def synchronous(self, commit: Commit) -> list[Projection]:
        """Wait until every projector of the domain has taken the commit in; answers what each said.

        Raises:
            GRPCError: INTERNAL, a projector failed; the events are stored, and it is tried again.
        """
        last = commit.stored[-1].sequence
        waiting = [
            (name, one.wait_for(commit.key, last))
            for name, one in self.subscriptions.items()
            if one.takes(commit.key.domain)
        ]
        answers = []
        for name, future in waiting:
            try:
                answers.append(await future)
            except GRPCError as error:
                raise GRPCError(
                    Status.INTERNAL,
                    f"Projector {name!r} failed: {error.message}; the events are stored and it will be tried again",
                ) from error
        return answers

    def pending(self, correlation_id: str | None = None) -> list[Pending]:
        """What has not been taken in yet."""
        return [
            row
            for subscription in self.subscriptions.values()
            for row in subscription.pending(correlation_id)
        ]

    def is_busy(self, correlation_id: str | None = None) -> bool:
        """Whether something has not been taken in yet."""
        return any(subscription.is_busy(correlation_id) for subscription in self.subscriptions.values())

    def find(self, projector: type | str) -> Subscription:
        """A projector by its class or name.

        Raises:
            KeyError: there is none; the text names those there are.
        """
        for name, subscription in self.subscriptions.items():
            if projector in {name, subscription.projector.handler}:
                return subscription
        known = ", ".join(self.subscriptions) or "none"
        raise KeyError(f"no projector {projector!r}; known projectors: {known}")

    async def wait(self, book: EventBook, projectors: Sequence[type | str], timeout: float) -> None:
        """Wait until projectors have taken a book in.

        Raises:
            TimeoutError: one has not, after ``timeout`` seconds.
            GRPCError: one failed, or is parked.
        """
        names = [self.find(projector).projector.name for projector in projectors]
        if not book.pages:
            return
        key, last = books.key_of(book.cover), book.pages[-1].header.sequence
        async with asyncio.timeout(timeout) as deadline:
            for name in names:
                subscription = self.subscriptions[name]  # which may have been taken over from
                try:
                    await subscription.wait_for(key, last)
                except GRPCError as error:
                    raise GRPCError(error.status, f"Projector {name!r} failed: {error.message}") from error
                except asyncio.CancelledError:
                    if deadline.expired():
                        raise _lagging(subscription, key, last, timeout) from None
                    raise

    async def rebuild(
        self, projector: type | str, replacement: ProjectorEndpoint | None = None
    ) -> AsyncIterator[tuple[int, int]]:
        """Feed a projector every event from the first, beside the live one, then let it take over.

        Args:
            projector: its class or name.
            replacement: what is fed, such as one that writes to a new table; the projector itself by default.

        Yields:
            How many of how many positions have been handed over.

        Raises:
            KeyError: there is no such projector.
            GRPCError: FAILED_PRECONDITION, it is being rebuilt already.
        """
        live = self.find(projector)
        name = live.projector.name
        if name in self._rebuilding:
            text = f"Projector {name!r} is being rebuilt already: let that end, or stop it"
            raise GRPCError(Status.FAILED_PRECONDITION, text)
        self._rebuilding.add(name)
        try:
            async for progress in self._rebuilt(live, replacement):
                yield progress
        finally:
            self._rebuilding.discard(name)

    async def _rebuilt(
        self, live: Subscription, replacement: ProjectorEndpoint | None
    ) -> AsyncIterator[tuple[int, int]]:
        fed = live.projector if replacement is None else replace(live.projector, endpoint=replacement)
        shadow = Subscription(self._engine, fed, f"{live.consumer}@rebuild", self._group)
        await self._engine.store.submit([ForgetPositions(shadow.consumer)])
        goal = shadow.walk.wanted = await self._engine.store.head()
        while await shadow.walk.read_on():
            await _drained(shadow)
            faults.reached("in a rebuild")
            yield shadow.cursor, max(goal, shadow.cursor)
            shadow.walk.wanted = await self._engine.store.head()
            if shadow.walk.wanted - shadow.cursor <= _NEARLY:
                break
        await outliving(self._group, self._take_over(live, shadow))
        done = max(goal, shadow.cursor)
        yield done, done

    async def _take_over(self, live: Subscription, shadow: Subscription) -> None:
        live.retire()
        # At once: a position that the live one wrote down from here on would be taken for the shadow's.
        left = live.leave()
        cursor = SetPosition(shadow.consumer, EVERYTHING, shadow.cursor)
        adopt = AdoptPositions(shadow.consumer, live.consumer)
        await self._engine.store.submit([cursor, *shadow.walk.covering(), adopt])
        shadow.walk.consumer = live.consumer
        self.subscriptions[live.projector.name] = shadow
        live.changed.set()
        for waiting in (left, live.leave()):  # whoever asked the live one meanwhile, too
            shadow.succeed(waiting)
        self._group.start_soon(shadow.walk.follow)
        shadow.wake(await self._engine.store.head())

    def stop(self) -> None:
        """Start nothing any more."""
        for subscription in self.subscriptions.values():
            subscription.stop()


def consumer_of(projector: str) -> str:
    """The name that a projector's positions are kept under."""
    return f"projector:{projector}"


def _lagging(subscription: Subscription, key: Key, wanted: int, timeout: float) -> TimeoutError:
    at = subscription.position_of(key)
    return TimeoutError(
        f"projector {subscription.projector.name!r} has not taken in {key.domain}/{key.root.hex()}/{wanted} after"
        f" {timeout:.3g} s: it is at {'the beginning' if at < 0 else at}, {wanted - at} events behind"
    )


async def _drained(subscription: Subscription) -> None:
    while subscription.has_work:
        subscription.changed.clear()
        await subscription.changed.wait()
