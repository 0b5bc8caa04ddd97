"""What a user of the command line did wrong, said so that they can put it right."""


class CommandLineError(Exception):
    """Ends the command with a message instead of a traceback.

    Args:
        message: what is wrong, naming what was given.
        remedy: what to do about it; shown on a line of its own.
        exit_code: the process's exit code.
    """

    def __init__(self, message: str, *, remedy: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code
