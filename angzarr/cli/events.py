"""``angzarr events``: what is stored."""

import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.errors import UNREACHABLE, CommandLineError
from angzarr.cli.output import event_json, write_events, write_json, write_line
from angzarr.cli.reaching import connected, root_of, words_of
from angzarr.cli.vocabulary import Vocabulary
from angzarr.client import DomainClient
from angzarr.errors import ClientError
from angzarr.messages import EventBook, EventPage, Query, root_uuid_of

_AT_ONCE = 1000
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0


app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="events", no_args_is_help=True)
def events(
    domain: options.Domain,
    root: Annotated[
        str,
        typer.Option(
            "--root",
            "-r",
            help="The aggregate: a UUID, or any text. Without it, the domain's aggregates are listed.",
            show_default=False,
        ),
    ] = "",
    start: Annotated[int, typer.Option("--from", min=0, help="The first sequence to show.")] = 0,
    at: Annotated[
        str,
        typer.Option("--at", help="Up to this sequence, or up to this RFC 3339 time.", show_default=False),
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until interrupted.")] = False,
    edition: options.Edition = "",
    to: options.To = "",
    app_spec: options.App = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Show the events of an aggregate.

    With `--json` there is one line of JSON for each event.

    Examples:

        angzarr events player --root alice
        angzarr events player -r alice --from 10 --follow
        angzarr events player -r alice --at 2026-01-31T12:00:00Z --json
        angzarr events player
    """

    async def run() -> None:
        if not root:
            async with connected(domain, to) as client:
                await _list_roots(client, domain, as_json=as_json)
            return
        words = await words_of(domain, to, app_spec, timeout)
        wanted = _Wanted(domain, root_of(domain, root), edition)
        position = start
        async with connected(domain, to) as client:
            async for book in _books(client, wanted, start, at, timeout):
                if not as_json and position == start:
                    _write_heading(book, domain)
                _write([page for page in book.pages if page.header.sequence >= start], words, as_json=as_json)
                position = max(position, *(page.header.sequence + 1 for page in book.pages), 0)
        if follow:
            await _follow(wanted, to, position, words, as_json=as_json)

    anyio.run(run)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose events."""

    domain: str
    root: uuid.UUID
    edition: str

    def query(self, client: DomainClient, start: int, at: str = "") -> Query:
        """The query for them: from a sequence on as many as go into one book, or up to a point."""
        builder = client.query.query(self.domain, self.root).edition(self.edition)
        if at.isdigit():
            builder.as_of_sequence(int(at))
        elif at:
            builder.as_of_time(at)
        else:
            builder.range_to(start, start + _AT_ONCE - 1)
        return builder.build()


async def _books(
    client: DomainClient, wanted: _Wanted, start: int, at: str, timeout: float
) -> AsyncIterator[EventBook]:
    """The stored events, at least one book; several where one would be too large a message."""
    while True:
        book = await client.get_event_book(wanted.query(client, start, at), timeout)
        yield book
        start += _AT_ONCE
        if at or start >= book.next_sequence:
            return


def _write_heading(book: EventBook, domain: str) -> None:
    write_line((f"{domain}/{root_uuid_of(book)}", "bold"), (f"  next sequence {book.next_sequence}", "dim"))


def _write(pages: list[EventPage], words: Vocabulary, *, as_json: bool) -> None:
    if as_json:
        for page in pages:
            write_json(event_json(page, words))
    else:
        write_events(pages, words)


@dataclass(slots=True)
class _Position:
    """How far a reader is, and how long it waits before it asks again."""

    sequence: int
    pause: float = _FIRST_PAUSE

    def advance(self, book: EventBook) -> None:
        """Go behind a book; an empty one makes the next pause longer."""
        self.sequence = max(self.sequence, *(page.header.sequence + 1 for page in book.pages), 0)
        self.pause = _FIRST_PAUSE if book.pages else min(self.pause * 2, _LONGEST_PAUSE)


async def _follow(wanted: _Wanted, to: str, start: int, words: Vocabulary, *, as_json: bool) -> None:
    """Show events from a sequence on, for ever; a coordinator that goes away is waited for."""
    position = _Position(start)
    told = False
    while True:
        try:
            async with connected(wanted.domain, to) as client:
                told = False
                async for book in client.query.synchronize(_questions(client, wanted, position)):
                    _write(book.pages, words, as_json=as_json)
                    position.advance(book)
        except (ClientError, CommandLineError) as error:
            if not _is_away(error):
                raise
            if not told:
                sys.stderr.write("the coordinator is away; waiting for it\n")
            told = True
            await anyio.sleep(_LONGEST_PAUSE)


async def _questions(client: DomainClient, wanted: _Wanted, position: _Position) -> AsyncIterator[Query]:
    while True:
        await anyio.sleep(position.pause)
        yield wanted.query(client, position.sequence)


def _is_away(error: ClientError | CommandLineError) -> bool:
    if isinstance(error, CommandLineError):
        return error.exit_code == UNREACHABLE
    return error.is_connection_error()


async def _list_roots(client: DomainClient, domain: str, *, as_json: bool) -> None:
    count = 0
    async for found in client.query.get_aggregate_roots():
        if found.domain != domain:
            continue
        count += 1
        root = str(uuid.UUID(bytes=found.root.value))
        if as_json:
            write_json({"domain": domain, "root": root})
        else:
            write_line((f"{domain}/{root}", ""))
    if not as_json:
        write_line(
            (f"{count} {'aggregate' if count == 1 else 'aggregates'}; --root shows the events of one", "dim")
        )
