"""How much a peer may send that helps no call: pings, settings, resets, empty frames and the like.

HTTP/2 lets each of them come at any time, and most want an answer, so that a flood of them costs this side memory and
time for nothing. A connection pays for them from a budget, which work for calls and time fill up again.
"""

import time
from collections.abc import Callable

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

MOST = 2000
"""What a full budget allows at once; a thousand calls that are cancelled together are nothing unusual."""

A_SECOND = 100
"""What a second gives back."""

SENT = 8
"""What data sent gives back: peers answer it with window updates and measuring pings."""


class FloodError(ProtocolError):
    """The peer sends too much that helps no call."""

    error_code = ErrorCodes.ENHANCE_YOUR_CALM


class Patience:
    """A connection's budget.

    Args:
        clock: seconds.
    """

    __slots__ = ("_clock", "_since", "left")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self.left: int = MOST

    def spend(self) -> None:
        """A frame came that helps no call.

        Raises:
            FloodError: there were too many.
        """
        self.left -= 1
        if self.left < 0:
            self._refill()

    def earn(self, frames: int) -> None:
        """Work was done for a call."""
        if self.left < MOST:
            self.left += frames

    def _refill(self) -> None:
        now = self._clock()
        given, self._since = min(int((now - self._since) * A_SECOND), MOST), now
        if given < 1:
            raise FloodError("a flood of pings, settings, resets or empty frames")
        self.left += given
