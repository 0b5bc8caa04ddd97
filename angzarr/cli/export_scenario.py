"""``angzarr export-scenario``: a test made from what is stored."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.admin import administered
from angzarr.cli.errors import CommandLineError, require_extra, wrong_input
from angzarr.cli.loading import load_app
from angzarr.cli.output import write_json, write_line
from angzarr.cli.reaching import connected, endpoint_of, root_of
from angzarr.errors import ClientError
from angzarr.messages import EventBook
from angzarr.messages.admin import ExplainRequest, FoundCommand

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

    The events before are given, and the command is the one that was stored with the event. Where that is not known, it
    is worked out by trying the handler's own commands with the event's fields; when none leads to the event, the test
    holds the state that the events give instead. The test is run before it is written.

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
    with require_extra("testing"):
        from angzarr.cli.exporting import subject_of, written
    subject = subject_of(load_app(spec), domain)

    async def run() -> str:
        async with connected(domain, to) as client:
            query = client.query.query(domain, root_of(domain, root)).edition(edition).range(0).build()
            book = await client.get_event_book(query, timeout)
        if not book.pages:
            raise CommandLineError(
                f"{aggregate} has no events", remedy="look for its domain and root once more"
            )
        found = await _command(book, at, domain, to, timeout)
        return await written(subject, book, at, f"{domain}_{root}", found)

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


async def _command(
    book: EventBook, at: int | None, domain: str, to: str, timeout: float
) -> FoundCommand | None:
    """The command that led to an event; None where the coordinator does not know it, or is not ours."""
    sequence = book.pages[-1].header.sequence if at is None else at
    try:
        async with administered(endpoint_of(domain, to)) as admin:
            asked = ExplainRequest(cover=book.cover, sequence=sequence)
            found: FoundCommand = await admin.call.find_command(asked, timeout=timeout)
            return found
    except (ClientError, CommandLineError):
        return None
