"""More planted bugs, found by default settings: ``router_laws(router)`` and ``aggregate_machine(router)``."""

from collections.abc import Iterator
from typing import Any as AnyValue

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant

from angzarr.testing import LawBroken, aggregate_machine
from angzarr.testing.histories import MAX_EVENTS
from angzarr.testing.laws import BoundLaw, laws_of
from angzarr.testing.report import history_lines
from tests.testing.planted_too import MISRULES, MORE_BUGS

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def hypothesis_remembers_nothing() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.register_profile("forgetful", settings(), database=None)
    settings.load_profile("forgetful")
    yield
    settings.load_profile(before)


def first_broken(bound: list[BoundLaw]) -> str:
    for law in bound:
        try:
            law()
        except LawBroken as broken:
            return str(broken)
    return ""


@pytest.mark.parametrize("name", MORE_BUGS)
def test_some_law_finds_it(name: str) -> None:
    text = first_broken(laws_of(MORE_BUGS[name]()))
    assert "breaks a law" in text
    given = text.partition("\ngiven\n")[2].partition("\nwhen\n")[0]
    assert (
        sum(line.startswith("    ") and not line.startswith("     ") for line in given.splitlines())
        <= MAX_EVENTS
    )


@pytest.mark.parametrize("name", MISRULES)
def test_a_machine_with_an_invariant_finds_it(name: str) -> None:
    lives: list[int] = []

    class Machine(aggregate_machine(MISRULES[name]())):  # type: ignore[misc]
        @invariant()
        def nobody_is_in_debt_and_books_are_right(self) -> None:
            state: AnyValue = self.state
            lives.append(len(history_lines(self.histories["account"])))
            assert state.amount >= 0
            assert not state.log or state.amount == -sum(state.log)

    with pytest.raises(AssertionError):
        Machine.TestCase("runTest").runTest()
    assert lives[-1] <= MAX_EVENTS
