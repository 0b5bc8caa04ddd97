"""What a scenario may expect, each with a way to tell how it was not met."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any as AnyValue
from typing import TypeAlias

import betterproto

from angzarr.errors import ClientError, DispatchError
from angzarr.messages import CommandBook, EventBook, any_of
from angzarr.testing.performing import Outcome, code_of, extended, open_any
from angzarr.testing.report import addressed
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject
from angzarr.testing.values import differences, freeze, tell

Addressed: TypeAlias = (
    tuple[str, betterproto.Message]
    | tuple[str, bytes | uuid.UUID, betterproto.Message]
    | CommandBook
    | EventBook
)
Expected: TypeAlias = object | Callable[[AnyValue], object]


@dataclass(frozen=True)
class Problem:
    """How an expectation was not met.

    Attributes:
        summary: in a few words.
        expected: what was expected, as lines.
        difference: what differs, as lines.
        came: what came instead, where that is not the outcome itself.
    """

    summary: str
    expected: list[str]
    difference: list[str] = field(default_factory=list)
    came: list[str] | None = None


@dataclass(frozen=True)
class Expectation:
    """Something a scenario expects of an outcome."""

    check: Callable[[Outcome, Subject, EventBook], Awaitable[Problem | None]]


def _sync(check: Callable[[Outcome], Problem | None]) -> Expectation:
    async def checked(outcome: Outcome, _subject: Subject, _history: EventBook) -> Problem | None:
        return check(outcome)

    return Expectation(checked)


def _failed(outcome: Outcome, expected: list[str]) -> Problem | None:
    if outcome.error is None:
        return None
    refused = bool(code_of(outcome.error))
    return Problem("it was rejected" if refused else "the handler crashed", expected)


def events(expected: Sequence[betterproto.Message | type[betterproto.Message]]) -> Expectation:
    """Exactly these events."""

    def check(outcome: Outcome) -> Problem | None:
        lines = [_shown(event) for event in expected]
        failed = _failed(outcome, lines)
        if failed is not None:
            return failed
        found = compare_lists("event", expected, outcome.messages)
        return Problem("other events followed", lines, found) if found else None

    return _sync(check)


def _shown(expected: object) -> str:
    return f"any {expected.__name__}" if isinstance(expected, type) else Source().value(expected)


def compare_lists(what: str, expected: Sequence[object], came: Sequence[object]) -> list[str]:
    """The differences between expected and actual messages, item by item."""
    lines = []
    for index in range(max(len(expected), len(came))):
        if index >= len(came):
            lines.append(f"{what} {index}: expected {_shown(expected[index])}, nothing came")
        elif index >= len(expected):
            lines.append(f"{what} {index}: nothing expected, came {_shown(came[index])}")
        else:
            lines += _compare(f"{what} {index}", expected[index], came[index])
    return lines


def _compare(what: str, expected: object, came: object) -> list[str]:
    wanted = expected if isinstance(expected, type) else type(expected)
    if wanted is not type(came):
        return [f"{what}: expected {_shown(expected)}, came {_shown(came)}"]
    if isinstance(expected, type):
        return []
    found = differences(freeze(expected), freeze(came))
    return [f"{what}: {type(expected).__name__}.{line}" for line in tell(found, "expected", "came")]


def nothing() -> Expectation:
    """No events, commands or facts, nor a projection that says anything."""

    def check(outcome: Outcome) -> Problem | None:
        expected = ["nothing"]
        if outcome.error is not None:
            return _failed(outcome, expected)
        answer = (outcome.events, outcome.commands, outcome.facts, outcome.revocation, outcome.notification)
        projected = outcome.projection is not None and outcome.projection.projection.type_url
        return Problem("something followed", expected) if projected or any(answer) else None

    return _sync(check)


def rejection(code: str | None, message: str | None, details: Mapping[str, str]) -> Expectation:
    """A coded refusal."""
    wanted = f"rejected with {code or 'any code'}"
    lines = [f"{wanted}: {message}" if message else wanted]
    lines += [f"details[{key!r}] = {value!r}" for key, value in details.items()]

    def check(outcome: Outcome) -> Problem | None:
        error = outcome.error
        if error is None:
            return Problem("it was not rejected", lines)
        if not isinstance(error, ClientError | DispatchError):
            return Problem("the handler crashed", lines)
        return _compare_rejection(error)

    def _compare_rejection(error: ClientError | DispatchError) -> Problem | None:
        held = error.details if isinstance(error, ClientError) else error.extras
        found = []
        if code is not None and code_of(error) != code:
            found.append(f"code: expected {code}, came {code_of(error) or 'none'}")
        if message is not None and error.message != message:
            found.append(f"message: expected {message!r}, came {error.message!r}")
        for key, value in details.items():
            if held.get(key) != str(value):
                found.append(f"details[{key!r}]: expected {str(value)!r}, came {held.get(key)!r}")
        return Problem("it was rejected otherwise", lines, found) if found else None

    return _sync(check)


def judge(what: str, expected: Expected, came: AnyValue) -> Problem | None:
    """A value against the expected one, or against a predicate."""
    shown = [Source().value(came)]
    if callable(expected) and not isinstance(expected, betterproto.Message):
        verdict = expected(came)
        name = getattr(expected, "__name__", repr(expected))
        if verdict:
            return None
        return Problem(f"the {what} is not as it should be", [f"{name}({what}) to be true"], came=shown)
    found = differences(freeze(expected), freeze(came))
    if not found:
        return None
    lines = tell(found, "expected", "came", what)
    return Problem(f"the {what} is another", [Source().value(expected)], lines, came=shown)


def state(expected: Expected) -> Expectation:
    """The state afterwards."""

    def check(outcome: Outcome) -> Problem | None:
        error = outcome.error
        if error is not None and not code_of(error):
            return _failed(outcome, [_shown(expected) if not callable(expected) else "a state"])
        return judge("state", expected, outcome.state)

    return _sync(check)


def projection(expected: Expected) -> Expectation:
    """A projector's payload."""

    def check(outcome: Outcome) -> Problem | None:
        if outcome.error is not None or outcome.projection is None:
            return _failed(outcome, ["a projection"])
        payload = outcome.projection.projection
        return judge("projection", expected, open_any(payload) if payload.type_url else None)

    return _sync(check)


