"""Given a history, when something happens, then this follows: through the real router, under a frozen clock."""

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any as AnyValue
from typing import TypeAlias

import betterproto

from angzarr.errors import InvalidArgumentError
from angzarr.messages import Cover, EventBook, Snapshot, pack
from angzarr.messages.timestamps import frozen_time
from angzarr.testing import expectations as expect
from angzarr.testing.expectations import Addressed, Expectation
from angzarr.testing.performing import Outcome, When, history_of, perform
from angzarr.testing.report import (
    expression,
    history_lines,
    outcome_lines,
    rerun_line,
    section,
    when_lines,
)
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject, concerned, subjects_of

DEFAULT_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""What ``now()`` answers in a scenario that does not say otherwise."""

Given: TypeAlias = betterproto.Message


class ScenarioFailure(AssertionError):
    """A scenario did not go as it says; the text tells the whole story."""


@dataclass(frozen=True)
class _Plan:
    candidates: Sequence[Subject]
    at: datetime
    cover: Cover | None
    given: tuple[Given, ...] = ()
    snapshot: Snapshot | None = None
    when: When | None = None
    destinations: Mapping[str, int] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()


class Scenario:
    """One given/when/then; each step returns a new scenario, and awaiting it runs it.

    Made by ``scenario``. A prefix may be kept and continued in several ways. One that expects something and is never
    awaited warns.
    """

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._used = False

    def given(self, *events: Given) -> "Scenario":
        """The history: events of the aggregate or process, oldest first; of a projector, what it was shown before.

        Args:
            events: messages; an EventPage or EventBook is taken as it is, with its sequences.
        """
        return self._next(given=(*self._plan.given, *events))

    def given_snapshot(self, state: betterproto.Message, *, sequence: int) -> "Scenario":
        """A snapshot to start from; events given besides come after it.

        Args:
            state: the state it holds.
            sequence: of the last event it covers.
        """
        return self._next(snapshot=Snapshot(sequence=sequence, state=pack(state)))

    def given_destinations(self, sequences: Mapping[str, int]) -> "Scenario":
        """Next sequences of other domains, which sagas and process managers are told."""
        return self._next(destinations={**self._plan.destinations, **sequences})

    def when(
        self, *messages: betterproto.Message, cover: Cover | None = None, sequence: int | None = None
    ) -> "Scenario":
        """What happens: a command, or events to react to, to project or to upcast.

        Args:
            messages: the command (several are one atomic book), or the events of one book.
            cover: whose; by default an aggregate of the handler's own or first source domain.
            sequence: of the first page; by default what the history says, or 0 for a trigger.
        """
        kind = self._plan.candidates[0].info.kind
        return self._happen(
            When("command" if kind == "command_handler" else "event", messages, cover, sequence)
        )

    def when_fact(self, *facts: betterproto.Message, cover: Cover | None = None) -> "Scenario":
        """Facts from outside reach a command handler's ``@handles_fact`` methods."""
        self._only("when_fact", "command_handler")
        return self._happen(When("fact", facts, cover))

    def when_rejected(
        self,
        domain: str,
        command: str | betterproto.Message,
        *,
        reason: str = "",
        cover: Cover | None = None,
        source_seq: int = 0,
    ) -> "Scenario":
        """A command that an event of this aggregate or process caused was refused.

        Args:
            domain: who refused it.
            command: the command, or its name without package.
            reason: the refusing side's words.
            cover: whose event caused it; by default an aggregate of the handler's own domain.
            source_seq: that event's sequence.
        """
        self._only("when_rejected", "command_handler", "saga", "process_manager")
        name = command if isinstance(command, str) else type(command).__name__
        messages = () if isinstance(command, str) else (command,)
        return self._happen(
            When("rejection", messages, cover, source_seq or None, refused=(domain, name), reason=reason)
        )

    def _happen(self, when: When) -> "Scenario":
        if self._plan.when is not None:
            raise InvalidArgumentError(
                "a scenario has one when(): what happened earlier belongs into given(), "
                "and the commands of one book into one when()"
            )
        return self._next(when=when)

    def then(self, *events: betterproto.Message | type[betterproto.Message]) -> "Scenario":
        """Exactly these events follow, in this order: stored by the aggregate or process, or answered by the upcaster.

        Args:
            events: messages, compared field by field; a class stands for any message of it.
        """
        self._only("then", "command_handler", "process_manager", "upcaster")
        return self._follows("then", expect.events(events))

    def then_nothing(self) -> "Scenario":
        """Nothing follows: no event, no command, no fact, and of a projector no payload."""
        return self._follows("then_nothing", expect.nothing())

    def then_rejected(
        self, code: str | None = None, *, message: str | None = None, details: Mapping[str, str] | None = None
    ) -> "Scenario":
        """It is refused, with a coded error; a crash is no refusal.

        Args:
            code: of the rejection, or of the dispatch error; None for any.
            message: its static text; None for any.
            details: what its details must hold, at least.
        """
        return self._follows("then_rejected", expect.rejection(code, message, details or {}))

    def then_state(self, expected: object | Callable[[AnyValue], object]) -> "Scenario":
        """The state afterwards, folded from history and new events; after a rejection the one before.

        Args:
            expected: the state, compared by what it holds; or a predicate that must return something true.
        """
        self._only("then_state", "command_handler", "process_manager")
        return self._expect(expect.state(expected))

    def then_commands(self, *commands: Addressed) -> "Scenario":
        """Exactly these commands are sent, in this order.

        Args:
            commands: (domain, message), (domain, root, message) or a whole CommandBook each.
        """
        self._only("then_commands", "saga", "process_manager")
        return self._follows("then_commands", expect.books("command", commands))

    def then_facts(self, *facts: Addressed) -> "Scenario":
        """Exactly these facts are injected, in this order.

        Args:
            facts: (domain, message), (domain, root, message) or a whole EventBook each.
        """
        self._only("then_facts", "saga", "process_manager")
        return self._follows("then_facts", expect.books("fact", facts))

    def then_projection(self, expected: object | Callable[[AnyValue], object]) -> "Scenario":
        """The projector answers this payload.

        Args:
            expected: the message, compared field by field; or a predicate on it.
        """
        self._only("then_projection", "projector")
        return self._follows("then_projection", expect.projection(expected))

    def then_snapshot(self, expected: object | Callable[[AnyValue], object] | None = None) -> "Scenario":
        """A snapshot comes with the events, and it holds the state that all events give.

        Args:
            expected: that state, or a predicate on it; None for no more than that.
        """
        self._only("then_snapshot", "command_handler", "process_manager")
        return self._follows("then_snapshot", expect.snapshot(expected))

    def then_revocation(self, **expected: AnyValue) -> "Scenario":
        """The handler leaves it to the framework.

        Args:
            expected: fields of RevocationResponse and their values; others may be anything.
        """
        self._only("then_revocation", "command_handler")
        return self._follows("then_revocation", expect.revocation(expected))

    def then_obeys(self, law: str, *, after: betterproto.Message | None = None) -> "Scenario":
        """A law of ``router_laws`` holds for this example: what a broken law prints, to keep the bug from coming back.

        Args:
            law: its name.
            after: what happens next, or meanwhile to another aggregate, for laws that speak of such a thing.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, there is no such law, or it does not bind this kind of handler.
        """
        from angzarr.testing.laws.examples import obedience

        return self._expect(obedience(law, self._plan.candidates[0], self._plan.when, after, self._plan.at))

    def _only(self, step: str, *kinds: str) -> None:
        kind = self._plan.candidates[0].info.kind
        if kind not in kinds:
            allowed = " and ".join(k.replace("_", " ") + "s" for k in kinds)
            raise InvalidArgumentError(
                f"{step}() is for {allowed}; {self._plan.candidates[0].name} is a {kind.replace('_', ' ')}",
                details={"handler_kind": kind},
            )

    def _follows(self, step: str, expectation: Expectation) -> "Scenario":
        if self._plan.when is None:
            raise InvalidArgumentError(
                f"{step}() is about what follows: say first what happens, with when(...)"
            )
        return self._expect(expectation)

    def _expect(self, expectation: Expectation) -> "Scenario":
        return self._next(expectations=(*self._plan.expectations, expectation))

    def _next(self, **changes: AnyValue) -> "Scenario":
        self._used = True
        return Scenario(replace(self._plan, **changes))

    def __await__(self) -> Generator[AnyValue, None, Outcome]:
        self._used = True
        return self._run().__await__()

    def __del__(self) -> None:
        if not self._used and self._plan.expectations:
            warnings.warn(f"{self!r} was never awaited, so it tested nothing", RuntimeWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"scenario({self._plan.candidates[0].name})"

    async def _run(self) -> Outcome:
        __tracebackhide__ = True
        plan = self._plan
        subject = concerned(plan.candidates, *_types(plan))
        history = _history(plan, subject)
        when = None if plan.when is None else replace(plan.when, destinations=plan.destinations)
        if when is None:
            outcome = Outcome(state=await subject.rebuild(history) if subject.folds else None)
        else:
            outcome = await perform(subject, history, when, plan.at)
            outcome.error = outcome.error or outcome.state_error
        for expectation in plan.expectations:
            problem = await expectation.check(outcome, subject, history)
            if problem is not None:
                raise ScenarioFailure(
                    _story(plan, subject, history, when, outcome, problem)
                ) from outcome.error
        return outcome


def _types(plan: _Plan) -> list[type[betterproto.Message]]:
    happened = () if plan.when is None else plan.when.messages
    return [type(message) for message in (*happened, *plan.given)]


def _history(plan: _Plan, subject: Subject) -> EventBook:
    cover = plan.cover or subject.own_cover()
    if plan.when is not None and plan.when.cover is not None and subject.info.kind == "command_handler":
        cover = plan.when.cover
    start = EventBook()
    if plan.snapshot is not None:
        start = EventBook(snapshot=plan.snapshot, next_sequence=plan.snapshot.sequence + 1)
    return history_of(cover, (start, *plan.given), plan.at)


def _story(
    plan: _Plan,
    subject: Subject,
    history: EventBook,
    when: When | None,
    outcome: Outcome,
    problem: expect.Problem,
) -> str:
    came = problem.came if problem.came is not None else outcome_lines(outcome)
    parts = [
        f"{subject.name}: {problem.summary}\n",
        section("given", history_lines(history)),
        section("when", when_lines(when)),
        section("came", came),
        section("expected", problem.expected),
    ]
    if problem.difference:
        parts.append(section("difference", problem.difference))
    at = None if plan.at == DEFAULT_AT else plan.at
    again = expression(Source(), subject, history, when, at=at, cover=plan.cover)
    return "\n".join(parts) + "\n\n" + rerun_line(again)


def scenario(
    subject: AnyValue,
    *,
    at: datetime | None = None,
    cover: Cover | None = None,
    factory: Callable[[], AnyValue] | None = None,
) -> Scenario:
    """Start a given/when/then.

    ::

        await (
            scenario(Players)
            .given(PlayerRegistered(name="alice"))
            .when(DepositFunds(amount=50))
            .then(FundsDeposited(amount=50, new_balance=50))
        )

    Args:
        subject: a decorated handler class that needs no arguments, an instance of one, or a built router.
        at: what ``now()`` answers; by default the clock that is frozen already, else noon of 1 January 2026 UTC.
        cover: the aggregate; by default one of the handler's own domain.
        factory: makes the instances of a handler class that needs arguments.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, the subject is none of these, or ``at`` has no time zone.
        BuildError: the class cannot be built into a router.
    """
    if at is not None and at.tzinfo is None:
        raise InvalidArgumentError(
            "scenario(at=...) needs an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)",
            details={"field": "at"},
        )
    if factory is not None:
        from angzarr.router import Router

        subject = Router(subject.__name__).with_handler(subject, factory).build()
    return Scenario(_Plan(subjects_of(subject), at or frozen_time() or DEFAULT_AT, cover))
