"""Hands to test rules on: blinds 50 and 100, everyone's cards dealt face down, betting open before the flop."""

from collections.abc import Sequence

import pytest

from examples.poker.rules.dealing import Entry
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import Hand
from tests.examples.poker.pure import act, started

HOLES = ("AsAh", "KsKh", "QsQh", "JsJh", "TsTh", "9s9h")


def seated(*stacks: int, antes: Sequence[int] = (), blinds: Sequence[int] = (50, 100)) -> Hand:
    """A hand before the deal, the forced bets posted. With two players seat 2 is the button and has the small blind."""
    wanted = list(blinds) + [0] * len(stacks)
    if len(stacks) == 2:
        wanted = wanted[1::-1]
    return started(
        [
            Entry(f"player {seat + 1}", stack, antes[seat] if antes else 0, wanted[seat])
            for seat, stack in enumerate(stacks)
        ],
        100,
    )


def dealt(*stacks: int, antes: Sequence[int] = (), blinds: Sequence[int] = (50, 100)) -> Hand:
    """A hand in which seat 1 holds aces, seat 2 kings, and so on."""
    hand = seated(*stacks, antes=antes, blinds=blinds)
    for seat, cards in zip(hand.numbers(), HOLES, strict=False):
        act(hand, "deal_hole", seat, cards)
    return hand


def play(hand: Hand, *actions: str) -> Hand:
    """Plays actions in PHH notation: ``p3 cbr 300``, ``p1 cc``, ``p2 f``, ``p1 sm AsAh``, ``d db 2c3c4d``."""
    for action in actions:
        who, what, *rest = action.split()
        seat = 0 if who == "d" else int(who[1:])
        match what, rest:
            case "f", []:
                act(hand, "fold", seat)
            case "cc", []:
                act(hand, "call", seat)
            case "cbr", [amount]:
                act(hand, "raise_to", seat, amount=int(amount))
            case "sm", []:
                act(hand, "muck", seat)
            case "sm", [cards]:
                act(hand, "show", seat, "" if cards == "-" else cards)
            case "db", [cards]:
                act(hand, "deal_board", cards=cards)
            case "dh", [player, cards]:
                act(hand, "deal_hole", int(player[1:]), cards)
            case _:
                raise AssertionError(action)
    return hand


def refused(hand: Hand, action: str) -> IllegalAction:
    """What the rules say against an action."""
    with pytest.raises(IllegalAction) as caught:
        play(hand, action)
    return caught.value


def stacks(hand: Hand) -> list[object]:
    return [seat.stack for seat in hand.seats]
