"""``angzarr send``: one command, from JSON."""

import sys
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.errors import wrong_input
from angzarr.cli.jsonform import loads
from angzarr.cli.output import event_json, write_events, write_json, write_line
from angzarr.cli.reaching import connected, root_of, words_of
from angzarr.cli.vocabulary import Vocabulary
from angzarr.client import DomainClient
from angzarr.messages import (
    CommandResponse,
    MergeStrategy,
    SpeculateCommandHandlerRequest,
    SyncMode,
    TemporalQuery,
    domain_of,
    now,
    root_uuid_of,
)


class Mode(StrEnum):
    """What the answer waits for."""

    ASYNC = "async"
    SIMPLE = "simple"
    CASCADE = "cascade"
    DECISION = "decision"
    ISOLATED = "isolated"


class Merge(StrEnum):
    """What happens to a command that expects another sequence than the aggregate's."""

    STRICT = "strict"
    COMMUTATIVE = "commutative"
    AGGREGATE_HANDLES = "aggregate-handles"
    MANUAL = "manual"


app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="send", no_args_is_help=True)
def send(
    domain: options.Domain,
    message: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE",
            help="The command: its full protobuf name, or the end of it, such as `RegisterPlayer`.",
            show_default=False,
        ),
    ],
    body: Annotated[
        str,
        typer.Argument(
            metavar="[JSON]",
            help="Its fields as JSON; `@file` reads a file, `-` reads stdin.",
            show_default=False,
        ),
    ] = "{}",
    root: options.Root = "",
    new: Annotated[bool, typer.Option("--new", help="A new aggregate, with a random root.")] = False,
    sequence: Annotated[
        int | None,
        typer.Option(
            min=0, help="The sequence it must be at; without it the handler decides.", show_default=False
        ),
    ] = None,
    merge: Annotated[
        Merge | None,
        typer.Option(
            help="When it is not at --sequence: refuse (`strict`), compare states (`commutative`), let the handler "
            "decide (`aggregate-handles`), or put the command aside (`manual`). By default `strict` with --sequence.",
            show_default=False,
        ),
    ] = None,
    sync_mode: Annotated[Mode, typer.Option(help="What the answer waits for.")] = Mode.ASYNC,
    correlation_id: Annotated[
        str, typer.Option(help="What exchange it belongs to.", show_default=False)
    ] = "",
    edition: options.Edition = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; store nothing.")
    ] = False,
    to: options.To = "",
    app_spec: options.App = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Send a command and show the events it caused.

    The coordinator is asked for the message types, so this works from any directory; `--app` takes them from an
    application instead.

    Examples:

        angzarr send player RegisterPlayer '{"name": "alice"}' --root alice
        angzarr send player DepositFunds '{"amount": 50}' -r alice --sequence 1
        angzarr send player DepositFunds @deposit.json -r alice --dry-run --to 127.0.0.1:1310
    """
    if new and root:
        raise wrong_input("--new and --root exclude each other", "give one of them")
    if not new and not root:
        raise wrong_input(
            "which aggregate is meant?", "give --root (a UUID or any text), or --new for a new one"
        )
    text = _read(body)
    loads(text)

    async def run() -> None:
        words = await words_of(domain, to, app_spec, timeout)
        command = words.from_json(words.message(message, domain), text)
        target = uuid.uuid4() if new else root_of(domain, root)
        async with connected(domain, to) as client:
            builder = client.command_handler.command(domain, target).with_command(command)
            builder.with_correlation_id(correlation_id)
            builder.with_merge_strategy(_strategy(merge, sequence)).with_sequence(sequence or 0)
            book = builder.build()
            if edition:
                book.cover.edition.name = edition
            response = await _execute(client, book, sync_mode, timeout, dry_run=dry_run)
        _show(response, words, as_json=as_json)

    anyio.run(run)


def _strategy(merge: Merge | None, sequence: int | None) -> MergeStrategy:
    chosen = merge or (Merge.AGGREGATE_HANDLES if sequence is None else Merge.STRICT)
    return MergeStrategy.from_string(f"MERGE_{chosen.name}")


async def _execute(
    client: DomainClient, book: Any, mode: Mode, timeout: float, *, dry_run: bool
) -> CommandResponse:
    if dry_run:
        request = SpeculateCommandHandlerRequest(command=book, point_in_time=TemporalQuery(as_of_time=now()))
        return await client.command_handler.handle_sync_speculative(request, timeout)
    return await client.execute_with_mode(book, SyncMode.from_string(mode.name), timeout)


def _read(body: str) -> str:
    try:
        if body == "-":
            return sys.stdin.read()
        return Path(body[1:]).read_text(encoding="utf-8") if body.startswith("@") else body
    except OSError as error:
        raise wrong_input(f"{body[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise wrong_input(f"{body} is not UTF-8 text") from None


def _show(response: CommandResponse, words: Vocabulary, *, as_json: bool) -> None:
    book = response.events
    root = str(root_uuid_of(book) or "")
    if as_json:
        write_json(
            {
                "domain": domain_of(book),
                "root": root,
                "correlationId": book.cover.correlation_id,
                "events": [event_json(page, words) for page in book.pages],
                "nextSequence": book.next_sequence,
                "projections": [words.to_json(projection) for projection in response.projections],
            }
        )
        return
    write_line((f"{domain_of(book)}/{root}", "bold"), (f"  correlation {book.cover.correlation_id}", "dim"))
    write_events(book.pages, words)
    if not book.pages:
        write_line(("  accepted; nothing changed", "dim"))
    for projection in response.projections:
        write_line((f"  projected by {projection.projector} up to {projection.sequence}", "green"))
