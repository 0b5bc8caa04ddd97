from copy import deepcopy

from tests.examples.poker.rules.tables import dealt, play


def test_a_copy_of_a_hand_is_equal_and_goes_its_own_way() -> None:
    hand = play(dealt(1000, 1000, 1000), "p3 cbr 300", "p1 f", "p2 cc")
    copy = deepcopy(hand)
    assert copy == hand
    play(copy, "d db 2c3c4c", "p2 cbr 100", "p3 f")
    copy.seat(1).cards.clear()
    copy.history.append("p1 wins")
    assert hand == play(dealt(1000, 1000, 1000), "p3 cbr 300", "p1 f", "p2 cc")
