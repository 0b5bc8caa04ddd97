"""What `angzarr fuzz` has found, hypothesis keeps beside the tests, and the next search tries it before all else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any as AnyValue

import pytest

from angzarr.app import App
from angzarr.cli.fuzz import Search, _remembering, _searches
from angzarr.cli.loading import Spec
from angzarr.router import AnyRouter, Router, command_handler, handles
from angzarr.testing import LawBroken
from tests.bank.messages import Deposit, Deposited
from tests.testing.planted import Balance, Honest

pytestmark = pytest.mark.once


def sometimes(is_wrong: Callable[[int], bool]) -> AnyRouter:
    @command_handler(domain="account", state=Balance)
    class Sometimes(Honest):
        @handles(Deposit)
        def deposit(self, command: Deposit, state: AnyValue, sequence: int) -> AnyValue:
            if is_wrong(command.amount):
                raise KeyError(command.amount)
            return Deposited(amount=command.amount)

    return Router("account").with_handler(Sometimes, Sometimes).build()


def search_for(name: str, router: AnyRouter) -> Search:
    searches = _searches(App("bank", routers=[router]), Spec("tests.testing", "app"), [])
    return next(search for search in searches if search.name == name)


@pytest.mark.parametrize("name", ["Sometimes coded", "Sometimes machine"])
def test_an_example_found_once_is_found_again_with_any_seed_and_little_effort(
    tmp_path: Path, name: str
) -> None:
    search = search_for(name, sometimes(lambda amount: amount % 16 == 13))
    with _remembering(tmp_path), pytest.raises(LawBroken):
        search.run(1_000, 1)

    for seed in (2, 3):
        with _remembering(tmp_path), pytest.raises(LawBroken):
            search.run(1, seed)


def test_an_example_that_is_mended_is_forgotten(tmp_path: Path) -> None:
    wrong = {13}
    search = search_for("Sometimes coded", sometimes(lambda amount: amount % 16 in wrong))
    with _remembering(tmp_path), pytest.raises(LawBroken):
        search.run(1_000, 1)
    assert list(tmp_path.rglob("*"))

    wrong.clear()
    with _remembering(tmp_path):
        search.run(1, 2)
        search.run(1, 3)


def test_a_search_that_ends_with_its_time_says_nothing_of_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("angzarr.testing.laws.SEARCHING", 0.0)
    from angzarr.testing.laws import laws_of

    laws_of(sometimes(lambda amount: False))[0]()

    assert capsys.readouterr().out == ""


def test_other_words_of_hypothesis_are_passed_on() -> None:
    from angzarr.testing.laws import _unless_asked_to_reproduce

    heard: list[object] = []
    say = _unless_asked_to_reproduce(heard.append)
    say("You can reproduce this failure by adding @seed(1) to this test.")
    say("Trying example: …")

    assert heard == ["Trying example: …"]
