"""``angzarr events``: what is stored."""

import uuid
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.output import event_json, write_events, write_json, write_line
from angzarr.cli.reaching import connected, root_of, words_of
from angzarr.cli.vocabulary import Vocabulary
from angzarr.client import DomainClient
from angzarr.messages import EventBook, EventPage, Query, root_uuid_of

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
        async with connected(domain, to) as client:
            book = await client.get_event_book(_query(client, domain, root, edition, start, at), timeout)
            shown = [page for page in book.pages if page.header.sequence >= start]
            if not as_json:
                _write_heading(book, domain)
            _write(shown, words, as_json=as_json)
            if follow:
                await _follow(client, domain, root, edition, max(start, book.next_sequence), words, as_json)

    anyio.run(run)


def _query(client: DomainClient, domain: str, root: str, edition: str, start: int, at: str) -> Query:
    builder = client.query.query(domain, root_of(domain, root))
    if edition:
        builder.edition(edition)
    if at.isdigit():
        builder.as_of_sequence(int(at))
    elif at:
        builder.as_of_time(at)
    else:
        builder.range(start)
    return builder.build()


def _write_heading(book: EventBook, domain: str) -> None:
    write_line((f"{domain}/{root_uuid_of(book)}", "bold"), (f"  next sequence {book.next_sequence}", "dim"))


def _write(pages: list[EventPage], words: Vocabulary, *, as_json: bool) -> None:
    if as_json:
        for page in pages:
            write_json(event_json(page, words))
    else:
        write_events(pages, words)


async def _follow(
    client: DomainClient,
    domain: str,
    root: str,
    edition: str,
    start: int,
    words: Vocabulary,
    as_json: bool,
) -> None:
    position = start
    pause = _FIRST_PAUSE

    async def questions() -> AsyncIterator[Query]:
        while True:
            await anyio.sleep(pause)
            yield _query(client, domain, root, edition, position, "")

    async for book in client.query.synchronize(questions()):
        _write(book.pages, words, as_json=as_json)
        pause = _FIRST_PAUSE if book.pages else min(pause * 2, _LONGEST_PAUSE)
        position = max(position, book.next_sequence)


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
