"""What a law is: a sentence, to whom it applies, examples for it, and a check."""

import errno
import random
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any as AnyValue

import betterproto
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from hypothesis.vendor import pretty

from angzarr.codec import DecodeError, EncodeError, decode
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import Any, EventBook, full_name, type_name_from_url
from angzarr.router.state import Fold
from angzarr.testing.fields import values_of
from angzarr.testing.histories import Commands, Steps, lives
from angzarr.testing.loops import Loop
from angzarr.testing.performing import Outcome, Path, When, history_of, open_any, perform, unpacked
from angzarr.testing.purity import is_chance, noticed
from angzarr.testing.report import (
    error_line,
    expression,
    file_around,
    history_lines,
    rerun_line,
    section,
    when_lines,
)
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject
from angzarr.testing.values import Atom, Difference, Frozen, differences, freeze, tell
from angzarr.testing.world import World, packages_of

ABSURD = 1_000_000_000
"""Numbers beyond this overflow in honest arithmetic; laws do not hold that against a handler."""
LARGE = 1_000
"""Products of numbers beyond this may be too large for the field that they are put into."""


class LawBroken(AssertionError):
    """A router does not obey a law; the text has the shortest example found, as a test to paste.

    Args:
        text: what the law says, and the example.
        law: the name of the law.
    """

    def __init__(self, text: str, law: str = "") -> None:
        super().__init__(text)
        self.law = law


RERUNS = 3
"""How often an answer is asked for again to see whether it is the same by itself."""
_TOKEN = 8
_LOADED = ("random.", "uuid.")
"""Dice that fall alike from the same seed, or make identifiers and nothing else."""


@dataclass(frozen=True)
class Case:
    """An example that a law is checked on.

    Attributes:
        subject: the handler.
        history: what happened before.
        when: what happens now.
        after: what happens then, or meanwhile to another aggregate; None where the law does not need it.
        at: the time.
        observe: what a projector instance shows of what it has kept.
        idempotent: whether a projector is said to be idempotent.
    """

    subject: Subject
    history: EventBook
    when: When | None = None
    after: When | None = None
    at: datetime = DEFAULT_AT
    observe: Callable[[AnyValue], AnyValue] | None = None
    idempotent: bool = False

    def __repr__(self) -> str:
        events = list(history_lines(self.history))
        return f"given {events}, when {when_lines(self.when)}"

    def _repr_pretty_(self, printer: pretty.RepresentationPrinter, _cycle: bool) -> None:
        printer.text(repr(self))

    async def perform(
        self,
        when: When | None = None,
        history: EventBook | None = None,
        *,
        seed: int = 0,
        path: Path = "bytes",
    ) -> Outcome:
        """Let something happen: by default what happens now, to the history as it is. Dice are loaded alike."""
        random.seed(seed)
        chosen = when or self.when
        assert chosen is not None
        before = self.history if history is None else history
        return await perform(self.subject, before, chosen, self.at, path=path)

    async def is_settled(self, world: World) -> bool:
        """Whether the answer is the same however the dice fall and the clock runs, so that it can be compared."""
        return await self._is_same(world, range(RERUNS), answers=False)

    async def is_steady(self, world: World) -> bool:
        """Whether the answer is the same as long as loaded dice fall alike, made-up identifiers and times aside."""
        return await self._is_same(world, [0] * RERUNS, answers=True)

    async def _is_same(self, world: World, seeds: Iterable[int], *, answers: bool) -> bool:
        world.restore()
        with noticed(packages_of(self.subject)) as seen:
            first = outcome_parts(await self.perform())
        if any(is_chance(line) and not (answers and line.startswith(_LOADED)) for line in seen):
            return False
        for seed in seeds:
            world.restore()
            again = outcome_parts(await self.perform(seed=seed))
            if compare(first, again, "", "", "", answers=answers) is not None:
                return False
        return True

    def later(self) -> datetime:
        """Another time, far away."""
        return self.at + timedelta(days=401, hours=5, seconds=7)


@dataclass(frozen=True)
class Finding:
    """How a law is broken.

    Attributes:
        what: what is wrong, in a sentence.
        lines: the differences, or what came.
    """

    what: str
    lines: tuple[str, ...] = ()


Check = Callable[[Case, World], Awaitable[Finding | None]]


