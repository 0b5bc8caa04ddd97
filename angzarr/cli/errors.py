"""What a user of the command line did wrong, said so that they can put it right."""

from collections.abc import Iterator
from contextlib import contextmanager

FAILED = 1
WRONG_INPUT = 2
UNREACHABLE = 3


class CommandLineError(Exception):
    """Ends the command with a message instead of a traceback.

    Args:
        message: what is wrong, naming what was given.
        remedy: what to do about it; shown on a line of its own.
        exit_code: the process's exit code: FAILED, WRONG_INPUT or UNREACHABLE.
        code: stable identifier, where there is one.
    """

    def __init__(self, message: str, *, remedy: str = "", exit_code: int = FAILED, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code
        self.code = code


def wrong_input(message: str, remedy: str = "") -> CommandLineError:
    """An error in what was typed."""
    return CommandLineError(message, remedy=remedy, exit_code=WRONG_INPUT)


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Say which extra to install when an import in the block fails for want of a package.

    Raises:
        CommandLineError: in place of ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandLineError(
            f"this command needs {error.name}, which is not installed",
            remedy=f'pip install "angzarr[{extra}]"',
        ) from None
