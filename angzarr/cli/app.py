"""The command line as a whole: its subcommands, and what happens when one of them fails."""

import json
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from angzarr.cli.errors import CommandLineError

_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong input, 3 no coordinator reached. "
    "With --json, output and errors are JSON."
)

_MODULES = {
    "dev": "dev",
    "serve": "serve",
    "send": "send",
    "events": "events",
    "state": "state",
    "why": "why",
    "dead-letters": "dead_letters",
    "projections": "projections",
    "check": "check",
    "fuzz": "fuzz",
    "export-scenario": "export_scenario",
    "new": "new",
    "doctor": "doctor",
    "protos": "protos",
}


class Commands(TyperGroup):
    """The subcommands by name; a module is imported when its command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help text."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them, or None."""
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"angzarr.cli.{_MODULES[cmd_name]}")
        found = get_command(module.app)
        found.name = cmd_name
        return found


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


@app.callback()
def _root() -> None:
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