@dataclass(frozen=True)
class Law:
    """A law.

    Attributes:
        name: its name in test ids and in ``then_obeys``.
        says: the law, in a sentence.
        binds: whether it applies to a subject.
        check: tries it on a case; None when the case obeys.
        acts: whether its cases need something that happens.
        several: whether that should be several things in one book.
        follows: whether its cases need something that happens after, or elsewhere.
        garbled: whether payloads may be any bytes.
        effort: how many times as many examples to try as of other laws.
    """

    name: str
    says: str
    binds: Callable[[Subject], bool]
    check: Check
    acts: bool = True
    several: bool = False
    follows: bool = False
    garbled: bool = False
    effort: int = 1


@dataclass(frozen=True)
class Options:
    """What the user of the laws may say.

    Attributes:
        commands: own strategies for messages of some classes.
        observe: what a projector instance shows of what it has kept.
        idempotent: whether projectors are to be held to idempotence.
    """

    commands: Commands
    observe: Callable[[AnyValue], AnyValue] | None = None
    idempotent: bool = False


@st.composite
def cases(draw: DrawFn, law: Law, steps: Steps, loop: Loop, world: World, options: Options) -> Case:
    """Examples for a law."""
    world.restore()
    subject = steps.subject
    history, when = draw(lives(steps, loop, DEFAULT_AT))
    state = steps.state(loop, history)
    steps_now = steps.now(state)
    unlikely = steps.unlikely(loop, history)
    if unlikely:
        steps_now = st.one_of(steps.now(state, unlikely), steps_now)
    after = None
    if not law.acts:
        when = None
    elif when is None:
        excessive = steps.excessive(state, unlikely)
        when = draw(_anything(draw, steps, steps_now, excessive) if law.garbled else steps_now)
        if law.several:
            when = _joined(when, draw(st.lists(steps_now, max_size=3)))
    if law.follows:
        after = draw(steps_now)
    declared = bool(getattr(subject.info.cls, "idempotent", False))
    return Case(
        subject,
        history,
        when,
        after,
        observe=options.observe,
        idempotent=options.idempotent or declared,
    )


def _anything(
    draw: DrawFn, steps: Steps, steps_now: SearchStrategy[When], excessive: SearchStrategy[When]
) -> SearchStrategy[When]:
    """What people send, garbage, whatever can be encoded, or what people send with a huge number in it."""
    # chosen here, for one_of() would make one choice of all that each of these may be
    kinds = (steps_now, steps_now, steps.garbage, steps.wild, excessive, excessive)
    return kinds[draw(st.integers(0, len(kinds) - 1))]


def _joined(first: When, others: list[When]) -> When:
    """Several things of one kind, for one aggregate, as one book."""
    same = [other for other in others if other.kind == first.kind and other.kind != "rejection"]
    return replace(
        first, messages=first.messages + tuple(message for other in same for message in other.messages)
    )


async def checked(law: Law, case: Case, world: World) -> Finding | None:
    """Check a law on a case; user code that fails where the law needs it to work breaks the law too."""
    try:
        return await law.check(case, world)
    except Exception as error:
        if is_overflow(error, case):
            return None
        return Finding(
            "it could not even be tried: the handler, its state or an applier failed", (error_line(error),)
        )


def is_overflow(error: Exception, case: Case) -> bool:
    """Whether an error comes of numbers that are too large, rather than of a mistake."""
    happened = (*(case.when.messages if case.when is not None else ()), *unpacked(case.history.pages))
    if isinstance(error, EncodeError) and any(is_absurd(message, LARGE) for message in happened):
        return True
    if not any(map(is_absurd, happened)):
        return False
    of_the_system = isinstance(error, OSError) and error.errno == errno.EOVERFLOW
    return of_the_system or isinstance(
        error, EncodeError | ArithmeticError | MemoryError | ValueError | struct.error
    )


def is_absurd(message: betterproto.Message, limit: int = ABSURD) -> bool:
    """Whether a message holds a number so large that honest arithmetic overflows."""
    if isinstance(message, Any):
        return _absurd_payload(message, limit)
    return any(_absurd(held, limit) for _, held in values_of(message))


