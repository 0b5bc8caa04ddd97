"""Random hands, played by the rules: setups, decks, and legal actions chosen by a random source."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from examples.poker.rules import betting, showdown
from examples.poker.rules.cards import DECK
from examples.poker.rules.dealing import Entry
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import Hand, Stage
from tests.examples.poker.pure import act, started


@dataclass(frozen=True)
class Setup:
    """Who sits down with what, and what is asked of them before the deal."""

    entries: tuple[Entry, ...]
    min_bet: int

    @property
    def chips(self) -> int:
        return sum(entry.stack for entry in self.entries)


@dataclass(frozen=True)
class Move:
    """One action of a random hand."""

    verb: str
    seat: int = 0
    cards: str = ""
    amount: int = 0


def random_setup(choose: random.Random) -> Setup:
    count = choose.randint(2, 6)
    small, big = choose.choice([(50, 100), (1, 2), (5, 10), (25, 25), (0, 100)])
    blinds = [small, big] + [0] * (count - 2) if count > 2 else [big, small]
    if count > 3 and choose.random() < 0.2:
        blinds[2] = 2 * big
    antes = choose.choice([[0] * count, [0] * count, [big // 2 or 1] * count, [0, big] + [0] * (count - 2)])
    if not small:  # pokerkit has no opener when the ante takes the only blind's last chip
        antes = [0] * count
    depth = choose.choice([3, 10, 100])
    stacks = [choose.randint(1, big * depth) if choose.random() < 0.8 else big * depth for _ in range(count)]
    entries = tuple(
        Entry(f"player {seat}", stack, ante, blind)
        for seat, (stack, ante, blind) in enumerate(zip(stacks, antes, blinds, strict=True), 1)
    )
    return Setup(entries, big)


def play_out(setup: Setup, choose: random.Random) -> Iterator[tuple[Hand, Move]]:
    """Plays a hand to its end; gives every move just before it is made, and the hand as it is then."""
    hand = started(setup.entries, setup.min_bet)
    deck = sorted(DECK)
    choose.shuffle(deck)
    while hand.stage is not Stage.DECIDED:
        move = _next_move(hand, deck, choose)
        yield hand, move
        act(hand, move.verb, move.seat, move.cards, move.amount)
    yield hand, Move("settle")


def _next_move(hand: Hand, deck: list[str], choose: random.Random) -> Move:
    if hand.stage is Stage.DEALING:
        seat = next(seat for seat in hand.numbers() if not hand.seat(seat).cards)
        return Move("deal_hole", seat, deck.pop() + deck.pop())
    if hand.stage is Stage.BETTING:
        return _bet(hand, hand.to_act[0], choose)
    if hand.to_show() and (hand.stage is Stage.SHOWDOWN or hand.all_in):
        return _show_or_muck(hand, hand.to_show()[0], choose)
    return Move("deal_board", cards="".join(deck.pop() for _ in range(hand.missing_board)))


def _bet(hand: Hand, seat: int, choose: random.Random) -> Move:
    roll = choose.random()
    if roll < 0.2 and hand.seat(seat).bet < hand.highest_bet:
        return Move("fold", seat)
    if roll < 0.6 and may_raise(hand, seat):
        least = betting.smallest_raise_to(hand, seat)
        most = hand.seat(seat).bet + int(hand.seat(seat).stack)
        return Move("raise_to", seat, amount=choose.choice([least, most, choose.randint(least, most)]))
    return Move("call", seat)


def may_raise(hand: Hand, seat: int) -> bool:
    try:
        betting.check_may_raise(hand, seat)
    except IllegalAction:
        return False
    return True


def _show_or_muck(hand: Hand, seat: int, choose: random.Random) -> Move:
    if choose.random() < 0.2 and not hand.all_in:
        try:
            showdown.check_muck(hand, seat)
        except IllegalAction:
            pass
        else:
            return Move("muck", seat)
    return Move("show", seat, "".join(hand.seat(seat).cards))
