"""``angzarr dev``: a whole application on this machine."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import typer

from angzarr.app import App
from angzarr.cli import options
from angzarr.cli.errors import wrong_input
from angzarr.cli.loading import handlers_of, load_app, parse_spec
from angzarr.cli.output import write_json, write_line
from angzarr.cli.reload import Reloader
from angzarr.client.endpoint import DEFAULT_UDS_BASE, ENV_UDS_BASE

CHILD = "ANGZARR_DEV_CHILD"
_DEFAULT_TCP = "127.0.0.1:1310"


app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="dev", no_args_is_help=True)
def dev(
    spec: options.AppSpec,
    store: Annotated[
        str,
        typer.Option(
            help="The database file, or `:memory:` for none. By default `.angzarr/<application>.db` here.",
            show_default=False,
        ),
    ] = "",
    tcp: Annotated[
        str,
        typer.Option(help="host:port for every domain; port 0 takes a free one, `none` leaves it out."),
    ] = _DEFAULT_TCP,
    uds_base: Annotated[
        str,
        typer.Option(
            envvar=ENV_UDS_BASE,
            help="Directory of the sockets, one for each domain; `none` leaves them out.",
        ),
    ] = DEFAULT_UDS_BASE,
    reload: Annotated[bool, typer.Option(help="Start again when Python files change.")] = True,
    watch: Annotated[
        list[Path] | None,
        typer.Option(help="Directories to watch. By default the current one.", show_default=False),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    as_json: options.Json = False,
) -> None:
    """Run an application: its handlers, and a coordinator with a database around them.

    Every domain is reachable on the socket `ch-<domain>.sock` and on one TCP port, for `angzarr send`, clients in
    any language, and grpcurl. Ctrl-C ends it gracefully; the events stay in the database.

    Examples:

        angzarr dev players:app
        angzarr dev players:app --store :memory: --tcp 127.0.0.1:0 --uds-base ./sockets
    """
    parse_spec(spec)
    level = _level(log_level)
    if reload:
        raise SystemExit(_supervise(watch or [Path.cwd()]))
    from angzarr.server import configure_logging

    configure_logging(level=level)
    loaded = load_app(spec)
    where = store or str(Path(".angzarr", f"{loaded.name}.db"))
    anyio.run(_run, loaded, where, _unless_none(uds_base), _unless_none(tcp), as_json)


def _level(name: str) -> str:
    if name.lower() not in ("debug", "info", "warning", "error"):
        raise wrong_input(f"{name!r} is no log level", "choose debug, info, warning or error")
    return name.lower()


def _unless_none(text: str) -> str | None:
    return None if text.lower() in ("none", "") else text


def _supervise(paths: Sequence[Path]) -> int:
    for path in paths:
        if not path.is_dir():
            raise wrong_input(
                f"{path} is no directory", "give --watch directories that are there, or none for this one"
            )
    command = [sys.executable, "-m", "angzarr.cli", *sys.argv[1:], "--no-reload"]
    return anyio.run(Reloader(command, paths, {CHILD: "1"}).run)


async def _run(app: App, store: str, uds_base: str | None, tcp: str | None, as_json: bool) -> None:
    from angzarr.cli.stalls import report_blocking_calls, report_stalls
    from angzarr.coordinator import EmbeddedCoordinator

    if os.environ.get(CHILD):
        _end_with_parent()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with EmbeddedCoordinator(app, store=store, uds_base=uds_base, tcp=tcp) as coordinator:
            _announce(app, store, coordinator.domains, coordinator.addresses, as_json=as_json)
            with report_stalls(), report_blocking_calls():
                async for _ in signals:
                    break
    if not as_json:
        write_line((f"{app.name} has stopped", "dim"))


def _end_with_parent() -> None:
    """Stop when the supervising process is gone: then nobody holds the other end of stdin."""

    def wait() -> None:
        while os.read(0, 1):  # not through sys.stdin, whose lock the interpreter wants when it ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _announce(
    app: App, store: str, domains: Sequence[str], addresses: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        write_json(
            {
                "event": "started",
                "app": app.name,
                "store": store,
                "domains": list(domains),
                "addresses": list(addresses),
            }
        )
        return
    write_line((app.name, "bold green"), (" is running; Ctrl-C stops it", ""))
    write_line(("  store    ", "dim"), (store, ""))
    for address in addresses:
        write_line(("  address  ", "dim"), (address, ""))
    example = _example(app)
    if example:
        write_line(("  try      ", "dim"), (example, "cyan"))


def _example(app: App) -> str:
    for info in handlers_of(app):
        for name in info.handles if info.kind == "command_handler" else ():
            return f"angzarr send {info.domain} {name.rpartition('.')[2]} '{{}}' --root one"
    return ""