def _absurd(held: object, limit: int) -> bool:
    if isinstance(held, betterproto.Message):
        return is_absurd(held, limit)
    if isinstance(held, list):
        return any(_absurd(item, limit) for item in held)
    if isinstance(held, dict):
        return any(_absurd(item, limit) for item in held.values())
    if isinstance(held, datetime):
        return not 1970 <= held.year <= 2200
    if isinstance(held, timedelta):
        return abs(held) > timedelta(days=36_500)
    return isinstance(held, int | float) and not abs(held) <= limit


def _absurd_payload(payload: Any, limit: int) -> bool:
    opened = open_any(payload)
    return not isinstance(opened, Any) and is_absurd(opened, limit)


async def folded(case: Case, pages: EventBook) -> Frozen:
    """The state of a book, frozen."""
    return freeze(await case.subject.rebuild(pages))


def fold_of(subject: Subject) -> Fold:
    """How a subject's state follows from events."""
    return Fold(subject.compiled)


def part(book: EventBook, start: int, stop: int) -> EventBook:
    """Some of a book's pages, as a book; the sequences stay."""
    pages = book.pages[start:stop]
    first = book.next_sequence - len(book.pages)
    return EventBook(cover=book.cover, pages=list(pages), next_sequence=first + min(stop, len(book.pages)))


def fresh(case: Case) -> EventBook:
    """The empty history of the case's aggregate."""
    return history_of(case.history.cover, (), case.at)


def decodes(payload: Any, known: type[betterproto.Message]) -> bool:
    """Whether a payload is of a class and its bytes are an encoding of it."""
    try:
        if type_name_from_url(payload.type_url) != full_name(known):
            return False
        decode(known, payload.value)
    except (DecodeError, UnregisteredMessageError):
        return False
    return True


def outcome_parts(outcome: Outcome) -> Frozen:
    """All that came of something, frozen; of an error its class, code and text."""
    error = outcome.error
    return freeze(
        {
            "error": None if error is None else error_line(error),
            "events": outcome.messages,
            "commands": outcome.commands,
            "facts": outcome.facts,
            "projection": outcome.projection,
            "revocation": outcome.revocation,
            "notification": outcome.notification,
        }
    )


def compare(
    left: Frozen,
    right: Frozen,
    what: str,
    left_name: str,
    right_name: str,
    *,
    answers: bool = False,
    times: bool = False,
) -> Finding | None:
    """A finding if two frozen values differ.

    Args:
        left: one value.
        right: the other.
        what: what it means if they differ.
        left_name: what to call the one.
        right_name: what to call the other.
        answers: whether they are answers of handlers, which may make up identifiers and read clocks.
        times: whether they may at least read clocks.
    """
    found = [
        one
        for one in differences(left, right)
        if not (answers and _is_token(one)) and not (times and _is_time(one))
    ]
    return Finding(what, tuple(tell(found, left_name, right_name))) if found else None


def _is_token(difference: Difference) -> bool:
    """Whether it is only an identifier that was made up anew, or a time that was read from a running clock."""
    left, right = _plain(difference.left), _plain(difference.right)
    if isinstance(left, str | bytes) and isinstance(right, str | bytes):
        return min(len(left), len(right)) >= _TOKEN and not difference.path.endswith('["error"]')
    return _is_time(difference)


def _is_time(difference: Difference) -> bool:
    return all(isinstance(_plain(side), datetime) for side in (difference.left, difference.right))


def _plain(value: Frozen) -> object:
    return value.value if isinstance(value, Atom) else None


def story(law: Law, case: Case, finding: Finding) -> str:
    """A broken law, told: the law, the example, what is wrong, and a test that shows it."""
    source = Source()
    arguments: list[tuple[str, object]] = [("", law.name)]
    if case.after is not None and case.after.messages:
        arguments.append(("after=", case.after.messages[0]))
    body = expression(source, case.subject, case.history, case.when, [("then_obeys", arguments)])
    parts = [
        f"{case.subject.name} breaks a law: {law.says}\n",
        section("what is wrong", (finding.what, *finding.lines)),
        section("given", history_lines(case.history)),
    ]
    if law.acts:
        parts.append(section("when", when_lines(case.when)))
    if law.follows:
        parts.append(section("and", when_lines(case.after)))
    name = f"{case.subject.name.lower()}_obeys_{law.name}"
    parts.append("\nas a test to paste:\n\n" + file_around(name, source, body))
    return "\n".join(parts) + "\n\n" + _rerun(body)


def _rerun(body: str) -> str:
    line = rerun_line(body)
    return line if "pytest" in line else ""
