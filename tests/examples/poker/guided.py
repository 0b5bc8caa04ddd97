"""Commands that a hand of poker is likely to accept in its state; a few that it is not."""

from collections.abc import Callable, Mapping
from typing import Any

import betterproto
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from examples.poker.messages.hand import (
    BetOrRaiseTo,
    CheckOrCall,
    DealBoard,
    DealHole,
    Entry,
    Fold,
    MuckCards,
    PostAnte,
    PostBlind,
    ShowCards,
    StartHand,
)
from examples.poker.rules import betting
from examples.poker.rules.cards import DECK
from examples.poker.rules.table import Hand, Stage

Guided = Callable[[Hand], SearchStrategy[Any]]

any_seat = st.integers(0, 4)
any_cards = st.lists(st.sampled_from([*sorted(DECK), "??", "Xx"]), max_size=4)

entries = st.integers(1, 1000).map(
    lambda stack: [Entry(player="Ann", stack=stack, blind=100), Entry(player="Bob", stack=1000, blind=50)]
)
"""Two players, so that a history of five events reaches the betting."""


def mostly(likely: SearchStrategy[Any], otherwise: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda roll: likely if roll else otherwise)


def knowing(strategy: Guided) -> Callable[[Hand | None], SearchStrategy[Any]]:
    """For the time before the first event, too."""
    return lambda hand: strategy(hand or Hand())


def unseen(hand: Hand, count: int) -> SearchStrategy[list[str]]:
    deck = sorted(DECK - hand.seen_cards())
    return st.lists(st.sampled_from(deck), unique=True, min_size=count, max_size=count)


def due_seat(hand: Hand) -> SearchStrategy[int]:
    return mostly(st.just(hand.due[0].seat), any_seat) if hand.due else any_seat


def acting_seat(hand: Hand) -> SearchStrategy[int]:
    return mostly(st.just(hand.to_act[0]), any_seat) if hand.to_act else any_seat


def showing_seat(hand: Hand) -> SearchStrategy[int]:
    if hand.stage is not Stage.SHOWDOWN and not (hand.seats and hand.all_in):
        return any_seat
    return mostly(st.just((hand.to_show() or [1])[0]), any_seat)


def deal_hole(hand: Hand) -> SearchStrategy[DealHole]:
    waiting = [seat for seat in hand.numbers() if not hand.seat(seat).cards]
    seat = st.just(waiting[0]) if waiting else any_seat
    return mostly(
        st.builds(DealHole, seat=seat, cards=unseen(hand, 2)), st.builds(DealHole, seat=seat, cards=any_cards)
    )


def raise_to(hand: Hand) -> SearchStrategy[BetOrRaiseTo]:
    amounts = st.integers(-1, 2000)
    if hand.to_act:
        amounts = mostly(st.just(betting.smallest_raise_to(hand, hand.to_act[0])), amounts)
    return st.builds(BetOrRaiseTo, seat=acting_seat(hand), amount=amounts)


STARTS = st.builds(
    StartHand, session=st.just("30"), number=st.just("7"), entries=entries, min_bet=st.just(100)
)
GUIDED: Mapping[type[betterproto.Message], Guided] = {
    PostAnte: lambda hand: st.builds(PostAnte, seat=due_seat(hand)),
    PostBlind: lambda hand: st.builds(PostBlind, seat=due_seat(hand)),
    DealHole: deal_hole,
    DealBoard: lambda hand: st.builds(DealBoard, cards=mostly(unseen(hand, hand.missing_board), any_cards)),
    Fold: lambda hand: st.builds(Fold, seat=acting_seat(hand)),
    CheckOrCall: lambda hand: st.builds(CheckOrCall, seat=acting_seat(hand)),
    BetOrRaiseTo: raise_to,
    ShowCards: lambda hand: st.builds(ShowCards, seat=showing_seat(hand)),
    MuckCards: lambda hand: st.builds(MuckCards, seat=showing_seat(hand)),
}

COMMANDS: dict[type[betterproto.Message], Any] = {StartHand: STARTS}
COMMANDS |= {cls: knowing(own) for cls, own in GUIDED.items()}
