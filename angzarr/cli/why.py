"""``angzarr why``: the tree of causes."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.admin import administered
from angzarr.cli.errors import wrong_input
from angzarr.cli.output import write_json, write_line
from angzarr.cli.reaching import endpoint_of, root_of
from angzarr.messages import Cover, Edition, has_field, root_uuid_of, uuid_to_proto
from angzarr.messages.admin import Cause, ExplainRequest

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


class Format(StrEnum):
    """How the tree is written."""

    TREE = "tree"
    MERMAID = "mermaid"
    JSON = "json"


@app.command(name="why", no_args_is_help=True)
def why(
    event: Annotated[
        str,
        typer.Argument(
            metavar="DOMAIN/ROOT/SEQUENCE", help="The event, such as `player/alice/3`.", show_default=False
        ),
    ],
    style: Annotated[Format, typer.Option("--format", help="How to write the tree.")] = Format.TREE,
    edition: options.Edition = "",
    to: options.To = "",
    timeout: options.Timeout = 30.0,
    as_json: options.Json = False,
) -> None:
    """Show why an event happened and what came of it.

    The whole tree from its first cause: commands, events, the sagas and process managers that reacted, their commands,
    and the projectors that took it in, each with its time.

    Examples:

        angzarr why player/alice/3
        angzarr why player/51be5466-4ac1-5ac3-80c5-f4955503add0/3 --format mermaid
    """
    domain, root, sequence = _parse(event)
    cover = Cover(domain=domain, root=uuid_to_proto(root_of(domain, root)))
    if edition:
        cover.edition = Edition(name=edition)

    async def run() -> Cause:
        async with administered(endpoint_of(domain, to)) as admin:
            found: Cause = await admin.call.explain(
                ExplainRequest(cover=cover, sequence=sequence), timeout=timeout
            )
            return found

    tree = anyio.run(run)
    if as_json or style is Format.JSON:
        write_json(_as_json(tree, tree.received_at))
    elif style is Format.MERMAID:
        write_line(("\n".join(["flowchart TD", *_mermaid(tree, tree.received_at)]), ""))
    else:
        for line in _lines(tree, tree.received_at, (sequence, domain, cover.root.value)):
            write_line(*line)


def _parse(event: str) -> tuple[str, str, int]:
    domain, slash, rest = event.partition("/")
    root, second, sequence = rest.rpartition("/")
    if not (slash and second and domain and root and sequence.isdigit()):
        raise wrong_input(
            f"{event!r} does not name an event", "write domain/root/sequence, such as player/alice/3"
        )
    return domain, root, int(sequence)


_Parts = list[tuple[str, str]]


def _lines(tree: Cause, start: datetime, wanted: tuple[int, str, bytes]) -> Iterator[_Parts]:
    def walk(node: Cause, lead: str, joint: str, below: str) -> Iterator[_Parts]:
        is_wanted = (node.sequence, node.cover.domain, node.cover.root.value) == wanted
        yield [(lead + joint, "dim"), *_title(node, start, is_wanted=is_wanted)]
        for name, time in _projected(node, start):
            yield [(f"{lead}{below}  ", "dim"), (f"projected by {name}", "green"), (f"  {time}", "dim")]
        for at, caused in enumerate(node.caused):
            last = at == len(node.caused) - 1
            yield from walk(caused, lead + below, "└─ " if last else "├─ ", "   " if last else "│  ")

    return walk(tree, "", "", "")


def _title(node: Cause, start: datetime, *, is_wanted: bool) -> _Parts:
    command = f" ← {_short(node.command_type)}" if node.command_type else ""
    sender = f" by {node.component}" if node.component else (" by a client" if command else "")
    return [
        (_short(node.event_type), "bold reverse" if is_wanted else "bold"),
        (f"  {node.cover.domain}/{root_uuid_of(node.cover)}/{node.sequence}", "cyan"),
        (command + sender, ""),
        (f"  {_since(node.stored_at, start)}", "dim"),
    ]


def _projected(node: Cause, start: datetime) -> Iterator[tuple[str, str]]:
    for projected in node.projections:
        known = has_field(projected, "at")
        yield projected.projector, _since(projected.at, start) if known else "earlier or later; not known"


def _since(moment: datetime, start: datetime) -> str:
    return f"+{(moment - start).total_seconds() * 1000:.1f} ms"


def _short(name: str) -> str:
    return name.rpartition(".")[2] or "(stored elsewhere)"


def _mermaid(tree: Cause, start: datetime) -> Iterator[str]:
    count = 0

    def walk(node: Cause) -> Iterator[str]:
        nonlocal count
        mine, count = f"e{count}", count + 1
        place = f"{node.cover.domain} {node.sequence}<br/>{_since(node.stored_at, start)}"
        yield f'    {mine}["{_short(node.event_type)}<br/>{place}"]'
        for name, time in _projected(node, start):
            yield f'    {mine} -.-> p{count}(["{name}<br/>{time}"])'
            count += 1
        for caused in node.caused:
            label = " ".join(part for part in (caused.component, _short(caused.command_type)) if part)
            yield f'    {mine} -->|"{label}"| e{count}'
            yield from walk(caused)

    return walk(tree)


def _as_json(node: Cause, start: datetime) -> dict[str, Any]:
    return {
        "domain": node.cover.domain,
        "root": str(root_uuid_of(node.cover)),
        "sequence": node.sequence,
        "correlationId": node.cover.correlation_id,
        "event": node.event_type,
        "command": node.command_type,
        "component": node.component,
        "receivedAt": node.received_at.isoformat(),
        "storedAt": node.stored_at.isoformat(),
        "millisecondsSinceStart": round((node.stored_at - start).total_seconds() * 1000, 3),
        "projections": [
            {
                "projector": projected.projector,
                "at": projected.at.isoformat() if has_field(projected, "at") else None,
            }
            for projected in node.projections
        ],
        "caused": [_as_json(caused, start) for caused in node.caused],
    }
