"""Work that must stay in order within a lane, while different lanes run side by side, so many at a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from anyio.abc import TaskGroup

from angzarr.coordinator.asking import on_nobodys_behalf
from angzarr.log import get_logger

K = TypeVar("K", bound=Hashable)

AGAIN = 0.0
"""What a lane answers when it has more to do at once."""

_AFTER_A_CRASH = 1.0
_log = get_logger(__name__)


class Lanes(Generic[K]):
    """Runs ``run(lane)`` for every lane that was woken: never twice at once for one lane.

    Args:
        group: parent of the tasks that do the work.
        run: does one piece; answers None when the lane is empty, or the seconds until it wants to run again.
        limit: lanes that run at the same time.
    """

    def __init__(self, group: TaskGroup, run: Callable[[K], Awaitable[float | None]], limit: int) -> None:
        self._group = group
        self._run = run
        self._limit = limit
        self._ready: deque[K] = deque()
        self._queued: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._resting: dict[K, asyncio.TimerHandle] = {}
        self._workers = 0
        self.closed: bool = False

    def wake(self, lane: K) -> None:
        """There is work in a lane; one that rests after a failure is left to rest."""
        if self.closed or lane in self._queued or lane in self._resting:
            return
        if lane in self._running:
            self._again.add(lane)
            return
        self._queued.add(lane)
        self._ready.append(lane)
        if self._workers < self._limit:
            self._workers += 1
            self._group.start_soon(self._work)

    def rouse(self, lane: K) -> None:
        """As ``wake``, also for a lane that rests."""
        timer = self._resting.pop(lane, None)
        if timer is not None:
            timer.cancel()
        self.wake(lane)

    def rouse_all(self) -> None:
        """What the lanes rest for may be over: let every one that rests try again."""
        for lane in list(self._resting):
            self.rouse(lane)

    def close(self) -> None:
        """Start nothing any more."""
        self.closed = True
        for timer in self._resting.values():
            timer.cancel()

    async def _work(self) -> None:
        on_nobodys_behalf()
        try:
            while self._ready and not self.closed:
                lane = self._ready.popleft()
                self._queued.discard(lane)
                await self._one(lane)
        finally:
            self._workers -= 1

    async def _one(self, lane: K) -> None:
        self._running.add(lane)
        try:
            pause = await self._run(lane)
        except Exception as error:
            _log.exception("lane_failed", lane=str(lane), exc_info=error)
            pause = _AFTER_A_CRASH
        finally:
            self._running.discard(lane)
        if lane in self._again:
            self._again.discard(lane)
            pause = AGAIN if pause is None else pause
        if pause is None:
            return
        if pause == AGAIN:
            self.wake(lane)
        else:
            self._resting[lane] = asyncio.get_running_loop().call_later(pause, self._rested, lane)

    def _rested(self, lane: K) -> None:
        self._resting.pop(lane, None)
        self.wake(lane)


def backoff(attempt: int, minimum: float, maximum: float) -> float:
    """Seconds to wait after the ``attempt``-th failure, from 1."""
    return float(min(minimum * 2 ** (attempt - 1), maximum))
