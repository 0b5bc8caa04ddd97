"""What holds in every hand, however it is played."""

import random
from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from examples.poker.rules.cards import DECK
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import Chips, Hand
from tests.examples.poker.play import play_out, random_setup
from tests.examples.poker.pure import act, settled

seeds = st.integers(min_value=0, max_value=2**64 - 1)
VERBS = ("deal_hole", "deal_board", "fold", "call", "raise_to", "show", "muck")
cards = st.lists(st.sampled_from([*sorted(DECK), "??", "Xx"]), max_size=5).map("".join)
moves = st.tuples(
    st.sampled_from(VERBS), st.integers(-1, 8), cards, st.integers(-1, 2000) | st.integers(0, 2**62)
)


def chips_in(hand: Hand) -> Chips:
    """Every chip in stacks and pots."""
    return sum((seat.stack + seat.paid + seat.ante for seat in hand.seats), 0)


@given(seeds)
@settings(max_examples=75, deadline=None)
def test_legal_play_always_ends_and_no_chip_is_made_or_lost(seed: int) -> None:
    choose = random.Random(seed)
    setup = random_setup(choose)
    for hand, move in play_out(setup, choose):
        assert chips_in(hand) == setup.chips
        assert all(seat.stack >= 0 for seat in hand.seats)
        if move.verb == "settle":
            stacks = settled(hand)
            assert sum(stacks) == setup.chips
            assert min(stacks) >= 0


@given(seeds, st.lists(moves, max_size=6))
@settings(max_examples=75, deadline=None)
def test_a_refused_action_changes_nothing_and_an_allowed_one_keeps_the_chips(
    seed: int, attempts: list[tuple[str, int, str, int]]
) -> None:
    choose = random.Random(seed)
    setup = random_setup(choose)
    for hand, _ in play_out(setup, choose):
        for verb, seat, text, amount in attempts:
            trial = deepcopy(hand)
            try:
                act(trial, verb, seat, text, amount)
            except IllegalAction:
                assert trial == hand
            else:
                assert chips_in(trial) == setup.chips
