"""Making the example of a failing state machine shorter: steps are taken away and values made simpler.

Hypothesis shrinks the choices that led to an example. Where the rules that may follow depend on the state, nearly
every change of those leads somewhere else entirely. So the steps themselves are tried here, on machines of their own,
and when hypothesis comes to show the example, it shows what they have become.
"""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any as AnyValue
from typing import ClassVar, TypeVar

from hypothesis import settings
from hypothesis.control import current_build_context, currently_in_test_context
from hypothesis.errors import HypothesisException
from hypothesis.internal.conjecture.data import DataObserver
from hypothesis.reporting import report
from hypothesis.stateful import RULE_MARKER, MultipleResults, RuleBasedStateMachine, VarReference
from hypothesis.strategies import SearchStrategy

from angzarr.testing.shortening import Patience, Shortening
from angzarr.testing.steps import Step, Steps

_FEWEST = 5
"""Examples to live through in any case; hypothesis wants some."""

Simplify = Mapping[str, Callable[[AnyValue], Iterator[AnyValue]]]
Output = Callable[[str], object]
F = TypeVar("F", bound=Callable[..., AnyValue])


def steps_of_ours(function: F, *, simplify: Simplify | None = None) -> F:
    """Mark the function of a rule that may be run at any time; its precondition is only what is worth trying.

    Args:
        function: the function.
        simplify: argument → what to try in place of a value of it; other arguments stay as they are.
    """
    function.simplify = simplify or {}  # type: ignore[attr-defined]
    return function


Cause = tuple[AnyValue, ...]

_wanted: ContextVar[Cause | None] = ContextVar("angzarr_wanted_cause", default=None)
"""While steps are tried: how they have to fail."""


def cause_of(error: BaseException) -> Cause:
    """What makes two failures the same: the kind of error, the law if it is one, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ()
    return (type(error), getattr(error, "law", ""), *place)


class _Search:
    """One run of hypothesis on a machine: the example that failed, and what has become of it."""

    def __init__(self, of: object, seconds: float) -> None:
        self.of = of
        self._end = time.process_time() + seconds
        self.known: dict[tuple[object, ...], AnyValue] = {}
        self.failing: set[tuple[str, ...]] = set()
        self.patience: Patience | None = None
        self.shortest: Steps | None = None
        self.lives = 0
        self._is_confirmed = False

    @property
    def is_over(self) -> bool:
        """Whether nothing that hypothesis could try is needed any more."""
        is_late = self.lives >= _FEWEST and time.process_time() > self._end
        return self._is_confirmed or (self.patience is None and is_late)

    def learn(self, machine: "BrieflyShrunk", error: Exception) -> None:
        """Take in that the steps of a machine fail. The first time they are made shorter, here and now."""
        seen = machine._told in self.failing
        self.failing.add(machine._told)
        if self.patience is None:
            self.patience = Patience()
            if machine._can_be_repeated():
                fails = partial(_fail_so, type(machine), cause_of(error))
                self.shortest = Shortening(fails, self.patience).of(machine._steps)
        elif seen and self.shortest is not None:
            self._is_confirmed = True

    def wants(self, told: tuple[str, ...]) -> bool:
        """Whether an example that begins so is still worth living through."""
        if self.is_over:
            return False
        if self.patience is None:
            return True
        is_known = any(known[: len(told)] == told for known in self.failing)
        return is_known or (self.shortest is None and not self.patience.is_over)


class BrieflyShrunk(RuleBasedStateMachine):
    """A machine whose failing example is made shorter as long as there is patience."""

    first_rule: ClassVar[str] = ""
    """Name of the rule that every example begins with; none if empty."""
    search_seconds: ClassVar[float] = math.inf
    """Seconds of processor time to look for an example that fails."""
    wanted_settings: ClassVar[settings | None] = None
    """Settings of its ``TestCase``, and of those of its subclasses; hypothesis does not pass them on."""
    _search: ClassVar[_Search | None] = None

    def __init_subclass__(cls, **kwargs: AnyValue) -> None:
        super().__init_subclass__(**kwargs)
        if cls.wanted_settings is not None:
            cls.TestCase.settings = cls.wanted_settings

    def __init__(self) -> None:
        super().__init__()
        context: AnyValue = current_build_context() if currently_in_test_context() else None
        current = getattr(context, "wrapped_test", None)
        search = type(self)._search
        if search is None or search.of is not current:
            search = _Search(current, self.search_seconds)
            type(self)._search = search
        self._own_search = search
        self._wanted = _wanted.get()
        is_final = context is not None and context.is_final
        if search.is_over and context is not None and self._wanted is None and not is_final:
            context.data.mark_overrun()
        self._error_before = sys.exc_info()[1]
        self._steps: Steps = ()
        self._told: tuple[str, ...] = ()
        self._starts_by_itself = not self._initialize_rules_to_run
        shown = search.shortest if is_final and self._wanted is None else None
        self._rules_strategy: AnyValue = _Steps(self, self._rules_strategy, shown)

    def teardown(self) -> None:
        """Close what the machine holds, and make the example shorter if it has just failed."""
        error = sys.exc_info()[1]
        self.close()
        self._own_search.lives += error is None
        has_failed = isinstance(error, Exception) and not isinstance(error, HypothesisException)
        if has_failed and error is not self._error_before and self._wanted is None:
            assert isinstance(error, Exception)
            self._own_search.learn(self, error)

    def close(self) -> None:
        """Close what the machine holds."""

    def check_invariants(self, settings: settings, output: AnyValue, runtimes: AnyValue) -> None:
        """Check the user's invariants; one that fails also tells what had happened."""
        try:
            super().check_invariants(settings, output, runtimes)
        except Exception as error:
            if self._wanted is None:
                error.add_note(self.story())
            raise

    def story(self) -> str:
        """What has happened so far, for the report of a broken invariant."""
        raise NotImplementedError

    def _can_be_repeated(self) -> bool:
        return self._starts_by_itself and all(step.can_be_repeated for step in self._steps)

    def _takes(self, step: Step) -> None:
        self._steps = (*self._steps, step)
        self._told = (*self._told, step.told())

    def _perform(self, step: Step, output: Output) -> None:
        """Take a step as hypothesis does."""
        self._takes(step)
        printed = {key: self._printed(value) for key, value in step.arguments.items()}
        arguments = {key: self._meant(value) for key, value in step.arguments.items()}
        result: AnyValue = MultipleResults(())
        try:
            result = step.rule.function(self, **arguments)
            if step.rule.targets:
                several = isinstance(result, MultipleResults)
                add: Callable[[AnyValue, AnyValue], None] = self._add_results_to_targets
                add(step.rule.targets, result.values if several else [result])
        finally:
            output(self._repr_step(step.rule, printed, result))

    def _printed(self, value: AnyValue) -> str:
        printed: Callable[[AnyValue], str] = self._pretty_print
        return printed(value)

    def _meant(self, value: AnyValue) -> AnyValue:
        if isinstance(value, VarReference):
            return self.names_to_values[value.name]
        if isinstance(value, list) and value and all(isinstance(item, VarReference) for item in value):
            return [self.names_to_values[item.name] for item in value]
        return value


