"""Making steps that fail fewer and simpler, within the time that this is worth."""

import time
from collections.abc import Callable, Iterator

from angzarr.testing.steps import Steps

__all__ = ["Patience", "Shortening"]

SHRINKING = 8.0
"""Seconds of processor time to spend on making a counter-example shorter."""
WAITING = 20.0
"""Seconds after which it ends in any case."""


class Patience:
    """How long it is worth going on: from now until ``SHRINKING`` or ``WAITING`` has passed."""

    def __init__(self) -> None:
        self._worked = time.process_time() + SHRINKING
        self._waited = time.monotonic() + WAITING

    @property
    def is_over(self) -> bool:
        """Whether time is up."""
        return time.process_time() > self._worked or time.monotonic() > self._waited


class Shortening:
    """Tries other steps in place of some that fail, as long as there is patience.

    Args:
        fails: whether steps fail as those did.
        patience: how long to try.
    """

    def __init__(self, fails: Callable[[Steps], bool], patience: Patience) -> None:
        self._fails_so = fails
        self._patience = patience
        self._tried: dict[tuple[str, ...], bool] = {}

    def of(self, steps: Steps) -> Steps | None:
        """The shortest steps found that fail in the same way; None if those given do not fail again."""
        if not self._fails(steps):
            return None
        for attempts in (self._fewer, self._simpler, self._balanced):
            before: Steps | None = None
            while steps != before:
                before = steps
                steps = self._first_that_fails(attempts, steps)
        return steps

    def _first_that_fails(self, attempts: Callable[[Steps], Iterator[Steps]], steps: Steps) -> Steps:
        return next((attempt for attempt in attempts(steps) if self._still_fails(attempt)), steps)

    def _fewer(self, steps: Steps) -> Iterator[Steps]:
        size = len(steps)
        while size:
            for start in range(len(steps) - size, -1, -1):
                yield steps[:start] + steps[start + size :]
            size //= 2

    def _simpler(self, steps: Steps) -> Iterator[Steps]:
        yield from self._fewer(steps)
        for number, step in enumerate(steps):
            for changed in step.simpler():
                yield (*steps[:number], changed, *steps[number + 1 :])

    def _balanced(self, steps: Steps) -> Iterator[Steps]:
        """Less of something here, and of something else there: what is paid in is what is paid out."""
        yield from self._simpler(steps)
        for number, step in enumerate(steps):
            others = (*steps[:number], *steps[number + 1 :])
            for amount in step.amounts():
                yield from _changed_by(-amount, others)
                yield from _changed_by(amount, others)
        for number, step in enumerate(steps):
            for changed, less in step.lowered():
                for others in _changed_by(-less, (*steps[:number], *steps[number + 1 :])):
                    yield (*others[:number], changed, *others[number:])

    def _still_fails(self, steps: Steps) -> bool:
        return not self._patience.is_over and self._fails(steps)

    def _fails(self, steps: Steps) -> bool:
        key = tuple(step.told() for step in steps)
        if key not in self._tried:
            self._tried[key] = self._fails_so(steps)
        return self._tried[key]


def _changed_by(difference: int, steps: Steps) -> Iterator[Steps]:
    for number, step in enumerate(steps):
        for changed in step.changed_by(difference):
            yield (*steps[:number], changed, *steps[number + 1 :])
