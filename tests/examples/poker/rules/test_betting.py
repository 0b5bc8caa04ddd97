from examples.poker.rules.table import Stage
from tests.examples.poker.rules.tables import dealt, play, refused, seated, stacks


def test_the_seat_after_the_big_blind_acts_first_before_the_flop() -> None:
    assert dealt(1000, 1000, 1000, 1000).to_act == [3, 4, 1, 2]


def test_the_seat_after_a_straddle_acts_first() -> None:
    assert dealt(1000, 1000, 1000, 1000, blinds=(50, 100, 200)).to_act == [4, 1, 2, 3]


def test_the_button_acts_first_before_the_flop_when_heads_up() -> None:
    assert dealt(1000, 1000).to_act == [2, 1]


def test_the_seat_after_the_button_acts_first_on_the_flop() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cc", "p1 cc", "p2 cc", "d db 2c7d8h")
    assert hand.to_act == [1, 2, 3]


def test_the_big_blind_may_raise_when_everyone_calls() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cc", "p1 cc", "p2 cbr 300")
    assert hand.to_act == [3, 1]


def test_a_seat_out_of_turn_is_refused() -> None:
    refusal = refused(dealt(1000, 1000, 1000), "p1 f")
    assert refusal.code == "NOT_YOUR_TURN"
    assert refusal.details == {"seat": "1", "to_act": "3"}


def test_a_seat_that_nobody_has_is_refused() -> None:
    refusal = refused(dealt(1000, 1000, 1000), "p9 f")
    assert (refusal.code, refusal.malformed) == ("SEAT_UNKNOWN", True)


def test_a_bet_before_the_cards_are_dealt_is_refused() -> None:
    assert refused(seated(1000, 1000, 1000), "p3 cc").code == "HOLE_CARDS_DUE"


def test_a_bet_is_at_least_the_smallest_bet() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cc", "p1 cc", "p2 cc", "d db 2c7d8h")
    refusal = refused(hand, "p1 cbr 99")
    assert refusal.code == "RAISE_TOO_SMALL"
    assert refusal.details == {"seat": "1", "amount": "99", "minimum": "100"}


def test_a_raise_adds_at_least_what_the_last_one_added() -> None:
    hand = play(dealt(5000, 5000, 5000), "p3 cbr 350")
    assert refused(hand, "p1 cbr 599").details["minimum"] == "600"
    assert stacks(play(hand, "p1 cbr 600")) == [4400, 4900, 4650]


def test_a_raise_above_the_stack_is_refused() -> None:
    refusal = refused(dealt(1000, 1000, 1000), "p3 cbr 1001")
    assert refusal.code == "BET_EXCEEDS_STACK"
    assert refusal.details == {"seat": "3", "amount": "1001", "maximum": "1000"}


def test_a_bet_of_nothing_is_refused() -> None:
    refusal = refused(dealt(1000, 1000, 1000), "p3 cbr 0")
    assert (refusal.code, refusal.malformed) == ("AMOUNT_NOT_POSITIVE", True)


def test_an_all_in_may_be_less_than_a_full_raise() -> None:
    hand = play(dealt(1000, 1000, 130), "p3 cbr 130")
    assert stacks(hand) == [950, 900, 0]


def test_an_incomplete_raise_does_not_reopen_the_betting() -> None:
    hand = play(dealt(1000, 450, 1000), "p3 cbr 300", "p1 cc", "p2 cbr 450")
    refusal = refused(hand, "p3 cbr 1000")
    assert refusal.code == "BETTING_NOT_REOPENED"
    assert refusal.details == {"seat": "3", "raised_by": "150", "full_raise": "200"}
    assert play(hand, "p3 cc", "p1 cc").stage is Stage.BOARD


def test_an_incomplete_raise_over_calls_does_not_reopen_the_betting() -> None:
    hand = play(dealt(1000, 1000, 1000, 150), "p3 cc", "p4 cbr 150", "p1 cc", "p2 cc")
    assert refused(hand, "p3 cbr 500").code == "BETTING_NOT_REOPENED"


def test_incomplete_raises_that_add_up_to_a_full_one_reopen_the_betting() -> None:
    hand = play(dealt(450, 550, 1000, 1000), "p3 cbr 300", "p4 cc", "p1 cbr 450", "p2 cbr 550")
    assert stacks(play(hand, "p3 cbr 750")) == [0, 0, 250, 700]


def test_a_seat_that_has_not_acted_may_raise_over_an_incomplete_raise() -> None:
    hand = play(dealt(1000, 1000, 1000, 130), "p3 cc", "p4 cbr 130", "p1 f")
    assert refused(hand, "p2 cbr 229").details["minimum"] == "230"
    assert play(hand, "p2 cbr 230").to_act == [3]


def test_a_stack_that_only_covers_the_bet_cannot_raise() -> None:
    hand = play(dealt(300, 1000, 1000), "p3 cbr 300")
    assert refused(hand, "p1 cbr 300").code == "CALL_OR_FOLD"


def test_nobody_raises_when_every_opponent_is_all_in() -> None:
    hand = play(dealt(1000, 1000, 400), "p3 cbr 400", "p1 f")
    assert refused(hand, "p2 cbr 800").code == "NOBODY_CAN_CALL"


def test_a_short_stack_calls_with_what_it_has() -> None:
    hand = play(dealt(1000, 180, 1000), "p3 cbr 400", "p1 f", "p2 cc")
    assert stacks(hand) == [950, 0, 820]


def test_what_nobody_called_goes_back() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cbr 400", "p1 f", "p2 f")
    assert stacks(hand) == [950, 900, 900]
    assert hand.stage is Stage.DECIDED


def test_the_big_blind_gets_its_half_back_when_everyone_folds() -> None:
    assert stacks(play(dealt(1000, 1000, 1000), "p3 f", "p1 f")) == [950, 950, 1000]


def test_a_fold_that_nothing_asks_for_is_allowed() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cc", "p1 cc", "p2 cc", "d db 2c7d8h", "p1 f")
    assert hand.to_act == [2, 3]


def test_nobody_folds_chips_away_that_no_one_else_can_win() -> None:
    hand = play(dealt(1000, 1000, 400), "p3 cbr 400", "p1 cc", "p2 cc", "d db 2c7d8h", "p1 cbr 100", "p2 cc")
    play(hand, "d db 3d", "p1 f")
    assert refused(hand, "p2 f").code == "LAST_CLAIM"


def test_there_is_no_betting_when_one_player_has_chips_left() -> None:
    hand = play(dealt(1000, 1000, 400), "p3 cbr 400", "p1 f", "p2 cc", "d db 2c7d8h")
    assert (hand.stage, hand.all_in) == (Stage.BOARD, True)


def test_two_players_with_chips_bet_on_beside_one_who_is_all_in() -> None:
    hand = play(dealt(1000, 1000, 400), "p3 cbr 400", "p1 cc", "p2 cc", "d db 2c7d8h")
    assert hand.to_act == [1, 2]


def test_nobody_bets_once_the_board_is_complete_and_the_betting_done() -> None:
    hand = play(
        dealt(1000, 1000), "p2 cc", "p1 cc", "d db 2c7d8h", "p1 cc", "p2 cc", "d db 3d", "p1 cc", "p2 cc"
    )
    play(hand, "d db 4d", "p1 cc", "p2 cc")
    assert refused(hand, "p1 cc").code == "SHOWDOWN_DUE"
