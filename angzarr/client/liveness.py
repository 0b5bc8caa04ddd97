"""Whether a connection still lives: pings after silence, and the end of one that leaves them unanswered."""

import asyncio
from typing import Protocol

from angzarr.client.config import ChannelConfig
from angzarr.log import get_logger

_SPARING = 303.0
"""Seconds between pings nobody asked for: gRPC servers cut off clients that ping more often than every 5 minutes while
they are sent nothing."""

_log = get_logger(__name__)


class Watched(Protocol):
    """A connection as its pings see it."""

    heard: float

    @property
    def calls(self) -> int:
        """How many calls are under way."""

    @property
    def answers(self) -> int:
        """A number that grows with everything the server sends for calls."""

    def ping(self, now: float) -> None:
        """Send a ping."""

    def abort(self, reason: str) -> None:
        """Drop the connection."""


class Liveness:
    """Pings a connection when ``keepalive_time`` says so, and when calls wait in silence for ``probe_after``.

    A probe, which the user did not ask for, is sent once; again only when the server has sent something for a call
    since, or five minutes have passed, so that no server takes it for abuse.

    Args:
        config: of the channel.
        watched: the connection.
    """

    def __init__(self, config: ChannelConfig, watched: Watched) -> None:
        self._keepalive_time = config.keepalive_time
        self._probe_after = config.probe_after
        self._timeout = config.keepalive_timeout
        self._watched = watched
        self._loop = asyncio.get_running_loop()
        self._pinged = float("-inf")
        self._next_probe = float("-inf")
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def begin(self) -> None:
        """The connection is open."""
        if self._keepalive_time is not None:
            self._timer = self._loop.call_at(
                self._soon(self._loop.time() + self._keepalive_time), self._check
            )

    def call_began(self) -> None:
        """There is a call to wait for."""
        if self._timer is None and self._probe_after is not None and not self._ended:
            self._timer = self._loop.call_later(self._probe_after, self._check)

    def end(self) -> None:
        """The connection is closed."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        watched, now = self._watched, self._loop.time()
        unanswered = self._pinged > watched.heard
        if unanswered and now - self._pinged >= self._timeout:
            _log.warning("keepalive_failed", timeout=self._timeout)
            self._ended = True
            watched.abort(f"keepalive: no answer to a ping within {self._timeout:g} s")
            return
        due = self._pinged + self._timeout if unanswered else self._due()
        if due is not None and due <= now:
            self._ping(now)
            due = now + min(self._timeout, self._keepalive_time or self._timeout)
        self._timer = None if due is None else self._loop.call_at(self._soon(due), self._check)

    def _soon(self, due: float) -> float:
        """When to look again: a call may begin before, and needs to be probed in time."""
        return due if self._probe_after is None else min(due, self._loop.time() + self._probe_after)

    def _due(self) -> float | None:
        """When to ping next, as things are now; None for as long as nobody waits."""
        heard, dues = self._watched.heard, []
        if self._keepalive_time is not None:
            dues.append(heard + self._keepalive_time)
        if self._probe_after is not None and self._watched.calls:
            spared = self._next_probe if self._watched.answers == self._answers else heard
            dues.append(max(heard + self._probe_after, spared))
        return min(dues, default=None)

    def _ping(self, now: float) -> None:
        self._pinged = now
        self._next_probe = now + _SPARING
        self._answers = self._watched.answers
        self._watched.ping(now)
