"""What was done in a hand, as text: PHH notation, and the like for what that notation keeps outside its actions."""

from collections.abc import Iterable, Sequence

from examples.poker.rules.dealing import Entry
from examples.poker.rules.table import ForcedBet

SETTLED = "settle"


def started(entries: Iterable[Entry], min_bet: int) -> str:
    """``start 100 Alice:10000+0+50 …``: smallest bet; names, stacks, antes, blinds."""
    players = (f"{entry.player}:{entry.stack}+{entry.ante}+{entry.blind}" for entry in entries)
    return " ".join(["start", str(min_bet), *players])


def posted(seat: int, kind: ForcedBet) -> str:
    return f"p{seat} {kind.value}"


def hole_dealt(seat: int, cards: Sequence[str]) -> str:
    return f"d dh p{seat} {''.join(cards)}"


def board_dealt(cards: Sequence[str]) -> str:
    return f"d db {''.join(cards)}"


def folded(seat: int) -> str:
    return f"p{seat} f"


def called(seat: int) -> str:
    return f"p{seat} cc"


def raised(seat: int, to: int) -> str:
    return f"p{seat} cbr {to}"


def shown(seat: int, cards: Sequence[str]) -> str:
    """Without cards: whatever the seat was dealt."""
    return f"p{seat} sm {''.join(cards) or '-'}"


def mucked(seat: int) -> str:
    return f"p{seat} sm"
