from fractions import Fraction

import pytest

from examples.poker.rules import showdown
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.showdown import Pot
from examples.poker.rules.table import Hand, Stage
from tests.examples.poker.pure import settled
from tests.examples.poker.rules.tables import dealt, play, refused, seated

BOARD = ("d db 2c7d8h", "d db 3d", "d db 4h")


def checked_down(hand: Hand) -> Hand:
    """Two players check from the flop to the showdown."""
    for board in BOARD:
        play(hand, board, "p1 cc", "p2 cc")
    return hand


def refused_settlement(hand: Hand) -> str:
    with pytest.raises(IllegalAction) as caught:
        showdown.check_settle(hand)
    return caught.value.code


def limped() -> Hand:
    return checked_down(play(dealt(1000, 1000), "p2 cc", "p1 cc"))


def test_the_better_hand_wins_the_pot() -> None:
    assert settled(play(limped(), "p1 sm AsAh", "p2 sm KsKh")) == [1100, 900]


def test_a_hand_may_be_mucked_against_a_shown_one() -> None:
    assert settled(play(limped(), "p1 sm AsAh", "p2 sm")) == [1100, 900]


def test_who_mucks_the_better_hand_loses() -> None:
    assert settled(play(limped(), "p1 sm", "p2 sm KsKh")) == [900, 1100]


def test_the_last_hand_left_wins_without_being_shown() -> None:
    hand = play(limped(), "p1 sm")
    assert hand.stage is Stage.DECIDED
    assert settled(hand) == [900, 1100]


def test_the_last_hand_left_cannot_be_mucked() -> None:
    assert refused(play(limped(), "p1 sm"), "p2 sm").code == "LAST_CLAIM"


def test_show_without_cards_shows_what_was_dealt() -> None:
    hand = play(limped(), "p1 sm -")
    assert (hand.seat(1).shown, hand.seat(1).cards) == (True, ["As", "Ah"])


def test_cards_that_were_not_dealt_to_the_seat_are_refused() -> None:
    assert refused(limped(), "p1 sm KsKh").code == "CARDS_NOT_HELD"


def test_one_card_is_no_hand_to_show() -> None:
    assert refused(limped(), "p1 sm As").code == "CARDS_NOT_HELD"


def test_a_hand_is_shown_once() -> None:
    assert refused(play(limped(), "p1 sm AsAh"), "p1 sm AsAh").code == "ALREADY_SHOWN"


def test_unknown_cards_become_known_when_shown() -> None:
    hand = play(seated(1000, 1000), "d dh p1 ????", "d dh p2 KsKh", "p2 cc", "p1 cc")
    checked_down(hand)
    assert refused(hand, "p1 sm -").code == "CARDS_UNSEEN"
    assert refused(hand, "p1 sm KsAh").code == "CARD_DEALT_TWICE"
    assert settled(play(hand, "p1 sm AsAh", "p2 sm")) == [1100, 900]


def test_half_known_cards_must_fit_when_shown() -> None:
    hand = checked_down(play(seated(1000, 1000), "d dh p1 ??As", "d dh p2 KsKh", "p2 cc", "p1 cc"))
    assert refused(hand, "p1 sm AhAd").code == "CARDS_NOT_HELD"
    assert settled(play(hand, "p1 sm AhAs", "p2 sm")) == [1100, 900]


def test_the_last_aggressor_shows_first() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc", BOARD[0], "p1 cc", "p2 cc", BOARD[1], "p1 cc", "p2 cc")
    play(hand, BOARD[2], "p1 cc", "p2 cbr 100", "p1 cc")
    assert hand.to_show() == [2, 1]
    refusal = refused(hand, "p1 sm")
    assert (refusal.code, refusal.details) == ("NOT_YOUR_TURN", {"seat": "1", "to_act": "2"})


def test_the_seat_left_of_the_button_shows_first_when_nobody_bet() -> None:
    assert limped().to_show() == [1, 2]


def test_who_acted_first_shows_first_when_calls_put_everyone_all_in() -> None:
    assert play(dealt(100, 100, 100), "p3 cc", "p1 cc").to_show() == [3, 1, 2]


def test_a_winner_may_show_out_of_turn() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 f", "p1 cc", "p2 cc")
    checked_down(hand)
    assert settled(play(hand, "p2 sm KsKh", "p1 sm AsAh")) == [1100, 900, 1000]


def test_a_seat_that_folded_has_nothing_to_show() -> None:
    hand = checked_down(play(dealt(1000, 1000, 1000), "p3 f", "p1 cc", "p2 cc"))
    assert refused(hand, "p3 sm QsQh").code == "SEAT_HAS_FOLDED"


