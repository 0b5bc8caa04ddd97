"""``angzarr dead-letters``: what could not be done."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import typer
from anyio import to_thread

from angzarr.cli import options, vocabulary
from angzarr.cli.admin import AdminClient, administered, some_socket
from angzarr.cli.errors import FAILED, CommandLineError, wrong_input
from angzarr.cli.failing import explain
from angzarr.cli.jsonform.times import exact_timestamp, read_timestamp, write_timestamp
from angzarr.cli.output import write_json, write_line
from angzarr.client import SpeculativeClient
from angzarr.errors import ClientError
from angzarr.messages import (
    AngzarrDeadLetter,
    SpeculateCommandHandlerRequest,
    TemporalQuery,
    any_of,
    has_field,
    now,
    root_uuid_of,
    type_name_from_url,
)
from angzarr.messages.admin import DeadLetterRequest, ListDeadLettersRequest

app: typer.Typer = typer.Typer(
    help="What could not be done, and waits for a decision.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)

_ID = "angzarr.id"

_InDomain = Annotated[str, typer.Option("--domain", help="Only letters of this domain.", show_default=False)]
_Component = Annotated[
    str,
    typer.Option(
        "--component", help="Only letters of this saga, process manager or projector.", show_default=False
    ),
]
_Type = Annotated[
    str, typer.Option("--type", help="Only letters with a message of this name in them.", show_default=False)
]
_Since = Annotated[
    str, typer.Option("--since", help="Only letters from this RFC 3339 time on.", show_default=False)
]
_Until = Annotated[
    str, typer.Option("--until", help="Only letters up to this RFC 3339 time.", show_default=False)
]
_Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Which letters.", show_default=False)
]
_All = Annotated[bool, typer.Option("--all", help="Every letter that the options select.")]


@app.command(name="list")
def list_command(
    domain: _InDomain = "",
    component: _Component = "",
    message_type: _Type = "",
    since: _Since = "",
    until: _Until = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """List dead letters, newest last.

    Options select among them, and only letters that all of them fit are shown.

    Examples:

        angzarr dead-letters list
        angzarr dead-letters list --component seat-player --since 2026-01-31T00:00:00Z
    """
    wanted = _Filter(domain, component, message_type, since, until)

    async def run() -> list[AngzarrDeadLetter]:
        async with administered(to) as admin:
            return await _select(admin, wanted, timeout)

    letters = anyio.run(run)
    for letter in letters:
        if as_json:
            write_json(_summary(letter))
        else:
            write_line(*_line(letter))
    if not as_json and not letters:
        write_line(("no dead letters", "green"))


@app.command(name="show", no_args_is_help=True)
def show_command(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Which letter.", show_default=False)],
    to: options.To = "",
    app_spec: options.App = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Show one dead letter whole.

    Example:

        angzarr dead-letters show 7
    """

    async def run() -> tuple[AngzarrDeadLetter, vocabulary.Vocabulary]:
        async with administered(to) as admin:
            (letter,) = await _chosen(admin, [letter_id], None, timeout)
        return letter, await _words(to, app_spec, timeout)

    letter, words = anyio.run(run)
    shown = words.to_json(letter, original_names=not as_json)
    if as_json:
        write_json(shown)
    else:
        write_line(*_line(letter))
        write_line((json.dumps(shown, indent=2, ensure_ascii=False), ""))