def snapshot(expected: Expected | None) -> Expectation:
    """A snapshot that holds the state, and this one."""

    async def check(outcome: Outcome, subject: Subject, history: EventBook) -> Problem | None:
        wanted = ["a snapshot"]
        if outcome.error is not None:
            return _failed(outcome, wanted)
        if outcome.snapshot is None:
            return Problem("no snapshot came", wanted)
        held = open_any(outcome.snapshot.state)
        covered = [page for page in outcome.events if page.header.sequence <= outcome.snapshot.sequence]
        folded = await subject.rebuild(extended(history, covered))
        return judge("snapshot", folded, held) or (
            None if expected is None else judge("snapshot", expected, held)
        )

    return Expectation(check)


def revocation(expected: Mapping[str, AnyValue]) -> Expectation:
    """A revocation with these fields."""

    def check(outcome: Outcome) -> Problem | None:
        lines = [f"{name}={value!r}" for name, value in expected.items()] or ["a revocation"]
        if outcome.error is not None:
            return _failed(outcome, lines)
        answer = outcome.revocation
        if answer is None:
            return Problem("nothing was revoked", lines)
        found = [
            f"{name}: expected {value!r}, came {getattr(answer, name)!r}"
            for name, value in expected.items()
            if getattr(answer, name) != value
        ]
        return Problem("it was revoked otherwise", lines, found) if found else None

    return _sync(check)


def books(what: str, expected: Sequence[Addressed]) -> Expectation:
    """Exactly these books for other aggregates."""

    def check(outcome: Outcome) -> Problem | None:
        lines = [_address(item) for item in expected]
        if outcome.error is not None:
            return _failed(outcome, lines)
        came = outcome.commands if what == "command" else outcome.facts
        found = []
        for index in range(max(len(expected), len(came))):
            if index >= len(came):
                found.append(f"{what} {index}: expected {lines[index]}, nothing came")
            elif index >= len(expected):
                found.append(f"{what} {index}: nothing expected, came {addressed(Source(), came[index])}")
            else:
                found += _compare_book(f"{what} {index}", expected[index], came[index])
        return Problem(f"other {what}s followed", lines, found) if found else None

    return _sync(check)


def _address(item: Addressed) -> str:
    if isinstance(item, CommandBook | EventBook):
        return addressed(Source(), item)
    domain, *root, message = item
    where = f"to {domain}/{_root(root[0]).hex()}" if root else f"to {domain}"
    return f"{where}: {Source().value(message)}"


def _root(root: object) -> bytes:
    return root.bytes if isinstance(root, uuid.UUID) else bytes(root)  # type: ignore[call-overload]


def _compare_book(what: str, expected: Addressed, came: CommandBook | EventBook) -> list[str]:
    if isinstance(expected, CommandBook | EventBook):
        return [
            f"{what}: {line}"
            for line in tell(differences(freeze(expected), freeze(came)), "expected", "came")
        ]
    domain, *root, message = expected
    lines = []
    if came.cover.domain != domain:
        lines.append(f"{what}: domain: expected {domain!r}, came {came.cover.domain!r}")
    if root and came.cover.root.value != _root(root[0]):
        lines.append(
            f"{what}: root: expected {_root(root[0]).hex()}, came {came.cover.root.value.hex() or 'none'}"
        )
    payloads = [payload for page in came.pages if (payload := any_of(page)) is not None]
    return lines + compare_lists(f"{what}, page", [message], [open_any(payload) for payload in payloads])
