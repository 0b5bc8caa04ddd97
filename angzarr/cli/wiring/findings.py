"""What a rule finds."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    """The application cannot work as it is written."""

    WARNING = "warning"
    """Something is probably missing, or may go wrong."""

    NOTE = "note"
    """Worth knowing; often intended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule is not kept.

    Attributes:
        rule: the rule's id, such as ``AZ101``.
        severity: how bad it is.
        where: the class or method, such as ``Players.deposit``.
        message: what is wrong, naming what is involved.
    """

    rule: str
    severity: Severity
    where: str
    message: str
