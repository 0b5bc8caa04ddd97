"""Hypothesis state machines over aggregates: every command in every order, with the user's invariants in between."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from typing import Any as AnyValue

import betterproto
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from angzarr.codec import encode
from angzarr.errors import InvalidArgumentError
from angzarr.testing.echoes import Seen, echoing, seen_in
from angzarr.testing.histories import Commands, MessageClass, loaded_dice
from angzarr.testing.laws import LAWS
from angzarr.testing.laws.base import Case, Law, LawBroken, checked, story
from angzarr.testing.loops import Loop
from angzarr.testing.performing import Outcome, When, extended, history_of, unpacked
from angzarr.testing.probes import is_likely
from angzarr.testing.report import expression, file_around, history_lines, section
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.shrinking import BrieflyShrunk, steps_of_ours
from angzarr.testing.simpler import simpler
from angzarr.testing.source import Source
from angzarr.testing.strategies import everyday_messages, print_as_source
from angzarr.testing.subject import Subject, subjects_of
from angzarr.testing.world import World

if TYPE_CHECKING:
    from angzarr.messages import EventBook

SEARCHING = 20.0
"""Seconds of processor time to search where the number of runs is not said."""
_EFFORT = 4
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

    def close(self) -> None:
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
        if (len(self._steps) + number) % 3 == 0:
            return True
        history = self.histories[subject.info.domain]
        place = (subject.name, encode(history))
        known = self._own_search.known
        if place not in known:
            with loaded_dice():
                known[place] = self._loop.run(_all_unlikely, subject, history)
            self._worlds[subject.name].restore()
        return number not in known[place]

    def seen(self, domain: str) -> Seen:
        """What the aggregate of a domain holds, and what its events have said."""
        return seen_in(self.states[domain], self.happened(domain))

    def tell(self, subject: Subject, command: betterproto.Message) -> Outcome:
        """Let a command reach its aggregate, check the laws on it, and take over the events.

        Raises:
            LawBroken: a law that is checked on the way does not hold.
        """
        domain = subject.info.domain
        history = self.histories[domain]
        with loaded_dice():
            outcome = self._loop.run(
                self._told_to, subject, Case(subject, history, When("command", (command,)))
            )
        if outcome.error is None and outcome.state_error is None:
            self.histories[domain] = extended(history, outcome.events)
            self.states[domain] = outcome.state
        self.outcome = outcome
        self.state = self.states[domain]
        return outcome

    async def _told_to(self, subject: Subject, case: Case) -> Outcome:
        for law in self._laws:
            if law.binds(subject):
                finding = await checked(law, case, self._worlds[subject.name])
                if finding is not None:
                    raise LawBroken(story(law, case, finding), law.name)
        return await case.perform()

    @property
    def _laws(self) -> list[Law]:
        """The laws to check on the way; where an example is made shorter, only the one that it breaks."""
        names = _CHECKED if self._wanted is None else self._wanted[1:2]
        return [LAWS[name] for name in names if name]

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
        max_examples: runs; by default four times what the hypothesis profile says, and ``SEARCHING`` seconds at most.

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
            print_as_source(cls)
            rule_name = _rule_name(cls, rules)
            rules[rule_name] = _rule(rule_name, subject, number, cls, commands or {})
    name = f"{subjects[0].name}Machine"
    body = {
        "subjects": subjects,
        "search_seconds": math.inf if max_examples else SEARCHING,
        "wanted_settings": _settings(steps, max_examples),
        **rules,
    }
    return type(name, (AggregateMachine,), body)


def _rule_name(cls: MessageClass, taken: Mapping[str, AnyValue]) -> str:
    name = betterproto.casing.snake_case(cls.__name__)
    return name if name not in taken and not hasattr(AggregateMachine, name) else f"{name}_command"


def _rule(name: str, subject: Subject, number: int, cls: MessageClass, commands: Commands) -> AnyValue:
    own = commands.get(cls)

    def tell(self: AggregateMachine, command: AnyValue) -> None:
        self.tell(subject, command)

    tell.__name__ = name
    if own is None:
        ours = steps_of_ours(tell, simplify={"command": simpler})
        worthwhile = precondition(lambda machine: machine.is_worthwhile(subject, number))
        everyday = everyday_messages(cls)
        commands_now = st.runner().flatmap(
            lambda machine: echoing(everyday, machine.seen(subject.info.domain))
        )
        return worthwhile(rule(command=commands_now)(ours))
    if isinstance(own, st.SearchStrategy):
        return rule(command=own)(steps_of_ours(tell))
    depending = st.runner().flatmap(lambda machine: own(machine.states[subject.info.domain]))
    return rule(command=depending)(steps_of_ours(tell))


async def _all_unlikely(subject: Subject, history: "EventBook") -> frozenset[int]:
    """The numbers of the commands that an aggregate seems to refuse after a history; none if all of them."""
    handled = list(subject.info.handles.values())
    found = [number for number, cls in enumerate(handled) if not await is_likely(subject, history, cls)]
    return frozenset(found) if len(found) < len(handled) else frozenset()


def _settings(steps: int, max_examples: int | None) -> settings:
    return settings(
        max_examples=max_examples or settings().max_examples * _EFFORT,
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
