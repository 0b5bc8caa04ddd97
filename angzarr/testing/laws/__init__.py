"""The laws that routers obey, as tests that hypothesis looks for counter-examples to."""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any as AnyValue

import hypothesis.errors
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.reporting import current_reporter, with_reporter

from angzarr.errors import InvalidArgumentError
from angzarr.testing.histories import Commands, Steps
from angzarr.testing.laws.answers import ANSWER_LAWS
from angzarr.testing.laws.base import Case, Finding, Law, LawBroken, Options, cases, checked, story
from angzarr.testing.laws.projections import PROJECTION_LAWS
from angzarr.testing.laws.reactions import REACTION_LAWS
from angzarr.testing.laws.states import STATE_LAWS
from angzarr.testing.laws.upcasts import UPCAST_LAWS
from angzarr.testing.loops import Loop
from angzarr.testing.shortening import Patience
from angzarr.testing.subject import Subject, subjects_of
from angzarr.testing.world import World

__all__ = ["LAWS", "BoundLaw", "Finding", "Law", "LawBroken", "check_laws", "laws_of", "router_laws"]

_ALL = (*STATE_LAWS, *ANSWER_LAWS, *REACTION_LAWS, *PROJECTION_LAWS, *UPCAST_LAWS)
LAWS: Mapping[str, Law] = {law.name: law for law in sorted(_ALL, key=lambda law: law.name != "coded")}
"""The laws by name; first the one that is the quickest to find something."""


SEARCHING = 4.0
"""Seconds of processor time to look for one, unless told how many examples to try."""


class _Enough(BaseException):
    """Ends a search: hypothesis lets pass what is no Exception."""


@dataclass(frozen=True)
class BoundLaw:
    """A law and a handler that it binds."""

    law: Law
    subject: Subject
    options: Options
    max_examples: int | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """The law's name; in a router of several classes, after the class's."""
        several = len(self.subject.router.entries) > 1
        return f"{self.subject.name}-{self.law.name}" if several else self.law.name

    def __call__(self) -> None:
        """Look for a counter-example.

        Raises:
            LawBroken: there is one; the text holds the shortest.
        """
        __tracebackhide__ = True
        broken: list[tuple[Case, Finding]] = []
        with Loop() as loop:
            world = World(self.subject)
            try:
                self._search(loop, world, broken)
            except _Enough:
                return
            except LawBroken:
                text = story(self.law, *broken[-1])
            except hypothesis.errors.Flaky:
                if not broken:
                    raise
                shortest = min(broken, key=lambda found: len(found[0].history.pages))
                text = story(self.law, *shortest) + "\n(not every time: something outside takes part)"
            else:
                return
            finally:
                world.restore()
        raise LawBroken(text, self.law.name)

    def _search(self, loop: Loop, world: World, broken: list[tuple[Case, Finding]]) -> None:
        patience: list[Patience] = []
        known: set[str] = set()
        end = math.inf if self.max_examples else time.process_time() + SEARCHING

        def holds(case: Case) -> None:
            if not broken and time.process_time() > end:
                raise _Enough
            if patience and patience[0].is_over and repr(case) not in known:
                return
            world.restore()
            finding = loop.run(checked, self.law, case, world)
            if finding is not None:
                broken.append((case, finding))
                patience.append(Patience())
                known.add(repr(case))
                raise LawBroken(finding.what, self.law.name)

        cls = self.subject.info.cls
        # the name is the key under which hypothesis keeps failing examples
        holds.__name__ = re.sub(r"\W", "_", f"{cls.__module__}.{cls.__qualname__}.{self.law.name}")
        steps = Steps(self.subject, self.options.commands)
        strategy = cases(self.law, steps, loop, world, self.options)
        examples = self.max_examples or settings().max_examples * self.law.effort
        search = given(strategy)(holds)
        if self.seed is not None:
            search = hypothesis.seed(self.seed)(search)  # before the settings: it takes the database away
        with with_reporter(_unless_asked_to_reproduce(current_reporter())):
            _settings(examples)(search)()


def _unless_asked_to_reproduce(say: Callable[[object], None]) -> Callable[[object], None]:
    """A search that ends because there has been enough of it is a failure to hypothesis, and to nobody else."""
    return lambda text: None if str(text).startswith("You can reproduce this failure") else say(text)


def _settings(max_examples: int) -> settings:
    return settings(
        max_examples=max_examples,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def laws_of(
    router: AnyValue,
    *,
    commands: Commands | None = None,
    skip: tuple[str, ...] = (),
    max_examples: int | None = None,
    idempotent: bool = False,
    observe: Callable[[AnyValue], AnyValue] | None = None,
) -> list[BoundLaw]:
    """The laws that bind the classes of a router; arguments as for ``router_laws``.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, ``router`` is none, or ``skip`` names no law.
    """
    unknown = [name for name in skip if name not in LAWS]
    if unknown:
        raise InvalidArgumentError(f"there is no law {unknown[0]!r}; the laws are {', '.join(LAWS)}")
    options = Options(commands or {}, observe, idempotent)
    return [
        BoundLaw(law, subject, options, max_examples)
        for subject in subjects_of(router)
        for law in LAWS.values()
        if law.name not in skip and law.binds(subject)
    ]


def check_laws(router: AnyValue, **options: AnyValue) -> None:
    """Hold a router to every law that binds it, outside pytest; arguments as for ``router_laws``.

    Raises:
        LawBroken: the first law that does not hold.
    """
    for bound in laws_of(router, **options):
        bound()


def router_laws(
    router: AnyValue,
    *,
    commands: Commands | None = None,
    skip: tuple[str, ...] = (),
    max_examples: int | None = None,
    idempotent: bool = False,
    observe: Callable[[AnyValue], AnyValue] | None = None,
) -> Callable[..., None]:
    """A parametrized test for pytest: one item per law that binds the router's handlers.

    ::

        test_players_obey_the_laws = router_laws(players)

    Command handlers and process managers: ``replay``, ``live``, ``split``, ``snapshot``, ``rejection``, ``mutation``,
    ``encoding``, ``sequences``. Sagas and process managers: ``pages``, ``targets``, ``redelivery``. Projectors:
    ``cut``, ``idempotence``. Upcasters: ``count``, ``upcast_again``, ``types``, ``purity``. All: ``coded``, ``path``;
    all but projectors: ``isolation``. A broken law shows the shortest example found, as a test to paste. Each law is
    given four seconds of processor time at most, unless ``max_examples`` says how many examples to try.

    Args:
        router: a built router, a decorated handler class that needs no arguments, or an instance.
        commands: own strategies for some commands or events, by class; or functions from the state to a strategy.
        skip: names of laws that shall not bind.
        max_examples: examples per law; by default what the hypothesis profile says.
        idempotent: hold projectors to idempotence; a projector class may say so itself with ``idempotent = True``.
        observe: what a projector instance shows of what it has kept; by default its attributes.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, ``router`` is none, or ``skip`` names no law.
    """
    import pytest

    bound = laws_of(
        router,
        commands=commands,
        skip=skip,
        max_examples=max_examples,
        idempotent=idempotent,
        observe=observe,
    )

    @pytest.mark.parametrize("law", [pytest.param(law, id=law.name) for law in bound])
    def obeys(law: BoundLaw) -> None:
        __tracebackhide__ = True
        law()

    return obeys
