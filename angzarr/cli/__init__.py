"""The ``angzarr`` command. ``main`` is the entry point; each subcommand is a module of its own."""

import sys

_EXTRA = {"typer", "rich", "click", "watchfiles"}
_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    raise SystemExit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        from angzarr.cli.app import run
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f"error: the angzarr command needs {error.name}, which is not installed\n"
            '  fix: pip install "angzarr[cli]"\n'
        )
        return 1
    return run(arguments)
