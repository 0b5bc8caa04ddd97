"""The rules against pokerkit's own engine: the same random hands, move by move."""

import random
import warnings
from fractions import Fraction
from typing import Any

import pytest

from examples.poker.rules import betting
from examples.poker.rules.table import Hand, Stage
from tests.examples.poker.play import Move, Setup, may_raise, play_out, random_setup
from tests.examples.poker.pure import settled

pytestmark = pytest.mark.once


def pokerkit_state(setup: Setup) -> Any:
    from pokerkit import Automation, Mode, NoLimitTexasHoldem

    def in_equal_parts(amount: int, parts: int) -> tuple[Any, int]:
        return Fraction(amount, parts), 0

    heads_up = len(setup.entries) == 2  # it swaps the forced bets of two players
    entries = setup.entries[::-1] if heads_up else setup.entries
    antes = [entry.ante for entry in entries]
    return NoLimitTexasHoldem.create_state(
        (
            Automation.ANTE_POSTING,
            Automation.BET_COLLECTION,
            Automation.BLIND_OR_STRADDLE_POSTING,
            Automation.CARD_BURNING,
            Automation.RUNOUT_COUNT_SELECTION,
            Automation.HAND_KILLING,
            Automation.CHIPS_PUSHING,
            Automation.CHIPS_PULLING,
        ),
        len(set(antes)) == 1,
        antes,
        [entry.blind for entry in entries],
        setup.min_bet,
        [entry.stack for entry in setup.entries],
        len(entries),
        mode=Mode.CASH_GAME,
        divmod=in_equal_parts,
    )


def mirror(state: Any, move: Move) -> None:
    match move.verb:
        case "deal_hole":
            state.deal_hole(move.cards, move.seat - 1)
        case "deal_board":
            state.deal_board(move.cards)
        case "fold":
            state.fold()
        case "call":
            state.check_or_call()
        case "raise_to":
            state.complete_bet_or_raise_to(move.amount)
        case "show":
            state.show_or_muck_hole_cards(move.cards, move.seat - 1)
        case "muck":
            state.show_or_muck_hole_cards(False, move.seat - 1)


def compare(hand: Hand, state: Any) -> None:
    if hand.stage is not Stage.BETTING:
        assert state.actor_index is None
        return
    seat = hand.to_act[0]
    assert state.actor_index == seat - 1
    assert state.checking_or_calling_amount == betting.amount_to_call(hand, seat)
    assert [seat.stack for seat in hand.seats] == state.stacks
    assert may_raise(hand, seat) == (
        state.can_complete_bet_or_raise_to() and not reopened_too_soon(hand, state)
    )
    if may_raise(hand, seat):
        assert state.min_completion_betting_or_raising_to_amount == betting.smallest_raise_to(hand, seat)


def reopened_too_soon(hand: Hand, state: Any) -> bool:
    """Whether the only raise so far is an all-in below the minimum: that reopens the engine's betting, not poker's."""
    seat = hand.seat(hand.to_act[0])
    return (
        state.completion_betting_or_raising_amount < hand.min_bet
        and seat.acted_at is not None
        and hand.highest_bet - seat.acted_at < hand.min_bet
    )


def compare_showdown(hand: Hand, state: Any, setup: Setup) -> None:
    """Who shows first. With a short blind the engine takes another seat for the one that acted first."""
    blinds_in_full = all(entry.stack >= entry.ante + entry.blind for entry in setup.entries)
    if blinds_in_full and hand.stage is not Stage.DECIDED and state.showdown_index is not None:
        assert state.showdown_index == hand.to_show()[0] - 1


def play_both(seed: int) -> None:
    choose = random.Random(seed)
    setup = random_setup(choose)
    state = pokerkit_state(setup)
    for hand, move in play_out(setup, choose):
        compare(hand, state)
        compare_showdown(hand, state, setup)
        if move.verb == "settle":
            while state.showdown_indices:  # it has the last hand shown even when all others are mucked
                state.show_or_muck_hole_cards(True)
            assert settled(hand) == state.stacks
            assert sum(state.stacks) == setup.chips
        else:
            mirror(state, move)


def play_hands(seeds: range) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            try:
                play_both(seed)
            except Exception as error:
                raise AssertionError(f"hand {seed}: {error}") from error


def test_random_hands_go_as_in_pokerkits_engine() -> None:
    play_hands(range(150))


@pytest.mark.long
def test_thousands_of_random_hands_go_as_in_pokerkits_engine() -> None:
    play_hands(range(150, 10_000))
