"""Commands for a router, and histories made by running them: what can really have happened."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any as AnyValue
from typing import TypeAlias

import betterproto
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from angzarr.codec import clone, encode
from angzarr.errors import InvalidArgumentError
from angzarr.messages import UUID, Any, Cover, EventBook, full_name, message_class, registered_names, type_url
from angzarr.testing.fields import carries_long_numbers, fields_of, long_numbers
from angzarr.testing.loops import Loop
from angzarr.testing.performing import Outcome, When, extended, history_of, is_coded, open_any, perform
from angzarr.testing.probes import is_likely
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.strategies import (
    everyday_messages,
    excessive_numbers,
    messages,
    plausible_messages,
    print_as_source,
    unhurried,
)
from angzarr.testing.subject import Subject, subjects_of

MessageClass: TypeAlias = type[betterproto.Message]
Commands: TypeAlias = Mapping[
    AnyValue, SearchStrategy[AnyValue] | Callable[[AnyValue], SearchStrategy[AnyValue]]
]
"""How to make commands of some classes: a strategy, or a function from the state to one."""

MAX_EVENTS = 5
"""Histories are at most this long: short enough to read, long enough for what goes wrong."""
_PATIENCE = 3
"""Things to try per event wanted: in most states most commands are refused."""


def commands_for(router: AnyValue, **fixed: AnyValue) -> SearchStrategy[betterproto.Message]:
    """Commands that a command handler router handles, of every class, in plausible and in wild shapes.

    Args:
        router: a built router, a handler class or an instance.
        fixed: field name → value or strategy, used for the commands that have such a field.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, it handles no commands.
    """
    classes = [
        cls
        for subject in subjects_of(router)
        if subject.info.kind == "command_handler"
        for cls in subject.info.handles.values()
    ]
    if not classes:
        raise InvalidArgumentError(f"{router!r} handles no commands; commands_for() takes command handlers")
    return unhurried(st.one_of([_with_fixed(cls, fixed) for cls in classes]))


def _with_fixed(cls: MessageClass, fixed: Mapping[str, AnyValue]) -> SearchStrategy[betterproto.Message]:
    known = {field.name for field in fields_of(cls)}
    return plausible_messages(cls, **{name: value for name, value in fixed.items() if name in known})


class Steps:
    """What can happen to a subject.

    Args:
        subject: the handler.
        commands: own strategies for some message classes.
    """

    def __init__(self, subject: Subject, commands: Commands) -> None:
        self.subject = subject
        self._commands = commands
        self._depends = any(not isinstance(own, SearchStrategy) for own in commands.values())
        self._known: dict[frozenset[int], SearchStrategy[When]] = {}
        self._outcomes: dict[bytes, Outcome] = {}
        self._unlikely: dict[bytes, frozenset[int]] = {}
        self.garbage: SearchStrategy[When] = _of_any_class(subject, _garbage)
        self.wild: SearchStrategy[When] = _of_any_class(subject, _wildly)
        self.count: int = len(_choices(subject, {}, None))
        self._without_numbers = frozenset(
            number for number, cls in enumerate(_handled(subject)) if not carries_long_numbers(cls)
        )

    def now(self, state: AnyValue, without: frozenset[int] = frozenset()) -> SearchStrategy[When]:
        """One thing that can happen in a state.

        Args:
            state: what functions among the own strategies are given.
            without: numbers of kinds of things that shall not happen, below ``count``.
        """
        found = None if self._depends else self._known.get(without)
        if found is None:
            choices = _choices(self.subject, self._commands, state)
            allowed = [choice for number, choice in enumerate(choices) if number not in without]
            found = self._known[without] = st.one_of(allowed or choices or [st.just(When("event"))])
        return found

    def excessive(self, state: AnyValue, unlikely: frozenset[int]) -> SearchStrategy[When]:
        """As ``now``, with one of the 64-bit numbers in it far beyond what people send.

        Args:
            state: as of ``now``.
            unlikely: as ``without`` of ``now``.
        """
        return _excessive(self.now(state, unlikely | self._without_numbers))

    def unlikely(self, loop: Loop, history: EventBook) -> frozenset[int]:
        """Numbers of the kinds of commands that an aggregate seems to refuse after a history; empty if all of them."""
        if self.subject.info.kind != "command_handler":
            return frozenset()
        key = encode(history)
        found = self._unlikely.get(key)
        if found is None:
            handled = self.subject.info.handles.values()
            with loaded_dice():
                found = frozenset(
                    number
                    for number, cls in enumerate(handled)
                    if cls not in self._commands and not loop.run(is_likely, self.subject, history, cls)
                )
            if len(found) == len(handled):
                found = frozenset()
            self._unlikely[key] = found
        return found

    def outcome(self, loop: Loop, history: EventBook, when: When, at: datetime) -> Outcome:
        """What comes of something, the same each time it is asked: examples must be the same when they are replayed."""
        key = (
            repr((when.kind, when.refused)).encode() + encode(history) + b"".join(map(encode, when.packed()))
        )
        found = self._outcomes.get(key)
        if found is None:
            with loaded_dice():
                found = self._outcomes[key] = loop.run(perform, self.subject, history, when, at)
        return found

    def state(self, loop: Loop, history: EventBook) -> AnyValue:
        """The state that functions among the own strategies are given; None where there are none."""
        if not self._depends or not self.subject.folds:
            return None
        with loaded_dice():
            return loop.run(self.subject.rebuild, history)


def _choices(subject: Subject, commands: Commands, state: AnyValue) -> list[SearchStrategy[When]]:
    info = subject.info
    if info.kind == "command_handler":
        choices = [_message(cls, commands, state).map(_as_command) for cls in info.handles.values()]
        choices += [_message(cls, commands, state).map(_as_fact) for cls in info.facts.values()]
    elif info.kind == "upcaster":
        choices = [_message(cls, commands, state).map(_as_event) for cls in _handled(subject)]
    else:
        covers = trigger_covers(subject)
        choices = [
            st.builds(_as_event, _message(cls, commands, state), covers) for cls in info.handles.values()
        ]
    return choices + [_rejections(subject, domain, name, commands) for domain, name in info.rejected]


def _handled(subject: Subject) -> list[MessageClass]:
    """The classes of what can happen, in the order of the choices; those of rejections, which come last, left out."""
    info = subject.info
    if info.kind == "upcaster":
        pairs = [pair for entry in subject.router.entries for pair in entry.compiled.info.upcasts]
        return list(dict.fromkeys(cls for pair in pairs for cls in pair))
    return [*info.handles.values(), *info.facts.values()]


def _message(cls: MessageClass, commands: Commands, state: AnyValue) -> SearchStrategy[AnyValue]:
    own = commands.get(cls)
    if own is None:
        return everyday_messages(cls)
    return own if isinstance(own, SearchStrategy) else own(state)


def _as_command(message: betterproto.Message) -> When:
    return When("command", (message,))


def _as_fact(message: betterproto.Message) -> When:
    return When("fact", (message,))


def _as_event(message: betterproto.Message, cover: Cover | None = None) -> When:
    return When("event", (message,), cover)


def trigger_covers(subject: Subject) -> SearchStrategy[Cover]:
    """Covers of the domains a subject listens to, of two aggregates each."""
    domains = [domain for domain in subject.info.sources or subject.info.domains if domain != "*"] or ["any"]
    return st.builds(
        Cover,
        domain=st.sampled_from(domains),
        root=st.sampled_from([1, 2]).map(_root),
        correlation_id=st.just("scenario"),
    )


def _root(number: int) -> AnyValue:
    return UUID(value=bytes(15) + bytes([number]))


def _rejections(subject: Subject, domain: str, name: str, commands: Commands) -> SearchStrategy[When]:
    url = next((full for full in registered_names() if full.rpartition(".")[2] == name), None)
    cover = st.none() if subject.info.kind == "command_handler" else trigger_covers(subject)
    if url is None:
        return cover.map(lambda whose: When("rejection", cover=whose, refused=(domain, name)))
    refused = _message(message_class(url), commands, None)
    return st.builds(
        lambda command, whose: When("rejection", (command,), whose, refused=(domain, name), reason="refused"),
        refused,
        cover,
    )


def _of_any_class(
    subject: Subject, make: Callable[[AnyValue, MessageClass], SearchStrategy[When]]
) -> SearchStrategy[When]:
    """Something of one of the classes that a subject handles."""
    info = subject.info
    kinds = [("command" if info.kind == "command_handler" else "event", cls) for cls in info.handles.values()]
    kinds += [("fact", cls) for cls in info.facts.values()]
    kinds += [("event", old) for old, _ in info.upcasts]
    return st.one_of([make(kind, cls) for kind, cls in kinds] or [st.just(When("event"))])


def _garbage(kind: AnyValue, cls: MessageClass) -> SearchStrategy[When]:
    """Payloads under a class's type URL, whose bytes may be anything."""
    cut = st.tuples(everyday_messages(cls).map(encode), st.integers(0, 8), st.binary(max_size=3)).map(
        lambda parts: parts[0][: max(0, len(parts[0]) - parts[1])] + parts[2]
    )
    url = type_url(full_name(cls))
    return st.one_of(st.binary(max_size=12), cut).map(
        lambda value: When(kind, (_tidied(Any(type_url=url, value=value)),))
    )


