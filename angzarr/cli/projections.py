"""``angzarr projections``: how far the projectors are, and starting one anew."""

from typing import Annotated

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.admin import administered
from angzarr.cli.output import write_json, write_line
from angzarr.messages import Empty
from angzarr.messages.admin import Projector, RebuildProjectorRequest

app: typer.Typer = typer.Typer(
    help="How far the projectors are, and feeding one anew.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


@app.command(name="list")
def list_command(to: options.To = "", timeout: options.Timeout = 30.0, as_json: options.Json = False) -> None:
    """List the projectors of a running coordinator.

    Example:

        angzarr projections list
    """

    async def run() -> list[Projector]:
        async with administered(to) as admin:
            return list((await admin.call.list_projectors(Empty(), timeout=timeout)).projectors)

    projectors = anyio.run(run)
    for projector in projectors:
        _show(projector, as_json=as_json)
    if not projectors and not as_json:
        write_line(("no projectors", ""))


def _show(projector: Projector, *, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "name": projector.name,
                "domains": list(projector.domains),
                "behind": projector.behind,
                "parked": projector.parked,
            }
        )
        return
    state = f"{projector.behind} aggregates behind" if projector.behind else "up to date"
    write_line(
        (f"{projector.name:24}", "bold"),
        (f"{', '.join(projector.domains):24}", "cyan"),
        (state, "yellow" if projector.behind else "green"),
        (f", {projector.parked} parked: see angzarr dead-letters" if projector.parked else "", "red"),
    )


@app.command(name="rebuild", no_args_is_help=True)
def rebuild_command(
    name: Annotated[str, typer.Argument(metavar="PROJECTOR", help="Its name.", show_default=False)],
    to: options.To = "",
    as_json: options.Json = False,
) -> None:
    """Feed a projector every event from the first, beside the live one, which it then replaces.

    The projector is called with old events again: it has to be able to take them, or to start from nothing.

    Example:

        angzarr projections rebuild standings
    """

    async def run() -> int:
        done = 0
        async with administered(to) as admin:
            async for progress in admin.call.rebuild_projector(RebuildProjectorRequest(name=name)):
                done = progress.done
                if as_json:
                    write_json({"done": progress.done, "total": progress.total})
                else:
                    write_line((f"{progress.done} of {progress.total}", "dim"))
        return done

    done = anyio.run(run)
    if not as_json:
        write_line((f"{name} is rebuilt from {done} events", "green"))
