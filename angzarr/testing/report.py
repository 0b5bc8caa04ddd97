"""What a failing scenario or law prints: history, command, what came, and the code that makes it happen again."""

import os
import shlex
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from datetime import datetime

import angzarr
from angzarr.messages import CommandBook, Cover, EventBook, Projection, any_of, has_field
from angzarr.testing.performing import Outcome, When, code_of, open_any, unpacked
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject

INDENT = "    "
_STARTED_IN = os.getcwd()
_NOT_THE_USERS = (*{path for path in sysconfig.get_paths().values() if path}, angzarr.__path__[0], "<")


def section(title: str, lines: Iterable[str]) -> str:
    """A titled block; one that says so when there is nothing in it."""
    body = "\n".join(_indented(line) for line in lines) or f"{INDENT}(nothing)"
    return f"{title}\n{body}"


def _indented(text: str) -> str:
    return "\n".join(f"{INDENT}{line}" if line else line for line in text.splitlines())


def history_lines(book: EventBook) -> list[str]:
    """A history, event by event, with its snapshot."""
    source = Source()
    lines = []
    if has_field(book, "snapshot"):
        state = source.value(open_any(book.snapshot.state))
        lines.append(f"snapshot at sequence {book.snapshot.sequence}: {state}")
    return lines + [source.value(event) for event in unpacked(book.pages)]


def when_lines(when: When | None) -> list[str]:
    """What happened."""
    if when is None:
        return []
    source = Source()
    happened = [source.value(payload) for payload in when.messages]
    if when.kind == "rejection":
        command = happened[0] if happened else when.refused[1]
        return [f"{when.refused[0]} refused {command}: {when.reason or 'no reason given'}"]
    whose = [] if when.cover is None else [f"of {source.value(when.cover)}"]
    return [*([f"as {when.kind}"] if when.kind == "fact" else []), *happened, *whose]


def outcome_lines(outcome: Outcome) -> list[str]:
    """What came of it."""
    if outcome.error is not None:
        return [error_line(outcome.error)]
    source = Source()
    lines = [source.value(event) for event in outcome.messages]
    if outcome.state_error is not None:
        lines.append(f"which could not be applied: {error_line(outcome.state_error)}")
    lines += [addressed(source, book) for book in outcome.commands]
    lines += [f"fact {addressed(source, book)}" for book in outcome.facts]
    if outcome.projection is not None:
        lines.append(projection_line(source, outcome.projection))
    for name in ("revocation", "notification"):
        answer = getattr(outcome, name)
        if answer is not None:
            lines.append(source.value(answer))
    return lines


def addressed(source: Source, book: CommandBook | EventBook) -> str:
    """A book for another aggregate, by domain, root and content."""
    payloads = [payload for page in book.pages if (payload := any_of(page)) is not None]
    messages = [source.value(open_any(payload)) for payload in payloads]
    return f"to {book.cover.domain}/{book.cover.root.value.hex()}: {', '.join(messages)}"


def projection_line(source: Source, projection: Projection) -> str:
    """What a projector answered."""
    if not projection.projection.type_url:
        return f"projection of {projection.projector or 'nobody'} at {projection.sequence}, without payload"
    return source.value(open_any(projection.projection))


def error_line(error: BaseException) -> str:
    """An error with its code, or with the place in the user's code where it was raised."""
    code = code_of(error)
    if code:
        return f"rejected with {code}: {getattr(error, 'message', None) or error}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)] or frames
    place = f", at {os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""
    return f"raised {type(error).__name__}: {error}{place}"


def rerun_line(expression: str) -> str:
    """How to run it again: the test under pytest, else the scenario itself."""
    current = os.environ.get("PYTEST_CURRENT_TEST", "")
    if current:
        return f"rerun with: python -m pytest {shlex.quote(_from_here(current.rpartition(' ')[0]))}"
    return f"rerun with:\n{INDENT}{expression}"


def _from_here(node: str) -> str:
    """A test's id, whose file pytest names from its root directory, as it can be said where pytest was started."""
    path, separator, rest = node.partition("::")
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    if os.path.join(_STARTED_IN, path) not in files:
        path = next((file for file in files if file.endswith(os.sep + path)), path)
    return path.removeprefix(_STARTED_IN + os.sep) + separator + rest


def expression(
    source: Source,
    subject: Subject,
    history: EventBook,
    when: When | None,
    tail: Sequence[tuple[str, Sequence[tuple[str, object]]]] = (),
    *,
    at: datetime | None = None,
    cover: Cover | None = None,
) -> str:
    """A scenario as the expression to await.

    Args:
        source: collects the imports.
        subject: the handler.
        history: what is given.
        when: what happens; None for nothing.
        tail: further calls, as (method, [(``"name="`` or ``""``, value)]).
        at: what ``now()`` answers, if it matters.
        cover: the aggregate, if it matters.
    """
    begun = f"{source.name('angzarr.testing', 'scenario')}({source.class_name(subject.info.cls)}"
    options = [("at=", at), ("cover=", cover)]
    begun += "".join(f", {name}{source.value(value, 8)}" for name, value in options if value is not None)
    lines = [f"{begun})"]
    if has_field(history, "snapshot"):
        snapshot = open_any(history.snapshot.state)
        arguments = [("", snapshot), ("sequence=", history.snapshot.sequence)]
        lines.append(source.call(".given_snapshot", arguments, 8))
    if history.pages:
        lines.append(source.call(".given", [("", event) for event in unpacked(history.pages)], 8))
    if when is not None:
        if when.destinations:
            lines.append(source.call(".given_destinations", [("", dict(when.destinations))], 8))
        lines.append(_when(source, when))
    lines += [source.call(f".{method}", arguments, 8) for method, arguments in tail]
    body = "\n".join(f"        {line}" for line in lines)
    return f"await (\n{body}\n    )"


def _when(source: Source, when: When) -> str:
    named: list[tuple[str, object]] = []
    if when.cover is not None and not _is_usual(when.cover):
        named.append(("cover=", when.cover))
    if when.kind == "rejection":
        domain, command = when.refused
        arguments = [("", domain), ("", when.messages[0] if when.messages else command)]
        if when.reason:
            named.insert(0, ("reason=", when.reason))
        if when.sequence:
            named.append(("source_seq=", when.sequence))
        return source.call(".when_rejected", [*arguments, *named], 8)
    if when.sequence is not None:
        named.append(("sequence=", when.sequence))
    method = ".when_fact" if when.kind == "fact" else ".when"
    return source.call(method, [*(("", message) for message in when.messages), *named], 8)


def _is_usual(cover: Cover) -> bool:
    return cover.correlation_id == "scenario" and not has_field(cover, "edition")


def file_around(name: str, source: Source, body: str, why: str = "") -> str:
    """A whole test file around a scenario: its imports, then the function."""
    remark = f"    # {why}\n" if why else ""
    return "\n".join([*source.imports(), "", "", f"async def test_{name}():", f"{remark}    {body}"])
