import pytest

from examples.poker.rules import dealing
from examples.poker.rules.dealing import Entry
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import ForcedBet, Hand, Stage
from tests.examples.poker.pure import act
from tests.examples.poker.rules.tables import dealt, play, refused, seated, stacks


def refused_start(*entries: Entry, min_bet: int = 100) -> str:
    with pytest.raises(IllegalAction) as caught:
        dealing.check_start(Hand(), entries, min_bet)
    assert caught.value.malformed
    return caught.value.code


def test_blinds_are_posted_from_the_stacks() -> None:
    assert stacks(seated(1000, 1000, 1000)) == [950, 900, 1000]


def test_antes_are_posted_before_blinds() -> None:
    due = dealing.forced_bets([Entry("a", 1000, 10, 50), Entry("b", 1000, 10, 100)])
    assert [(bet.seat, bet.kind.value, bet.amount) for bet in due] == [
        (1, "ante", 10),
        (2, "ante", 10),
        (1, "blind", 50),
        (2, "blind", 100),
    ]


def test_a_short_stack_posts_what_it_has() -> None:
    due = dealing.forced_bets([Entry("a", 30, 10, 50), Entry("b", 10, 10, 100), Entry("c", 5, 10)])
    assert [(bet.seat, bet.amount) for bet in due] == [(1, 10), (2, 10), (3, 5), (1, 20)]


def test_a_forced_bet_out_of_order_is_refused() -> None:
    hand = Hand()
    dealing.start(hand, [Entry("a", 1000, 0, 50), Entry("b", 1000, 0, 100)], 100)
    with pytest.raises(IllegalAction) as caught:
        dealing.check_post(hand, 2, ForcedBet.BLIND)
    assert caught.value.code == "NOT_YOUR_FORCED_BET"
    assert caught.value.details == {
        "seat": "2",
        "kind": "blind",
        "due_seat": "1",
        "due_kind": "blind",
    }


def test_a_forced_bet_that_nobody_owes_is_refused() -> None:
    with pytest.raises(IllegalAction) as caught:
        dealing.check_post(seated(1000, 1000), 1, ForcedBet.BLIND)
    assert caught.value.code == "NO_FORCED_BET_DUE"


def test_cards_before_the_forced_bets_are_refused() -> None:
    hand = Hand()
    dealing.start(hand, [Entry("a", 1000, 0, 50), Entry("b", 1000, 0, 100)], 100)
    assert refused(hand, "d dh p1 AsKs").code == "FORCED_BETS_DUE"


def test_a_hand_starts_once() -> None:
    with pytest.raises(IllegalAction) as caught:
        dealing.check_start(seated(1000, 1000), [Entry("a", 1000), Entry("b", 1000)], 100)
    assert caught.value.code == "HAND_ALREADY_STARTED"


def test_one_player_is_too_few() -> None:
    assert refused_start(Entry("a", 1000)) == "SEATS_OUT_OF_RANGE"


def test_eleven_players_are_too_many() -> None:
    assert refused_start(*(Entry(f"player {seat}", 1000) for seat in range(11))) == "SEATS_OUT_OF_RANGE"


def test_a_player_without_chips_is_refused() -> None:
    assert refused_start(Entry("a", 1000), Entry("b", 0)) == "STACK_NOT_POSITIVE"


def test_a_player_without_a_name_is_refused() -> None:
    assert refused_start(Entry("a", 1000), Entry("", 1000)) == "PLAYER_NAME_MISSING"


def test_a_player_in_two_seats_is_refused() -> None:
    assert refused_start(Entry("a", 1000), Entry("a", 1000)) == "PLAYER_SEATED_TWICE"


def test_a_negative_blind_is_refused() -> None:
    assert refused_start(Entry("a", 1000), Entry("b", 1000, 0, -1)) == "FORCED_BET_NEGATIVE"


def test_a_smallest_bet_of_nothing_is_refused() -> None:
    assert refused_start(Entry("a", 1000), Entry("b", 1000), min_bet=0) == "MIN_BET_NOT_POSITIVE"


def test_a_card_is_dealt_once() -> None:
    hand = play(seated(1000, 1000), "d dh p1 AsKs")
    refusal = refused(hand, "d dh p2 QsAs")
    assert (refusal.code, refusal.details) == ("CARD_DEALT_TWICE", {"card": "As"})


def test_the_same_card_twice_in_one_deal_is_refused() -> None:
    assert refused(seated(1000, 1000), "d dh p1 AsAs").code == "CARD_DEALT_TWICE"


def test_a_hole_card_does_not_come_on_the_board() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc")
    assert refused(hand, "d db 2c3cAs").details == {"card": "As"}


def test_a_card_that_does_not_exist_is_refused() -> None:
    refusal = refused(seated(1000, 1000), "d dh p1 AsXx")
    assert (refusal.code, refusal.malformed, refusal.details) == ("CARD_UNKNOWN", True, {"card": "Xx"})


def test_half_a_card_is_refused() -> None:
    assert refused(seated(1000, 1000), "d dh p1 AsK").code == "CARD_UNKNOWN"


def test_three_hole_cards_are_refused() -> None:
    assert refused(seated(1000, 1000), "d dh p1 AsKsQs").code == "WRONG_NUMBER_OF_CARDS"


def test_a_seat_is_dealt_no_third_card() -> None:
    hand = play(seated(1000, 1000), "d dh p1 AsKs")
    assert refused(hand, "d dh p1 Qs").code == "WRONG_NUMBER_OF_CARDS"


def test_hole_cards_may_come_one_by_one() -> None:
    hand = play(seated(1000, 1000), "d dh p1 As", "d dh p2 Ks", "d dh p1 Ah", "d dh p2 Kh")
    assert hand.seat(1).cards == ["As", "Ah"]
    assert hand.stage is Stage.BETTING


def test_hole_cards_may_be_unknown() -> None:
    hand = play(seated(1000, 1000), "d dh p1 ????", "d dh p2 ????")
    assert hand.stage is Stage.BETTING


def test_the_board_is_not_dealt_while_the_betting_is_open() -> None:
    assert refused(dealt(1000, 1000), "d db 2c3c4c").code == "BETTING_OPEN"


def test_the_flop_has_three_cards() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc")
    refusal = refused(hand, "d db 2c3c4c5c")
    assert (refusal.code, refusal.details) == ("WRONG_NUMBER_OF_CARDS", {"cards": "4", "most": "3"})


def test_the_flop_may_come_card_by_card() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc", "d db 2c", "d db 3c")
    assert hand.stage is Stage.BOARD
    assert play(hand, "d db 4c").to_act == [1, 2]


def test_the_turn_has_one_card() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc", "d db 2c3c4c", "p1 cc", "p2 cc")
    assert refused(hand, "d db 5c6c").code == "WRONG_NUMBER_OF_CARDS"


def test_the_board_is_never_unknown() -> None:
    hand = play(dealt(1000, 1000), "p2 cc", "p1 cc")
    assert refused(hand, "d db 2c3c??").code == "CARD_UNKNOWN"


def test_nothing_is_dealt_after_everyone_else_folded() -> None:
    hand = play(dealt(1000, 1000), "p2 f")
    assert refused(hand, "d db 2c3c4c").code == "HAND_DECIDED"


def test_a_hand_that_has_not_started_has_no_seats() -> None:
    with pytest.raises(IllegalAction) as caught:
        act(Hand(), "deal_hole", 1, "AsKs")
    assert caught.value.code == "SEAT_UNKNOWN"