def test_nothing_is_shown_while_there_is_betting() -> None:
    assert refused(dealt(1000, 1000), "p2 sm KsKh").code == "BETTING_OPEN"


def test_hands_are_shown_before_the_board_is_complete_when_all_are_in() -> None:
    hand = play(dealt(1000, 1000), "p2 cbr 1000", "p1 cc", "p2 sm KsKh", "p1 sm AsAh", *BOARD)
    assert settled(hand) == [2000, 0]


def test_the_board_may_be_run_out_before_hands_are_shown() -> None:
    hand = play(dealt(1000, 1000), "p2 cbr 1000", "p1 cc", *BOARD, "p2 sm KsKh", "p1 sm AsAh")
    assert settled(hand) == [2000, 0]


def test_a_winner_whom_everyone_paid_off_may_show() -> None:
    hand = play(dealt(1000, 1000), "p2 f", "p1 sm AsAh")
    assert settled(hand) == [1050, 950]


def test_nothing_is_settled_before_the_hand_is_decided() -> None:
    assert refused_settlement(dealt(1000, 1000)) == "BETTING_OPEN"
    assert refused_settlement(limped()) == "SHOWDOWN_DUE"


def test_a_hand_is_settled_once() -> None:
    hand = play(dealt(1000, 1000), "p2 f")
    settled(hand)
    assert refused_settlement(hand) == "HAND_SETTLED"
    assert refused(hand, "p1 sm AsAh").code == "HAND_SETTLED"


def test_equal_hands_split_the_pot() -> None:
    hand = play(seated(1000, 1000), "d dh p1 AsKs", "d dh p2 AhKh", "p2 cc", "p1 cc")
    assert settled(play(checked_down(hand), "p1 sm AsKs", "p2 sm AhKh")) == [1000, 1000]


def test_an_odd_chip_is_halved() -> None:
    hand = play(seated(1000, 1000, 1000), "d dh p1 AsKs", "d dh p2 AhKh", "d dh p3 2s2h")
    play(hand, "p3 cbr 225", "p1 cc", "p2 cc", "d db 2c7d8h", "p1 cbr 101", "p2 cc", "p3 f")
    play(hand, "d db 3d", "p1 cc", "p2 cc", "d db 4h", "p1 cc", "p2 cc", "p1 sm AsKs", "p2 sm AhKh")
    assert settled(hand) == [Fraction(2225, 2), Fraction(2225, 2), 775]


def test_a_pot_is_divided_by_three_exactly() -> None:
    hand = play(
        seated(1000, 1000, 1000, 1000), "d dh p1 AsKs", "d dh p2 AhKh", "d dh p3 AdKd", "d dh p4 2s2h"
    )
    play(hand, "p3 cc", "p4 cc", "p1 cc", "p2 cc", "d db 2c7d8h", "p1 cc", "p2 cc", "p3 cc", "p4 f")
    for board in BOARD[1:]:
        play(hand, board, "p1 cc", "p2 cc", "p3 cc")
    play(hand, "p1 sm -", "p2 sm -", "p3 sm -")
    share = Fraction(400, 3)
    assert settled(hand) == [900 + share, 900 + share, 900 + share, 900]


def test_side_pots_go_to_those_who_paid_for_them() -> None:
    hand = play(dealt(200, 500, 1000, blinds=(50, 100)), "p3 cbr 1000", "p1 cc", "p2 cc")
    assert showdown.pots(hand) == [Pot(600, (1, 2, 3)), Pot(600, (2, 3))]
    play(hand, "p3 sm -", "p1 sm -", "p2 sm -", *BOARD)
    assert settled(hand) == [600, 600, 500]


def test_chips_of_who_folded_stay_in_the_pots() -> None:
    hand = play(dealt(200, 1000, 1000, 1000), "p3 cbr 300", "p4 cc", "p1 cc", "p2 cc", "d db 2c7d8h")
    play(hand, "p2 cbr 100", "p3 f", "p4 cc")
    assert showdown.pots(hand) == [Pot(800, (1, 2, 4)), Pot(500, (2, 4))]


def test_a_seat_all_in_with_its_ante_wins_antes_only() -> None:
    hand = play(dealt(10, 1000, 1000, antes=(20, 20, 20), blinds=(50, 100)), "p3 cbr 500", "p2 f")
    play(hand, *BOARD, "p3 sm -", "p1 sm -")
    assert settled(hand) == [30, 880, 1100]


def test_the_big_blinds_ante_is_dead_money_in_the_main_pot() -> None:
    hand = play(dealt(1000, 1000, 1000, antes=(0, 100, 0)), "p3 cc", "p1 f", "p2 cc")
    assert showdown.pots(hand) == [Pot(350, (2, 3))]