@app.command(name="replay", no_args_is_help=True)
def replay_command(
    ids: _Ids = None,
    every: _All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; do nothing.")] = False,
    domain: _InDomain = "",
    component: _Component = "",
    message_type: _Type = "",
    since: _Since = "",
    until: _Until = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Try again what dead letters are about.

    A letter goes when that succeeds or is on its way.

    Examples:

        angzarr dead-letters replay 7
        angzarr dead-letters replay --all --type JoinTable --dry-run
    """
    wanted = _Filter(domain, component, message_type, since, until)
    _act("replayed", ids, wanted if every else None, to, timeout, as_json=as_json, dry_run=dry_run)


@app.command(name="skip", no_args_is_help=True)
def skip_command(
    ids: _Ids = None,
    every: _All = False,
    domain: _InDomain = "",
    component: _Component = "",
    message_type: _Type = "",
    since: _Since = "",
    until: _Until = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Let be what dead letters are about; what waited behind them goes on.

    Example:

        angzarr dead-letters skip 7 8
    """
    wanted = _Filter(domain, component, message_type, since, until)
    _act("skipped", ids, wanted if every else None, to, timeout, as_json=as_json, dry_run=False)


class _Filter:
    """Which letters the options select."""

    def __init__(self, domain: str, component: str, message_type: str, since: str, until: str) -> None:
        self.domain = domain
        self.component = component
        self._type = message_type
        self._since = read_timestamp(since, "--since") if since else None
        self._until = read_timestamp(until, "--until") if until else None

    def takes(self, letter: AngzarrDeadLetter) -> bool:
        """Whether a letter is selected."""
        names = set(_types(letter))
        short = {name.rpartition(".")[2] for name in names}
        return (
            (not self._type or self._type in names | short)
            and (self._since is None or letter.occurred_at >= self._since)
            and (self._until is None or letter.occurred_at <= self._until)
        )


async def _select(admin: AdminClient, wanted: _Filter, timeout: float) -> list[AngzarrDeadLetter]:
    request = ListDeadLettersRequest(domain=wanted.domain, component=wanted.component)
    answer = await admin.call.list_dead_letters(request, timeout=timeout)
    return [letter for letter in answer.letters if wanted.takes(letter)]


async def _chosen(
    admin: AdminClient, ids: list[str], wanted: _Filter | None, timeout: float
) -> list[AngzarrDeadLetter]:
    if wanted is not None:
        return await _select(admin, wanted, timeout)
    known = {
        letter.metadata[_ID]: letter for letter in await _select(admin, _Filter("", "", "", "", ""), timeout)
    }
    missing = [wanted_id for wanted_id in ids if wanted_id not in known]
    if missing:
        raise CommandLineError(
            f"there is no dead letter {', '.join(missing)}",
            remedy=f"there is {', '.join(known)}" if known else "there are none at all",
        )
    return [known[wanted_id] for wanted_id in ids]


def _act(
    action: str,
    ids: list[str] | None,
    wanted: _Filter | None,
    to: str,
    timeout: float,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    if bool(ids) == (wanted is not None):
        raise wrong_input("which letters?", "give their ids, or --all with options that select them")

    async def run() -> int:
        async with administered(to) as admin:
            letters = await _chosen(admin, ids or [], wanted, timeout)
            outcomes = [await _one(admin, letter, action, timeout, dry_run=dry_run) for letter in letters]
        for letter, (outcome, ok) in zip(letters, outcomes, strict=True):
            if as_json:
                write_json({"id": letter.metadata[_ID], "outcome": outcome, "ok": ok})
            else:
                write_line((letter.metadata[_ID], "bold"), (f"  {outcome}", "green" if ok else "red"))
        return sum(not ok for _, ok in outcomes)

    if anyio.run(run):
        raise typer.Exit(FAILED)


async def _one(
    admin: AdminClient, letter: AngzarrDeadLetter, action: str, timeout: float, *, dry_run: bool
) -> tuple[str, bool]:
    request = DeadLetterRequest(id=letter.metadata[_ID])
    try:
        if dry_run:
            return await _try(admin, letter, timeout), True
        if action == "replayed":
            await admin.call.replay_dead_letter(request, timeout=timeout)
        else:
            await admin.call.skip_dead_letter(request, timeout=timeout)
    except ClientError as error:
        told = explain(error)
        return (told.message if told else str(error)), False
    return action, True


async def _try(admin: AdminClient, letter: AngzarrDeadLetter, timeout: float) -> str:
    if not has_field(letter, "rejected_command"):
        return f"{letter.source_component} would be given its events again"
    assert admin.channel is not None
    request = SpeculateCommandHandlerRequest(
        command=letter.rejected_command, point_in_time=TemporalQuery(as_of_time=now())
    )
    answer = await SpeculativeClient.from_channel(admin.channel).command_handler(request, timeout)
    events = [
        type_name_from_url(payload.type_url) for page in answer.events.pages if (payload := any_of(page))
    ]
    return f"would cause {', '.join(name.rpartition('.')[2] for name in events) or 'nothing'}"


async def _words(to: str, app_spec: str, timeout: float) -> vocabulary.Vocabulary:
    if app_spec:
        return vocabulary.of_app(app_spec)
    return await vocabulary.of_coordinator(to or await to_thread.run_sync(some_socket), timeout)


def _types(letter: AngzarrDeadLetter) -> Iterator[str]:
    pages: list[Any] = [*letter.rejected_command.pages] if has_field(letter, "rejected_command") else []
    pages += [*letter.rejected_events.pages] if has_field(letter, "rejected_events") else []
    for page in pages:
        payload = any_of(page)
        if payload is not None:
            yield type_name_from_url(payload.type_url)


def _summary(letter: AngzarrDeadLetter) -> dict[str, Any]:
    return {
        "id": letter.metadata.get(_ID, ""),
        "occurredAt": write_timestamp(exact_timestamp(letter.occurred_at)),
        "domain": letter.cover.domain,
        "root": str(root_uuid_of(letter.cover) or ""),
        "component": letter.source_component,
        "componentType": letter.source_component_type,
        "types": list(_types(letter)),
        "reason": letter.rejection_reason,
    }


def _line(letter: AngzarrDeadLetter) -> list[tuple[str, str]]:
    shown = _summary(letter)
    types = ", ".join(name.rpartition(".")[2] for name in shown["types"])
    return [
        (f"{shown['id']:>4}  ", "bold"),
        (f"{shown['occurredAt']}  ", "dim"),
        (f"{shown['component']}  ", "cyan"),
        (f"{types}  ", ""),
        (f"{shown['domain']}/{shown['root']}  ", "dim"),
        (shown["reason"], "red"),
    ]
