import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from angzarr.testing import shrinking
from angzarr.testing.shrinking import BrieflyShrunk

QUICK = settings(
    max_examples=200,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=5,
)


class Sums(BrieflyShrunk):
    """Fails as soon as what it was told adds up to a hundred."""

    taken = 0

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @rule(number=st.integers(0, 1000))
    def add(self, number: int) -> None:
        if not self.goes_on(str(number)):
            return
        type(self).taken += 1
        self.total += number
        if self.total >= 100:
            self.has_failed()
            raise AssertionError("too much")

    def story(self) -> str:
        return str(self.total)


def notes_of(machine: type[BrieflyShrunk]) -> str:
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(machine, settings=QUICK)
    return "\n".join(caught.value.__notes__)


def test_an_example_is_made_as_short_as_possible_while_there_is_patience() -> None:
    assert "state.add(number=100)" in notes_of(Sums)


def test_without_patience_the_first_example_is_told_and_each_search_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shrinking, "SHRINKING", 0.0)
    Sums.taken = 0
    first = notes_of(Sums)
    second = notes_of(Sums)
    assert "state.add(number=" in first
    assert "state.add(number=" in second
    assert Sums.taken < 400
