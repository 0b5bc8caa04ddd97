from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, precondition, rule, run_state_machine_as_test

from angzarr.testing import shortening
from angzarr.testing.shrinking import BrieflyShrunk, steps_of_ours
from angzarr.testing.simpler import simpler
from angzarr.testing.strategies import print_as_source
from tests.bank.messages import Deposit, Withdraw

QUICK = settings(
    max_examples=300,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=6,
)


class Sums(BrieflyShrunk):
    """Fails as soon as what it was told adds up to a hundred, or another limit."""

    limit = 100

    taken = 0
    closed = 0

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @rule(number=st.integers(0, 1000))
    def add(self, number: int) -> None:
        type(self).taken += 1
        self.total += number
        assert self.total < self.limit, "too much"

    def close(self) -> None:
        type(self).closed += 1

    def story(self) -> str:
        return f"the total is {self.total}"


class SumsOfOurs(Sums):
    """The same, and it may choose simpler numbers."""

    def add(self, number: int) -> None:
        Sums.add(self, number)

    steps_of_ours(add, simplify={"number": simpler})
    add = rule(number=st.integers(0, 1000))(add)


def notes_of(machine: type[BrieflyShrunk], wanted: settings = QUICK) -> str:
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(machine, settings=wanted)
    return "\n".join(caught.value.__notes__)


def steps_in(notes: str) -> list[str]:
    return [line for line in notes.splitlines() if line.startswith("state.") and "teardown" not in line]


def test_steps_that_are_not_needed_are_left_out() -> None:
    class Machine(Sums):
        @rule()
        def wait(self) -> None:
            pass

    assert all("state.add(" in step for step in steps_in(notes_of(Machine)))


def test_values_are_made_as_simple_as_they_may_be() -> None:
    assert steps_in(notes_of(SumsOfOurs)) == ["state.add(number=100)"]


def test_settings_of_the_user_shorten_it_as_well() -> None:
    wanted = settings(QUICK, report_multiple_bugs=True, max_examples=100, stateful_step_count=20)
    assert steps_in(notes_of(SumsOfOurs, wanted)) == ["state.add(number=100)"]


def test_without_patience_the_first_example_is_told_and_each_search_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shortening, "SHRINKING", 0.0)
    Sums.taken = 0
    first = notes_of(Sums)
    second = notes_of(Sums)
    assert "state.add(number=" in first
    assert "state.add(number=" in second
    assert Sums.taken < 100


def test_every_machine_is_closed() -> None:
    made = []

    class Machine(SumsOfOurs):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    Machine.closed = 0
    notes_of(Machine)
    assert Machine.closed == len(made)


def test_a_broken_invariant_is_told_with_its_story_once() -> None:
    class Machine(Sums):
        limit = 2000

        @invariant()
        def stays_small(self) -> None:
            assert self.total < 10

    assert notes_of(Machine).count("the total is ") == 1


def test_what_is_paid_in_and_out_becomes_less_together() -> None:
    of_ours = partial(steps_of_ours, simplify={"amount": simpler})
    print_as_source(Deposit)
    print_as_source(Withdraw)

    class Machine(Sums):
        limit = 1 << 20

        @rule(amount=st.builds(Deposit, amount=st.integers(0, 1000)))
        @of_ours
        def put(self, amount: Deposit) -> None:
            self.total += amount.amount

        @rule(amount=st.builds(Withdraw, amount=st.integers(0, 1000)))
        @of_ours
        def take(self, amount: Withdraw) -> None:
            assert not self.total or amount.amount - self.total not in range(100)

        add = None  # type: ignore[assignment]

    first, second = steps_in(notes_of(Machine))
    assert first == "state.put(amount=Deposit(amount=1))"
    assert second == "state.take(amount=Withdraw(amount=1))"


def test_preconditions_of_the_user_hold_in_what_is_shown() -> None:
    class Machine(Sums):
        limit = 100_000

        @precondition(lambda self: self.total > 0)
        @rule()
        def fail(self) -> None:
            raise AssertionError("never")

    first, last = steps_in(notes_of(Machine))
    assert first.startswith("state.add(number=")
    assert last == "state.fail()"


def test_bundles_work() -> None:
    class Machine(BrieflyShrunk):
        things = Bundle("things")

        def story(self) -> str:
            return ""

        @rule(target=things, number=st.integers(0, 3))
        def make(self, number: int) -> int:
            return number

        @rule(thing=things)
        def use(self, thing: int) -> None:
            assert thing != 3

        @rule()
        def wait(self) -> None:
            pass

    (use,) = steps_in(notes_of(Machine))
    assert use.startswith("state.use(thing=things_")


def test_what_draws_while_it_runs_is_left_to_hypothesis() -> None:
    class Machine(Sums):
        @rule(data=st.data())
        def add_drawn(self, data: st.DataObject) -> None:
            Sums.add(self, data.draw(st.integers(0, 1000)))

        add = None  # type: ignore[assignment]

    assert notes_of(Machine).count("state.add_drawn(") == 1


def test_what_begins_by_itself_is_left_to_hypothesis() -> None:
    class Machine(Sums):
        @initialize(number=st.integers(0, 5))
        def begin(self, number: int) -> None:
            self.total = number

        @rule()
        def fail(self) -> None:
            assert self.total < 3

        add = None  # type: ignore[assignment]

    assert steps_in(notes_of(Machine)) == ["state.begin(number=3)", "state.fail()"]


def test_an_error_that_is_being_handled_elsewhere_is_no_failure_of_the_machine() -> None:
    class Machine(BrieflyShrunk):
        @rule()
        def wait(self) -> None:
            pass

    try:
        raise ValueError("of somebody else")
    except ValueError:
        run_state_machine_as_test(Machine, settings=settings(QUICK, max_examples=5))
    assert Machine._search is not None
    assert Machine._search.failing == set()


def test_a_search_ends_when_its_time_is_up() -> None:
    class Machine(SumsOfOurs):
        search_seconds = 0.0
        limit = 1 << 20

    Sums.taken = 0
    run_state_machine_as_test(Machine, settings=QUICK)
    assert Sums.taken <= 10 * 6
