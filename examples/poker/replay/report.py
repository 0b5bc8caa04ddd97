"""What a replay found, for people and for programs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Rejection:
    """A command that the domain refused, or an action that is none; its hand stops there.

    Attributes:
        action: number of the recorded action; 0 for one that the notation does not number, such as the settlement.
        text: what was to be done.
    """

    session: str
    hand: str
    action: int
    text: str
    code: str
    message: str
    details: dict[str, str]

    def __str__(self) -> str:
        where = f"action {self.action}" if self.action else "no action of the file"
        particulars = "".join(f", {key} {value}" for key, value in self.details.items())
        return (
            f"rejected: session {self.session} hand {self.hand}, {where} ({self.text}): "
            f"{self.code}: {self.message}{particulars}"
        )


@dataclass(frozen=True)
class Mismatch:
    """A hand whose stored events do not give what the file says."""

    session: str
    hand: str
    reason: str

    def __str__(self) -> str:
        return f"mismatch: session {self.session} hand {self.hand}: {self.reason}"


@dataclass
class Report:
    """Counts as they grow.

    Attributes:
        store: where the database is.
        hands: hands of the file that were looked at.
        present: of these, how many were complete in the store before.
        resumed: how many had been interrupted, and were completed now.
        commands: commands that were answered, by acceptance or rejection.
        seconds: how long sending them took.
        compared: hands whose stacks were compared with the recorded ones.
    """

    store: str
    hands: int = 0
    present: int = 0
    resumed: int = 0
    commands: int = 0
    seconds: float = 0.0
    compared: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def commands_per_second(self) -> float:
        """Rate of this run; 0 when nothing was sent."""
        return round(self.commands / self.seconds, 1) if self.commands and self.seconds else 0.0

    @property
    def good(self) -> bool:
        """Whether every hand was played to its end and ended as recorded."""
        return not self.mismatches and not self.rejections

    def findings(self) -> Iterator[str]:
        """One line for each thing that is not as it should be."""
        yield from map(str, self.rejections)
        yield from map(str, self.mismatches)

    def summary(self) -> Iterator[str]:
        """The report, line by line."""
        yield f"hands                {self.hands}{self._already()}"
        yield f"commands             {self.commands}"
        yield f"commands per second  {self.commands_per_second:g}"
        yield f"mismatches           {len(self.mismatches)} of {self.compared}"
        yield f"rejections           {len(self.rejections)}"
        yield f"database             {self.store}"

    def _already(self) -> str:
        if self.hands and self.present == self.hands:
            return ", all there already: nothing was changed"
        notes = []
        if self.present:
            notes.append(f"{self.present} there already")
        if self.resumed:
            notes.append(f"{self.resumed} continued where an earlier run stopped")
        return "".join(f", {note}" for note in notes)

    def as_json(self) -> str:
        """The same as one JSON object."""
        return json.dumps(
            {
                "hands": self.hands,
                "commands": self.commands,
                "commands_per_second": self.commands_per_second,
                "mismatches": len(self.mismatches),
                "rejections": len(self.rejections),
                "store": self.store,
            }
        )


def in_chips(amounts: tuple[Fraction, ...], unit: int) -> str:
    """Amounts for people, such as ``9950, 10387.5``."""
    return ", ".join(f"{float(amount / unit):.12g}" for amount in amounts)
