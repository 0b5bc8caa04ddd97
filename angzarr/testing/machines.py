"""Hypothesis state machines over aggregates: every command in every order, with the user's invariants in between."""

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar
from typing import Any as AnyValue

import betterproto
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from angzarr.codec import encode
from angzarr.errors import InvalidArgumentError
from angzarr.testing.histories import Commands, MessageClass, loaded_dice
from angzarr.testing.laws import LAWS
from angzarr.testing.laws.base import Case, Finding, Law, LawBroken, checked, story
from angzarr.testing.loops import Loop
from angzarr.testing.performing import Outcome, When, extended, history_of, perform, unpacked
from angzarr.testing.probes import is_likely
from angzarr.testing.report import expression, file_around, history_lines, section
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.shrinking import BrieflyShrunk
from angzarr.testing.source import Source, source_of
from angzarr.testing.strategies import everyday_messages
from angzarr.testing.subject import Subject, subjects_of
from angzarr.testing.world import World

if TYPE_CHECKING:
    from angzarr.messages import EventBook

_CHECKED = ("coded", "sequences", "mutation", "encoding", "replay")


class AggregateMachine(BrieflyShrunk):
    """Base of what ``aggregate_machine`` makes: one aggregate of each domain, living through commands.

    Attributes:
        subjects: the command handlers of the router, set on the subclass.
        state: the state of the aggregate that was last commanded, folded from its events.
        outcome: what came of the last command, or None.
        histories: the events of each aggregate so far, by domain.
        states: the state of each, by domain.
    """

    subjects: ClassVar[tuple[Subject, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._loop = Loop(background=True).__enter__()
        self._worlds = {subject.name: World(subject) for subject in self.subjects}
        self.outcome: Outcome | None = None
        self.histories: dict[str, EventBook] = {}
        self.states: dict[str, AnyValue] = {}
        for subject in self.subjects:
            history = history_of(subject.own_cover(), (), DEFAULT_AT)
            self.histories[subject.info.domain] = history
            self.states[subject.info.domain] = self._loop.run(subject.rebuild, history)
        self.state: AnyValue = self.states[self.subjects[0].info.domain]

    def teardown(self) -> None:
        """Close the event loop, and put back what the code under test remembered beside the aggregates."""
        self._loop.__exit__(None, None, None)
        for world in self._worlds.values():
            world.restore()

    def is_worthwhile(self, subject: Subject, number: int) -> bool:
        """Whether to try a command now: one that seems to be refused is tried every third time.

        Args:
            subject: who handles it.
            number: its place among the commands handled.
        """
        history = self.histories[subject.info.domain]
        if (len(self._steps) + number) % 3 == 0:
            return True
        place = (subject.name, encode(history))
        known = self._own_search.known
        if place not in known:
            known[place] = self._all_unlikely(subject, history)
        return number not in known[place]

    def _all_unlikely(self, subject: Subject, history: "EventBook") -> frozenset[int]:
        classes = list(subject.info.handles.values())
        with loaded_dice():
            found = [
                number
                for number, cls in enumerate(classes)
                if not self._loop.run(is_likely, subject, history, cls)
            ]
        self._worlds[subject.name].restore()
        return frozenset(found) if len(found) < len(classes) else frozenset()

    def tell(self, subject: Subject, command: betterproto.Message) -> Outcome:
        """Let a command reach its aggregate, check the laws on it, and take over the events.

        Raises:
            LawBroken: a law that is checked on the way does not hold.
        """
        # rules and their commands depend on the state, so that even an example nobody wants any more has to live on
        self._is_wanted = self.goes_on(f"{subject.name} {source_of(command)}")
        domain = subject.info.domain
        history = self.histories[domain]
        when = When("command", (command,))
        with loaded_dice():
            case = Case(subject, history, when)
            for name in _CHECKED if self._is_wanted else ():
                self._check(LAWS[name], case)
            outcome = self._outcome(subject, history, when)
        if outcome.error is None and outcome.state_error is None:
            self.histories[domain] = extended(history, outcome.events)
            self.states[domain] = outcome.state
        self.outcome = outcome
        self.state = self.states[domain]
        return outcome

    def _outcome(self, subject: Subject, history: "EventBook", when: When) -> Outcome:
        """What comes of a command; for an example nobody wants any more, what came of it before."""
        key = (subject.name, encode(history), *map(encode, when.packed()))
        known = self._own_search.known
        if self._is_wanted or key not in known:
            random.seed(0)
            known[key] = self._loop.run(perform, subject, history, when, DEFAULT_AT)
        outcome: Outcome = known[key]
        return outcome

    def _check(self, law: Law, case: Case) -> None:
        if not law.binds(case.subject):
            return
        finding: Finding | None = self._loop.run(checked, law, case, self._worlds[case.subject.name])
        if finding is not None:
            self.has_failed()
            raise LawBroken(story(law, case, finding))

    def happened(self, domain: str | None = None) -> list[betterproto.Message]:
        """The events so far of the aggregate of a domain, unpacked; by default of the only or first one."""
        return unpacked(self.histories[domain or self.subjects[0].info.domain].pages)

    def story(self) -> str:
        """The events that an invariant failed on, with a scenario to paste."""
        parts = []
        for subject in self.subjects:
            history = self.histories[subject.info.domain]
            if not history.pages:
                continue
            source = Source()
            state = self.states[subject.info.domain]
            body = expression(source, subject, history, None, [("then_state", [("", state)])])
            parts.append(section(f"events of {subject.info.domain}", history_lines(history)))
            parts.append(
                "as a test to paste:\n\n" + file_around(f"{subject.name.lower()}_invariant", source, body)
            )
        return "\n".join(parts)


def aggregate_machine(
    router: AnyValue, *, commands: Commands | None = None, steps: int = 12, max_examples: int | None = None
) -> type[AggregateMachine]:
    """A hypothesis state machine with a rule for every command of a command handler router.

    ::

        class PlayerMachine(aggregate_machine(players)):
            @invariant()
            def nobody_is_in_debt(self):
                assert self.state.balance >= 0

        TestPlayers = PlayerMachine.TestCase

    After each command the laws ``coded``, ``sequences``, ``mutation``, ``encoding`` and ``replay`` are checked too.

    Args:
        router: a built router, a decorated handler class that needs no arguments, or an instance.
        commands: own strategies for some commands, by class; or functions from the state to a strategy.
        steps: the most commands in one run.
        max_examples: runs; by default what the hypothesis profile says.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, the router is none of command handlers.
    """
    subjects = tuple(s for s in subjects_of(router) if s.info.kind == "command_handler" and s.info.handles)
    if not subjects:
        raise InvalidArgumentError(
            "aggregate_machine() takes a router of command handlers that handle something"
        )
    rules: dict[str, AnyValue] = {}
    for subject in subjects:
        for number, cls in enumerate(subject.info.handles.values()):
            rule_name = _rule_name(cls, rules)
            rules[rule_name] = _rule(rule_name, subject, number, cls, commands or {})
    name = f"{subjects[0].name}Machine"
    machine: type[AggregateMachine] = type(name, (AggregateMachine,), {"subjects": subjects, **rules})
    machine.TestCase.settings = _settings(steps, max_examples)
    return machine


def _rule_name(cls: MessageClass, taken: Mapping[str, AnyValue]) -> str:
    name = betterproto.casing.snake_case(cls.__name__)
    return name if name not in taken and not hasattr(AggregateMachine, name) else f"{name}_command"


def _rule(name: str, subject: Subject, number: int, cls: MessageClass, commands: Commands) -> AnyValue:
    own = commands.get(cls)
    if own is None:
        tell = _teller(subject)
        tell.__name__ = name
        worthwhile = precondition(lambda machine: machine.is_worthwhile(subject, number))
        return worthwhile(rule(command=everyday_messages(cls))(tell))
    if isinstance(own, st.SearchStrategy):
        tell = _teller(subject)
        tell.__name__ = name
        return rule(command=own)(tell)
    tell = _drawing_teller(subject, own)
    tell.__name__ = name
    return rule(data=st.data())(tell)


def _teller(subject: Subject) -> Callable[..., None]:
    def tell(self: AggregateMachine, command: AnyValue) -> None:
        self.tell(subject, command)

    return tell


def _drawing_teller(subject: Subject, own: Callable[[AnyValue], AnyValue]) -> Callable[..., None]:
    def tell(self: AggregateMachine, data: AnyValue) -> None:
        self.tell(subject, data.draw(own(self.states[subject.info.domain]), label="command"))

    return tell


def _settings(steps: int, max_examples: int | None) -> settings:
    return settings(
        max_examples=max_examples or settings().max_examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
