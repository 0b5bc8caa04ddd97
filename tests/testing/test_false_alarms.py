"""A correct domain gives no alarm: laws and machines over many kinds of domain."""

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import core, settings
from hypothesis.stateful import run_state_machine_as_test

from angzarr.messages import EventBook
from angzarr.router import AnyRouter, Router, handles, projector
from angzarr.testing import aggregate_machine, check_laws
from angzarr.testing.histories import Commands
from angzarr.testing.laws import LAWS
from angzarr.testing.laws.base import Case
from angzarr.testing.performing import When
from angzarr.testing.subject import subjects_of
from angzarr.testing.world import World
from examples.poker.app import hands, players
from tests.bank.domain import Accounts, AccountV2, AccountV3, Onboardings, Transfers
from tests.examples.poker.guided import COMMANDS
from tests.testing import planted
from tests.testing.correct import CORRECT
from tests.testing.shop import OrderPlaced

pytestmark = pytest.mark.once

BANK = {
    "accounts": (Accounts,),
    "transfers": (Transfers,),
    "onboarding": (Onboardings,),
    "bank upcasters": (AccountV2, AccountV3),
}
GUIDED: dict[str, Commands] = {"poker hands": COMMANDS}


def router_of(classes: tuple[type, ...]) -> AnyRouter:
    router = Router("bank")
    for cls in classes:
        router.with_handler(cls, cls)
    return router.build()


DOMAINS: dict[str, Callable[[], AnyRouter]] = {
    **CORRECT,
    **{name: lambda name=name: planted.correct()[name] for name in planted.correct()},  # type: ignore[misc]
    **{name: lambda classes=classes: router_of(classes) for name, classes in BANK.items()},  # type: ignore[misc]
    "poker hands": lambda: hands,
    "poker players": lambda: players,
}


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Users' handlers may: those over sqlite do. Replaces the suite's fixture of this name."""


@pytest.fixture
def other_examples_each_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Also where hypothesis is told to be deterministic, as it is under CI."""
    before = settings.get_current_profile_name()
    settings.register_profile("other", settings(), database=None, derandomize=False, deadline=None)
    settings.load_profile("other")
    monkeypatch.setattr(core, "global_force_seed", random.SystemRandom().randrange(2**32))
    yield
    settings.load_profile(before)


def look_for_alarms(name: str, examples: int) -> None:
    router = DOMAINS[name]()
    commands = GUIDED.get(name)
    check_laws(router, commands=commands, max_examples=examples)
    if any(info.kind == "command_handler" for info in router.handlers):
        machine = aggregate_machine(router, commands=commands, max_examples=max(1, examples // 4))
        run_state_machine_as_test(machine, settings=machine.TestCase.settings)


@pytest.mark.parametrize("name", DOMAINS)
def test_a_correct_domain_gives_no_alarm(name: str) -> None:
    look_for_alarms(name, 4)


@projector(name="rows", domains=["order"])
class Locked:
    """Over rows that are there already, and once locked by one who has gone."""

    calls = itertools.count()

    @handles(OrderPlaced)
    def placed(self, event: OrderPlaced) -> None:
        if next(self.calls) == 1:
            raise sqlite3.OperationalError("database is locked")
        raise sqlite3.IntegrityError("UNIQUE constraint failed")


async def test_a_lock_that_has_gone_when_asked_again_gives_no_alarm() -> None:
    subject = subjects_of(Router("rows").with_handler(Locked, Locked).build())[0]
    law = LAWS["path"]
    case = Case(subject, EventBook(), When("event", (OrderPlaced(),)))

    assert await law.check(case, World(subject)) is None
    assert next(Locked.calls) > 2


@pytest.mark.long
@pytest.mark.usefixtures("other_examples_each_time")
@pytest.mark.parametrize("round_", range(10))
@pytest.mark.parametrize("name", DOMAINS)
def test_a_correct_domain_gives_no_alarm_in_ten_runs(name: str, round_: int) -> None:
    look_for_alarms(name, 100)