def _wildly(kind: AnyValue, cls: MessageClass) -> SearchStrategy[When]:
    """Messages of a class that hold whatever can be encoded."""
    return messages(cls).map(lambda message: When(kind, (message,)))


@st.composite
def _excessive(draw: DrawFn, happening: SearchStrategy[When]) -> When:
    """Something that happens, with one of its 64-bit numbers far beyond what people send."""
    when = draw(happening)
    happened = tuple(map(clone, when.messages))
    numbers = [found for message in happened for found in long_numbers(message)]
    if numbers:
        owner, field = draw(st.sampled_from(numbers))
        setattr(owner, field.name, draw(excessive_numbers(field.wraps or field.proto_type)))
    return replace(when, messages=happened)


def _tidied(payload: Any) -> betterproto.Message:
    """The message itself where the bytes are exactly what it encodes to."""
    opened = open_any(payload)
    return opened if opened is not payload and encode(opened) == payload.value else payload


@st.composite
def lives(draw: DrawFn, steps: Steps, loop: Loop, at: datetime) -> tuple[EventBook, When | None]:
    """A history of at most ``MAX_EVENTS`` events, made by letting things happen to the subject.

    With it what made the handler crash or emit what cannot be applied, if something did: there it ends.
    """
    subject = steps.subject
    history = history_of(subject.own_cover(), (), at)
    if not subject.folds:
        return history, None
    wanted = draw(st.integers(0, MAX_EVENTS))
    # leaving some kinds out gets past the ones that end everything, such as closing an account
    without: frozenset[int] = _some_of(draw, steps.count) if wanted > 1 else frozenset()
    state = steps.state(loop, history)
    path, refused = [(history, state)], 0
    for turn in range(_PATIENCE * (wanted + 1)):
        if len(history.pages) >= wanted:
            break
        left_out = without if len(path) > 1 else frozenset[int]()
        if turn % _PATIENCE < _PATIENCE - 1:
            left_out |= steps.unlikely(loop, history)
        when = draw(steps.now(state, left_out))
        outcome = steps.outcome(loop, history, when, at)
        if outcome.state_error is not None or (outcome.error is not None and not is_coded(outcome.error)):
            return history, when
        if outcome.error is None and len(history.pages) + len(outcome.events) <= MAX_EVENTS:
            history, state, refused = extended(history, outcome.events), outcome.state, 0
            path.append((history, state))
        elif (refused := refused + 1) >= _PATIENCE and len(path) > 1:
            path.pop()
            (history, state), refused = path[-1], 0
    return history, None


