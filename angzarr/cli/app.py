"""The command line as a whole: its subcommands, and what happens when one of them fails."""

import json
import sys

import typer

from angzarr.cli import dev, events, protos, send, serve, state
from angzarr.cli.errors import CommandLineError
from angzarr.cli.failing import explain

_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong input, 3 no coordinator reached. "
    "With --json, output and errors are JSON."
)

app = typer.Typer(
    name="angzarr",
    help="Event-sourced applications: run them, talk to them, look into them.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (dev, serve, send, events, state):
    module.register(app)
app.add_typer(protos.group, name="protos")


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
