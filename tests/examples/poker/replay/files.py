"""Files of a few real hands, as they are or spoilt."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import examples.poker

REAL = Path(examples.poker.__file__).parent / "data" / "pluribus-hands.jsonl"

Spoil = Callable[[dict[str, Any]], object]


def real_hands(count: int) -> list[dict[str, Any]]:
    """The first hands of the real file."""
    with REAL.open() as lines:
        return [json.loads(line) for _, line in zip(range(count), lines, strict=False)]


def real_hand(session: str, hand: int) -> dict[str, Any]:
    """One hand of the real file."""
    fields = (json.loads(line) for line in REAL.read_text().splitlines())
    return next(one for one in fields if (one["session"], one["hand"]) == (session, hand))


def write(path: Path, hands: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(hand)}\n" for hand in hands))
    return path


def spoilt(path: Path, count: int, which: int, spoil: Spoil) -> Path:
    """A file of the first hands, one of them spoilt."""
    hands = real_hands(count)
    spoil(hands[which])
    return write(path, hands)
