"""What can be wrong with JSON."""


class JsonError(ValueError):
    """JSON does not describe the message; ``path`` says where, such as ``$.players[0].name``; ``remedy`` what to do."""

    def __init__(self, message: str, path: str, remedy: str = "") -> None:
        super().__init__(f"{message} (at {path})")
        self.path = path
        self.remedy = remedy
