"""The command line as a whole: its subcommands, and what happens when one of them fails."""

import json
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from angzarr.cli.errors import CommandLineError

_LISTING = "angzarr.listing"
_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong input, 3 no coordinator reached. "
    "With --json, output and errors are JSON."
)

_SUMMARIES = {
    "dev": "Run an application: its handlers, and a coordinator with a database around them.",
    "serve": "Serve routers over gRPC, without a coordinator.",
    "send": "Send a command and show the events it caused.",
    "events": "Show the events of an aggregate.",
    "state": "Show the state of an aggregate: its events, folded by the application's own appliers.",
    "why": "Show why an event happened and what came of it.",
    "dead-letters": "What could not be done, and waits for a decision.",
    "projections": "How far the projectors are, and feeding one anew.",
    "check": "Look for mistakes in how the handlers of an application fit together.",
    "fuzz": "Look for bugs: histories and commands that break a law which every handler has to keep.",
    "export-scenario": "Write a given/when/then test from an aggregate's stored events.",
    "protos": "Generate Python from proto files.",
    "new": "Make a new application: protos, a domain, tests, a project file.",
    "doctor": "Look at this machine: Python, SQLite, extras, environment, sockets, coordinators.",
}


class Commands(TyperGroup):
    """The subcommands by name; a module is imported when its command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help text."""
        return list(_SUMMARIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them, or None."""
        if cmd_name not in _SUMMARIES:
            return None
        if ctx.meta.get(_LISTING):
            return TyperCommand(cmd_name, help=_SUMMARIES[cmd_name])
        module = import_module(f"angzarr.cli.{cmd_name.replace('-', '_')}")
        found = get_command(module.app)
        found.name = cmd_name
        return found

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help text of the whole, for which no subcommand has to be imported."""
        ctx.meta[_LISTING] = True
        super().format_help(ctx, formatter)


app: typer.Typer = typer.Typer(
    cls=Commands,
    name="angzarr",
    help="Event-sourced applications: run them, talk to them, look into them.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"angzarr {version('angzarr')}\n")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code.
    """
    try:
        app(args=arguments, prog_name="angzarr")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except Exception as error:
        from angzarr.cli.failing import explain

        explained = explain(error)
        if explained is None:
            raise
        _tell(explained, as_json="--json" in arguments)
        return explained.exit_code
    return 0


def _tell(error: CommandLineError, *, as_json: bool) -> None:
    if as_json:
        sys.stderr.write(json.dumps({"error": error.message, "code": error.code, "fix": error.remedy}) + "\n")
        return
    code = f" [{error.code}]" if error.code else ""
    sys.stderr.write(f"error: {error.message}{code}\n")
    if error.remedy:
        sys.stderr.write(f"  fix: {error.remedy}\n")
