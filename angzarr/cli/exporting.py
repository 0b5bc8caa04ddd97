"""Making a scenario of stored events, and running it before anybody sees it."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import betterproto

from angzarr.app import App
from angzarr.cli.errors import CommandLineError, wrong_input
from angzarr.codec.fields import TIMESTAMP
from angzarr.codec.schema import schema_of
from angzarr.errors import ClientError
from angzarr.messages import Cover, EventBook, EventPage, any_of, unpack_any
from angzarr.messages.admin import FoundCommand
from angzarr.testing.laws import LAWS
from angzarr.testing.performing import When, perform
from angzarr.testing.report import expression, file_around
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject, subjects_of


def subject_of(loaded: App, domain: str) -> Subject:
    """The command handler of a domain.

    Raises:
        CommandLineError: the application has none for it.
    """
    domains: set[str] = set()
    for router in loaded.routers:
        for subject in subjects_of(router):
            if subject.info.kind == "command_handler":
                if subject.info.domain == domain:
                    return subject
                domains.add(subject.info.domain)
    raise wrong_input(
        f"{loaded.name} has no command handler of the domain {domain!r}",
        f"its domains are {', '.join(sorted(domains))}"
        if domains
        else "give the application that has it with --app",
    )


async def written(
    subject: Subject, book: EventBook, at: int | None, title: str, found: FoundCommand | None = None
) -> str:
    """The source of a test that leads to a stored event, and has passed.

    Args:
        subject: the command handler.
        book: every stored event of the aggregate.
        at: the sequence of the event to test; None for the last one.
        title: what the test is named after.
        found: the command that was stored with the event, where it is known.

    Raises:
        CommandLineError: there is no such event, or no test passes.
    """
    pages = [page for page in book.pages if at is None or page.header.sequence <= at]
    if not pages or (at is not None and pages[-1].header.sequence != at):
        raise CommandLineError(
            f"there is no event {0 if at is None else at}",
            remedy=f"there are {len(book.pages)}" if book.pages else "the aggregate has no events",
        )
    name = re.sub(r"\W+", "_", f"{title}_at_{pages[-1].header.sequence}").lower()
    if found is not None:
        async for text in _exactly(subject, book, found, name):
            if await _passes(text, name):
                return text
    async for text in _candidates(subject, book.cover, pages, name):
        if await _passes(text, name):
            return text
    raise CommandLineError(
        "no test could be made from these events that passes",
        remedy="see with angzarr state what the appliers make of them, or try another event with --at",
    )


async def _candidates(
    subject: Subject, cover: Cover, pages: list[EventPage], name: str
) -> AsyncIterator[str]:
    for count in range(_count_at_once(pages), 0, -1):
        async for text in _given_when_then(subject, cover, pages[:-count], pages[-count:], name):
            yield text
    history = EventBook(cover=cover, pages=pages, next_sequence=len(pages))
    source = Source()
    state = await subject.rebuild(history)
    source.class_name(type(state))
    yield _file(name, source, expression(source, subject, history, None, [("then_state", [("", state)])]))
    for law in LAWS.values():
        if law.binds(subject) and not law.acts and not law.follows:
            source = Source()
            yield _file(
                name, source, expression(source, subject, history, None, [("then_obeys", [("", law.name)])])
            )


def _count_at_once(pages: list[EventPage]) -> int:
    """How many of the last events were stored together."""
    together = [page for page in pages if page.created_at == pages[-1].created_at]
    return len(together)


async def _exactly(subject: Subject, book: EventBook, found: FoundCommand, name: str) -> AsyncIterator[str]:
    """The scenario of the command that was stored with its events."""
    before = [page for page in book.pages if page.header.sequence < found.first_sequence]
    after = [
        page for page in book.pages if found.first_sequence <= page.header.sequence <= found.last_sequence
    ]
    sent = [payload for page in found.command.pages if (payload := any_of(page)) is not None]
    try:
        commands = tuple(unpack_any(payload) for payload in sent)
    except ClientError:
        return
    async for text in _tried(subject, book.cover, before, after, [commands], name):
        yield text


async def _given_when_then(
    subject: Subject, cover: Cover, before: list[EventPage], after: list[EventPage], name: str
) -> AsyncIterator[str]:
    first = any_of(after[0])
    guesses = [] if first is None else [(command,) for command in _commands(subject, unpack_any(first))]
    async for text in _tried(subject, cover, before, after, guesses, name):
        yield text


async def _tried(
    subject: Subject,
    cover: Cover,
    before: list[EventPage],
    after: list[EventPage],
    choices: Sequence[tuple[betterproto.Message, ...]],
    name: str,
) -> AsyncIterator[str]:
    history = EventBook(cover=cover, pages=before, next_sequence=after[0].header.sequence)
    expected = [unpack_any(payload) for page in after if (payload := any_of(page)) is not None]
    for moment in _moments(expected, after[0]):
        for commands in choices:
            when = When("command", commands)
            outcome = await perform(subject, history, when, moment)
            if outcome.error is None and outcome.messages == expected:
                source = Source()
                tail = [("then", [("", event) for event in expected])]
                yield _file(name, source, expression(source, subject, history, when, tail, at=moment))


def _moments(events: list[betterproto.Message], page: EventPage) -> Iterator[Any]:
    """Times at which the command may have been handled: what the events say, then when they were stored."""
    for event in events:
        for field in schema_of(type(event)).fields:
            if field.element.kind == TIMESTAMP and field.singular:
                yield getattr(event, field.name)
    yield page.created_at


def _commands(subject: Subject, event: betterproto.Message) -> Iterator[betterproto.Message]:
    """Each of the handler's commands, with the values of the event's fields of the same name and type."""
    given = {field.name: field for field in schema_of(type(event)).fields if not field.group}
    for cls in subject.info.handles.values():
        shared = [
            field.name
            for field in schema_of(cls).fields
            if not field.group
            and field.name in given
            and (field.element, field.repeated, field.key)
            == (given[field.name].element, given[field.name].repeated, given[field.name].key)
        ]
        make: Any = cls
        yield make(**{field: getattr(event, field) for field in shared})


def _file(name: str, source: Source, body: str) -> str:
    return (
        f'"""Made by `angzarr export-scenario` from stored events."""\n\n{file_around(name, source, body)}\n'
    )


async def _passes(text: str, name: str) -> bool:
    scope: dict[str, Any] = {}
    try:
        exec(compile(text, "<scenario>", "exec"), scope)
        await scope[f"test_{name}"]()
    except (
        AssertionError,
        ClientError,
        ArithmeticError,
        LookupError,
        NameError,
        SyntaxError,
        TypeError,
        ValueError,
    ):
        return False
    return True
