"""``angzarr export-scenario``: a test made from what is stored."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import betterproto
import typer

from angzarr.app import App
from angzarr.cli import options
from angzarr.cli.errors import CommandLineError, wrong_input
from angzarr.cli.loading import load_app
from angzarr.cli.output import write_json, write_line
from angzarr.cli.reaching import connected, root_of
from angzarr.codec.schema import schema_of
from angzarr.errors import ClientError
from angzarr.messages import Cover, EventBook, EventPage, any_of, unpack_any
from angzarr.testing.laws import LAWS
from angzarr.testing.performing import When, perform
from angzarr.testing.report import expression, file_around
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject, subjects_of

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="export-scenario", no_args_is_help=True)
def export_scenario(
    aggregate: Annotated[
        str,
        typer.Argument(
            metavar="DOMAIN/ROOT", help="The aggregate, such as `player/alice`.", show_default=False
        ),
    ],
    spec: Annotated[
        str,
        typer.Option(
            "--app",
            envvar="ANGZARR_APP",
            help="The application as module:attribute, such as `players:app`.",
            show_default=False,
        ),
    ] = "",
    at: Annotated[
        int | None,
        typer.Option(min=0, help="The event to test; by default the last one.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A file to write; by default stdout.", show_default=False),
    ] = None,
    edition: options.Edition = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Write a given/when/then test from an aggregate's stored events.

    The events before are given. The command that leads to the event is worked out by trying the handler's own commands
    with the event's fields; when none does, the test holds the state that the events give instead. The test is run
    before it is written.

    Examples:

        angzarr export-scenario player/alice --app players:app > tests/test_alice.py
        angzarr export-scenario player/alice --at 3 --app players:app --out tests/test_alice.py
    """
    domain, slash, root = aggregate.partition("/")
    if not (domain and slash and root):
        raise wrong_input(
            f"{aggregate!r} does not name an aggregate", "write domain/root, such as player/alice"
        )
    if not spec:
        raise wrong_input("whose handlers?", "give --app module:attribute, or set ANGZARR_APP")
    if out is not None and out.exists():
        raise wrong_input(f"{out} is there already", "choose another file")
    subject = _subject(load_app(spec), domain)

    async def run() -> str:
        async with connected(domain, to) as client:
            query = client.query.query(domain, root_of(domain, root)).edition(edition).range(0).build()
            book = await client.get_event_book(query, timeout)
        return await _written(subject, book, at, f"{domain}_{root}")

    text = anyio.run(run)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        write_json({"file": str(out) if out else None, "text": text})
    elif out is None:
        print(text, end="")
    else:
        write_line((f"{out} is written", "green"))


def _subject(loaded: App, domain: str) -> Subject:
    for router in loaded.routers:
        for subject in subjects_of(router):
            if subject.info.kind == "command_handler" and subject.info.domain == domain:
                return subject
    raise wrong_input(f"{loaded.name} has no command handler of the domain {domain!r}")


async def _written(subject: Subject, book: EventBook, at: int | None, title: str) -> str:
    pages = [page for page in book.pages if at is None or page.header.sequence <= at]
    if not pages or (at is not None and pages[-1].header.sequence != at):
        raise CommandLineError(
            f"there is no event {0 if at is None else at}",
            remedy=f"there are {len(book.pages)}" if book.pages else "the aggregate has no events",
        )
    name = re.sub(r"\W+", "_", f"{title}_at_{pages[-1].header.sequence}").lower()
    async for text in _candidates(subject, book.cover, pages, name):
        if await _passes(text, name):
            return text
    raise CommandLineError("no test could be made from these events that passes")


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


async def _given_when_then(
    subject: Subject, cover: Cover, before: list[EventPage], after: list[EventPage], name: str
) -> AsyncIterator[str]:
    history = EventBook(cover=cover, pages=before, next_sequence=after[0].header.sequence)
    expected = [unpack_any(payload) for page in after if (payload := any_of(page)) is not None]
    for moment in _moments(expected, after[0]):
        for command in _commands(subject, expected[0]):
            outcome = await perform(subject, history, When("command", (command,)), moment)
            if outcome.error is None and outcome.messages == expected:
                source = Source()
                tail = [("then", [("", event) for event in expected])]
                body = expression(source, subject, history, When("command", (command,)), tail)
                at = source.value(moment)
                yield _file(name, source, body.replace(f"({subject.name})", f"({subject.name}, at={at})", 1))


def _moments(events: list[betterproto.Message], page: EventPage) -> Iterator[Any]:
    """Times at which the command may have been handled: what the events say, then when they were stored."""
    for event in events:
        for field in schema_of(type(event)).fields:
            if field.element.kind == "timestamp" and field.singular:
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