def _some_of(draw: DrawFn, count: int) -> frozenset[int]:
    return draw(st.frozensets(st.integers(0, count - 1), max_size=count // 2)) if count > 1 else frozenset()


@contextmanager
def loaded_dice() -> Iterator[None]:
    """Let ``random`` fall the same way each time, and leave hypothesis's own dice alone."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)


def event_books(
    handler: AnyValue, *, wild: bool = False, commands: Commands | None = None
) -> SearchStrategy[EventBook]:
    """Histories of a command handler or process manager.

    Args:
        handler: the decorated class, an instance, or a built router (its first class).
        wild: events of every kind the handler applies or emits in any order and shape, which need not make sense;
            otherwise what running commands through the handler gives, at most five events long.
        commands: own strategies for some of the commands, by class; or functions from the state to one.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, it has no state.
    """
    subject = subjects_of(handler)[0]
    if not subject.folds:
        raise InvalidArgumentError(
            f"{subject.name} has no history; event_books() takes command handlers and process managers"
        )
    print_as_source(EventBook)
    if wild:
        return unhurried(_wild(subject))
    steps = Steps(subject, commands or {})
    return unhurried(_plausible(steps), lambda: _try_out(steps))


def _wild(subject: Subject) -> SearchStrategy[EventBook]:
    events = [plausible_messages(cls) for cls in subject.info.applies.values()]
    listed = st.lists(st.one_of(events), max_size=2 * MAX_EVENTS) if events else st.just([])
    return listed.map(lambda happened: history_of(subject.own_cover(), happened, DEFAULT_AT))


def _try_out(steps: Steps) -> None:
    """Let the codec and the router prepare what they do once."""
    with Loop() as loop:
        steps.unlikely(loop, history_of(steps.subject.own_cover(), (), DEFAULT_AT))


@st.composite
def _plausible(draw: DrawFn, steps: Steps) -> EventBook:
    with Loop() as loop:
        return draw(lives(steps, loop, DEFAULT_AT))[0]
