"""Making the example of a failing state machine shorter, but not for minutes."""

import time
from typing import Any as AnyValue
from typing import ClassVar

from hypothesis import settings
from hypothesis.control import current_build_context, currently_in_test_context
from hypothesis.stateful import RuleBasedStateMachine

SHRINKING = 8.0
"""Seconds of processor time to spend on making a counter-example shorter."""
WAITING = 60.0
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


class _Search:
    """One run of hypothesis on a machine: when it first failed, and the steps of the examples that fail."""

    def __init__(self, of: object) -> None:
        self.of = of
        self.patience: Patience | None = None
        self.failing: set[tuple[str, ...]] = set()
        self.known: dict[tuple[object, ...], AnyValue] = {}

    def knows(self, steps: tuple[str, ...]) -> bool:
        """Whether steps begin an example that is known to fail."""
        return any(known[: len(steps)] == steps for known in self.failing)


class BrieflyShrunk(RuleBasedStateMachine):
    """A machine whose failing example is made shorter as long as there is patience."""

    _search: ClassVar[_Search | None] = None

    def __init__(self) -> None:
        super().__init__()
        context: AnyValue = current_build_context() if currently_in_test_context() else None
        current = getattr(context, "wrapped_test", None)
        search = type(self)._search
        if search is None or search.of is not current:
            search = _Search(current)
            type(self)._search = search
        self._is_wanted = True
        self._steps: tuple[str, ...] = ()
        self._own_search = search

    def goes_on(self, step: str) -> bool:
        """Whether a step is worth taking: not when time is up, and it leads to no example that is known to fail.

        Args:
            step: the step, as text.
        """
        self._steps = (*self._steps, step)
        patience = self._own_search.patience
        return patience is None or not patience.is_over or self._own_search.knows(self._steps)

    def has_failed(self) -> None:
        """Note that the steps so far make an example that fails."""
        if self._own_search.patience is None:
            self._own_search.patience = Patience()
        self._own_search.failing.add(self._steps)

    def check_invariants(self, settings: settings, output: AnyValue, runtimes: AnyValue) -> None:
        """Check the user's invariants; one that fails also tells what had happened."""
        if not self._is_wanted:
            return
        try:
            super().check_invariants(settings, output, runtimes)
        except Exception as error:
            self.has_failed()
            error.add_note(self.story())
            raise

    def story(self) -> str:
        """What has happened so far, for the report of a broken invariant."""
        raise NotImplementedError
