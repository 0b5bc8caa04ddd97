"""Plays recorded hands with the rules alone: no commands, no events, no coordinator."""

from collections.abc import Iterable

from examples.poker.replay.record import Action, HandRecord
from examples.poker.rules import betting, dealing, showdown
from examples.poker.rules.cards import parse_cards
from examples.poker.rules.dealing import Entry
from examples.poker.rules.table import Chips, Hand


def started(entries: Iterable[Entry], min_bet: int) -> Hand:
    """A hand with every forced bet posted."""
    hand = Hand()
    entries = list(entries)
    dealing.check_start(hand, entries, min_bet)
    dealing.start(hand, entries, min_bet)
    for due in list(hand.due):
        dealing.post(hand, due.seat, due.kind, dealing.check_post(hand, due.seat, due.kind))
    return hand


def take_back_uncalled(hand: Hand, uncalled: betting.Uncalled | None) -> None:
    if uncalled:
        betting.take_back(hand, uncalled.seat, uncalled.amount)


def act(hand: Hand, verb: str, seat: int = 0, cards: str = "", amount: int = 0) -> None:
    """One action; raises IllegalAction and leaves the hand as it was when the rules refuse it."""
    if verb == "deal_hole":
        dealing.check_deal_hole(hand, seat, parse_cards(cards))
        dealing.deal_hole(hand, seat, parse_cards(cards))
    elif verb == "deal_board":
        dealing.check_deal_board(hand, parse_cards(cards))
        dealing.deal_board(hand, parse_cards(cards))
    elif verb == "fold":
        betting.check_fold(hand, seat)
        uncalled = betting.uncalled_after(hand, seat, folds=True)
        betting.fold(hand, seat)
        take_back_uncalled(hand, uncalled)
    elif verb == "call":
        adds = betting.check_call(hand, seat)
        uncalled = betting.uncalled_after(hand, seat, adds=adds)
        betting.call(hand, seat, adds)
        take_back_uncalled(hand, uncalled)
    elif verb == "raise_to":
        betting.check_raise_to(hand, seat, amount)
        betting.raise_to(hand, seat, amount)
    elif verb == "show":
        showdown.show(hand, seat, showdown.check_show(hand, seat, parse_cards(cards)))
    else:
        assert verb == "muck"
        showdown.check_muck(hand, seat)
        showdown.muck(hand, seat)


def settled(hand: Hand) -> list[Chips]:
    """The stacks after the settlement."""
    for award in showdown.check_settle(hand):
        showdown.award(hand, award.shares)
    showdown.settle(hand)
    return [seat.stack for seat in hand.seats]


def play(hand: Hand, action: Action) -> None:
    act(hand, action.verb, action.seat, action.cards, action.amount)


def replay(record: HandRecord) -> list[Chips]:
    """The stacks at the end of a recorded hand."""
    hand = started(record.entries, record.min_bet)
    for action in record.actions:
        play(hand, action)
    return settled(hand)
