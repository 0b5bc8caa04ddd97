"""What a projector has still to take in of one aggregate, and who waits for it."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.remote import UnreachableError
from angzarr.messages import Projection

if TYPE_CHECKING:
    from angzarr.coordinator.config import ReactionConfig


@dataclass(slots=True)
class Aggregate:
    """What a projector has still to take in of one aggregate.

    Attributes:
        target: sequence of the newest event known.
        position: of its oldest event not taken in, in the whole store.
        correlation_ids: of the events not taken in.
        since: when the oldest of them was stored, microseconds since 1970.
        noted: how many events were read of it.
        newest: sequence and correlation id of the last one read.
        attempt: how often its next book has failed.
        spared: how many of those do not count, because a business server was away.
        failing_since: when it failed first, by the event loop's clock.
        error: what it failed with last.
        careful_until: sequence up to which events are handed over as they were stored, after a book of events that were
            stored apart has failed, so that the one in the way is found.
        waiters: who waits for it to get to a sequence.
    """

    target: int
    position: int
    correlation_ids: set[str]
    since: int
    noted: int = 0
    newest: tuple[int, str] = (-1, "")
    attempt: int = 0
    spared: int = 0
    failing_since: float | None = None
    error: str = ""
    careful_until: int = -1
    waiters: list[tuple[int, "asyncio.Future[Projection]"]] = field(default_factory=list)

    def failed(self, error: GRPCError, config: "ReactionConfig") -> bool:
        """Its next book failed, and whoever waits is told; answers whether it is to be given up."""
        self.attempt += 1
        self.error = error.message or error.status.name
        self.tell(error)
        now = asyncio.get_running_loop().time()
        if self.failing_since is None:
            self.failing_since = now
        away = isinstance(error, UnreachableError)
        self.spared += away and now - self.failing_since < config.patience
        return error.status is Status.INVALID_ARGUMENT or self.attempt - self.spared >= config.attempts

    def succeeded(self) -> None:
        """Its next book was taken in."""
        self.attempt = self.spared = 0
        self.failing_since, self.error = None, ""

    def tell(self, error: GRPCError) -> None:
        """Whoever waits gets the error."""
        for _, future in self.waiters:
            if not future.done():
                future.set_exception(error)
                future.exception()
        self.waiters.clear()

    def answer(self, position: int, projection: Projection) -> None:
        """Whoever waits for a sequence up to ``position`` gets what the projector said."""
        waiting = []
        for sequence, future in self.waiters:
            if sequence > position:
                waiting.append((sequence, future))
            elif not future.done():
                future.set_result(projection)
        self.waiters = waiting