class _Steps(SearchStrategy[AnyValue]):
    """Chooses the steps of a machine: as hypothesis would, or what an example to be shown has come down to."""

    def __init__(self, machine: BrieflyShrunk, usual: AnyValue, shown: Steps | None) -> None:
        super().__init__()
        self._machine = machine
        self._usual = usual
        self._shown = shown

    def do_draw(self, data: AnyValue) -> AnyValue:
        if self._shown is not None:
            # hypothesis would compare with what it has drawn for the example itself
            data.observer = DataObserver()
            self._show(self._shown)
        step = self._drawn(data)
        self._machine._takes(step)
        if not self._machine._own_search.wants(self._machine._told):
            data.mark_overrun()
        return step.rule, step.arguments

    def _show(self, steps: Steps) -> None:
        """Take the steps here and now; what hypothesis has for the example itself would not lead to them."""
        for step in steps:
            self._machine._perform(step, report)
            _check(self._machine, report)

    def _drawn(self, data: AnyValue) -> Step:
        first = type(self._machine).first_rule
        if not first or self._machine._steps:
            rule, arguments = data.draw(self._usual)
        else:
            rule = getattr(getattr(type(self._machine), first), RULE_MARKER)
            arguments = {key: data.draw(strategy) for key, strategy in rule.arguments_strategies.items()}
        together = arguments.pop("together", {})  # arguments that depend on each other
        return Step(rule, {**together, **arguments})


def _fail_so(machine_class: type[BrieflyShrunk], cause: Cause, steps: Steps) -> bool:
    token = _wanted.set(cause)
    try:
        machine = machine_class()
    finally:
        _wanted.reset(token)
    try:
        return _ends_in(machine, steps) == cause
    finally:
        machine.teardown()


def _ends_in(machine: BrieflyShrunk, steps: Steps) -> Cause | None:
    try:
        _check(machine, _quietly)
        for step in steps:
            if not hasattr(step.rule.function, "simplify") and not _may_run(machine, step):
                return None
            machine._perform(step, _quietly)
            _check(machine, _quietly)
    except Exception as error:
        return cause_of(error)
    return None


def _may_run(machine: BrieflyShrunk, step: Step) -> bool:
    return all(precondition(machine) for precondition in step.rule.preconditions)


def _check(machine: BrieflyShrunk, output: Output) -> None:
    machine.check_invariants(settings(), output, Counter())


def _quietly(_: object) -> None:
    """Print nothing."""
