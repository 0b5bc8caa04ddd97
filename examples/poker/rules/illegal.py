"""What the rules answer to an action they do not allow."""


class IllegalAction(Exception):
    """The rules refuse an action.

    Args:
        code: SCREAMING_SNAKE name of the rule that was broken.
        message: the rule in words, without the particulars.
        malformed: the action itself makes no sense, whatever the state of the hand.
        details: the particulars, such as ``seat`` or ``minimum``.
    """

    def __init__(self, code: str, message: str, *, malformed: bool = False, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.malformed = malformed
        self.details = {key: str(value) for key, value in details.items()}
