"""Playing cards as two letters (``Ah``, ``Tc``), and which of two hands is the better one."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from examples.poker.rules.illegal import IllegalAction

RANKS = "23456789TJQKA"
SUITS = "cdhs"
DECK = frozenset(rank + suit for rank in RANKS for suit in SUITS)
UNKNOWN = "??"


class Ranking(NamedTuple):
    """How good a hand is: compare ``strength`` with ``strength`` only; ``label`` is for people."""

    strength: Any
    label: str


def parse_cards(text: str) -> list[str]:
    """The cards in a run of two-letter names; ``??`` is a card that nobody saw.

    Raises:
        IllegalAction: CARD_UNKNOWN, a piece of the text is no card.
    """
    cards = [text[at : at + 2] for at in range(0, len(text), 2)]
    check_cards(cards)
    return cards


def check_cards(cards: Iterable[str]) -> None:
    """Raises IllegalAction with CARD_UNKNOWN when something is no card."""
    for card in cards:
        if card != UNKNOWN and card not in DECK:
            raise IllegalAction("CARD_UNKNOWN", "there is no such card", malformed=True, card=card)


def rank_hand(hole: Sequence[str], board: Sequence[str]) -> Ranking:
    """The best five-card hand out of two hole cards and five on the board."""
    from pokerkit import StandardHighHand  # takes half a second to import, and only showdowns need it

    hand = StandardHighHand.from_game("".join(hole), "".join(board))
    return Ranking(hand, hand.entry.label.value)
