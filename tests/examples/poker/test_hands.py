from fractions import Fraction

import pytest

from angzarr.testing import scenario
from examples.poker.hands import Hands, amount_of, chips
from examples.poker.messages.hand import (
    AntePosted,
    BetOrRaiseTo,
    BlindPosted,
    BoardDealt,
    CardsMucked,
    CardsShown,
    CheckOrCall,
    Chips,
    DealBoard,
    DealHole,
    Entry,
    Fold,
    HandSettled,
    HandStarted,
    HoleCardsDealt,
    MuckCards,
    PlayerCalled,
    PlayerChecked,
    PlayerFolded,
    PlayerRaised,
    PostAnte,
    PostBlind,
    PotAwarded,
    SettleHand,
    Share,
    ShowCards,
    StartHand,
    UncalledBetReturned,
)
from examples.poker.rules.table import Stage
from tests.examples.poker.histories import (
    ALL_FOLDED,
    DEALT,
    ENTRIES,
    HEADS_UP_FLOP,
    POSTED,
    SHOWDOWN,
    STARTED,
)

hands = scenario(Hands)


async def test_a_hand_starts() -> None:
    await (
        hands.when(StartHand(session="30", number="7", entries=ENTRIES, min_bet=100))
        .then(STARTED)
        .then_state(lambda hand: hand.stage is Stage.POSTING)
    )


async def test_a_hand_belongs_to_a_session() -> None:
    await hands.when(StartHand(number="7", entries=ENTRIES, min_bet=100)).then_rejected("VALUE_EMPTY")


async def test_a_hand_has_a_number() -> None:
    await hands.when(StartHand(session="30", entries=ENTRIES, min_bet=100)).then_rejected("VALUE_EMPTY")


async def test_a_hand_starts_once() -> None:
    again = StartHand(session="30", number="7", entries=ENTRIES, min_bet=100)
    await hands.given(STARTED).when(again).then_rejected("HAND_ALREADY_STARTED")


async def test_a_blind_is_posted() -> None:
    await hands.given(STARTED).when(PostBlind(seat=1)).then(BlindPosted(seat=1, amount=50))


async def test_a_blind_may_take_the_whole_stack() -> None:
    short = [Entry(player="Ann", stack=30, blind=50), Entry(player="Bob", stack=1000, blind=100)]
    await (
        hands.given(HandStarted(entries=short, min_bet=100))
        .when(PostBlind(seat=1))
        .then(BlindPosted(seat=1, amount=30, all_in=True))
    )


async def test_a_blind_out_of_order_is_refused() -> None:
    await hands.given(STARTED).when(PostBlind(seat=2)).then_rejected("NOT_YOUR_FORCED_BET")


async def test_an_ante_is_posted() -> None:
    entries = [Entry(player="Ann", stack=1000, ante=10), Entry(player="Bob", stack=1000, ante=10)]
    await (
        hands.given(HandStarted(entries=entries, min_bet=100))
        .when(PostAnte(seat=1))
        .then(AntePosted(seat=1, amount=10))
    )


async def test_hole_cards_are_dealt() -> None:
    await (
        hands.given(*POSTED)
        .when(DealHole(seat=1, cards=["As", "Ah"]))
        .then(HoleCardsDealt(seat=1, cards=["As", "Ah"]))
    )


async def test_a_card_is_dealt_once() -> None:
    await (
        hands.given(*POSTED, HoleCardsDealt(seat=1, cards=["As", "Ah"]))
        .when(DealHole(seat=2, cards=["Ks", "As"]))
        .then_rejected("CARD_DEALT_TWICE")
    )


async def test_a_fold_that_ends_the_hand_gives_the_uncalled_bet_back() -> None:
    await (
        hands.given(*DEALT, PlayerRaised(seat=3, to=300, amount=300), PlayerFolded(seat=1))
        .when(Fold(seat=2))
        .then(PlayerFolded(seat=2), UncalledBetReturned(seat=3, amount=200))
    )


async def test_a_fold_with_players_to_act_is_only_a_fold() -> None:
    await hands.given(*DEALT).when(Fold(seat=3)).then(PlayerFolded(seat=3))


async def test_a_call_says_what_it_added() -> None:
    await hands.given(*DEALT).when(CheckOrCall(seat=3)).then(PlayerCalled(seat=3, amount=100))


async def test_with_nothing_to_call_it_is_a_check() -> None:
    await hands.given(*HEADS_UP_FLOP).when(CheckOrCall(seat=2)).then(PlayerChecked(seat=2))


async def test_a_call_of_everything_is_all_in() -> None:
    raised = PlayerRaised(seat=3, to=1000, amount=1000, all_in=True)
    await (
        hands.given(*DEALT, raised, PlayerFolded(seat=1))
        .when(CheckOrCall(seat=2))
        .then(PlayerCalled(seat=2, amount=900, all_in=True))
    )


async def test_a_call_for_less_gives_the_uncalled_part_back() -> None:
    await (
        hands.given(
            HandStarted(entries=[ENTRIES[0], Entry(player="Bob", stack=600, blind=100)], min_bet=100),
            BlindPosted(seat=1, amount=50),
            BlindPosted(seat=2, amount=100),
            HoleCardsDealt(seat=1, cards=["As", "Ah"]),
            HoleCardsDealt(seat=2, cards=["Ks", "Kh"]),
            PlayerRaised(seat=1, to=1000, amount=950, all_in=True),
        )
        .when(CheckOrCall(seat=2))
        .then(PlayerCalled(seat=2, amount=500, all_in=True), UncalledBetReturned(seat=1, amount=400))
    )


async def test_a_raise_says_what_it_comes_to_and_what_it_added() -> None:
    await (
        hands.given(*DEALT, PlayerCalled(seat=3, amount=100))
        .when(BetOrRaiseTo(seat=1, amount=300))
        .then(PlayerRaised(seat=1, to=300, amount=250))
    )


async def test_a_raise_of_everything_is_all_in() -> None:
    await (
        hands.given(*DEALT)
        .when(BetOrRaiseTo(seat=3, amount=1000))
        .then(PlayerRaised(seat=3, to=1000, amount=1000, all_in=True))
    )


async def test_a_small_raise_is_refused_with_the_smallest_one_allowed() -> None:
    await hands.given(*DEALT).when(BetOrRaiseTo(seat=3, amount=150)).then_rejected("RAISE_TOO_SMALL")


async def test_an_action_out_of_turn_is_refused() -> None:
    await hands.given(*DEALT).when(Fold(seat=1)).then_rejected("NOT_YOUR_TURN")


async def test_a_seat_that_does_not_exist_is_refused() -> None:
    await hands.given(*DEALT).when(Fold(seat=9)).then_rejected("SEAT_UNKNOWN")


async def test_the_board_waits_for_the_betting() -> None:
    await hands.given(*DEALT).when(DealBoard(cards=["2c", "7d", "8h"])).then_rejected("BETTING_OPEN")


async def test_the_turn_is_dealt() -> None:
    await (
        hands.given(*HEADS_UP_FLOP, PlayerChecked(seat=2), PlayerChecked(seat=3))
        .when(DealBoard(cards=["3d"]))
        .then(BoardDealt(cards=["3d"]))
        .then_state(lambda hand: hand.to_act == [2, 3])
    )


async def test_cards_are_shown() -> None:
    await hands.given(*SHOWDOWN).when(ShowCards(seat=2)).then(CardsShown(seat=2, cards=["Ks", "Kh"]))


async def test_other_cards_than_those_held_are_refused() -> None:
    await hands.given(*SHOWDOWN).when(ShowCards(seat=2, cards=["As", "Ah"])).then_rejected("CARDS_NOT_HELD")


async def test_cards_are_mucked() -> None:
    shown = CardsShown(seat=2, cards=["Ks", "Kh"])
    await hands.given(*SHOWDOWN, shown).when(MuckCards(seat=3)).then(CardsMucked(seat=3))


async def test_a_showdown_is_settled_by_the_better_hand() -> None:
    await (
        hands.given(*SHOWDOWN, CardsShown(seat=2, cards=["Ks", "Kh"]), CardsShown(seat=3, cards=["Qs", "Qh"]))
        .when(SettleHand())
        .then(
            PotAwarded(
                amount=650,
                claimants=[2, 3],
                shares=[Share(seat=2, chips=Chips(whole=650))],
                ranking="One pair",
            ),
            HandSettled(stacks=[Chips(whole=950), Chips(whole=1350), Chips(whole=700)]),
        )
        .then_state(lambda hand: [seat.stack for seat in hand.seats] == [950, 1350, 700])
    )


async def test_a_hand_that_everyone_left_is_settled_without_cards() -> None:
    await (
        hands.given(*ALL_FOLDED)
        .when(SettleHand())
        .then(
            PotAwarded(amount=250, claimants=[3], shares=[Share(seat=3, chips=Chips(whole=250))]),
            HandSettled(stacks=[Chips(whole=950), Chips(whole=900), Chips(whole=1150)]),
        )
    )


async def test_nothing_is_settled_before_its_time() -> None:
    await hands.given(*DEALT).when(SettleHand()).then_rejected("BETTING_OPEN")


async def test_the_state_tells_the_history_in_poker_notation() -> None:
    await (
        hands.given(*HEADS_UP_FLOP)
        .when(CheckOrCall(seat=2))
        .then_state(
            lambda hand: (
                hand.history
                == [
                    "start 100 Ann:1000+0+50 Bob:1000+0+100 Cem:1000+0+0",
                    "p1 blind",
                    "p2 blind",
                    "d dh p1 AsAh",
                    "d dh p2 KsKh",
                    "d dh p3 QsQh",
                    "p3 cbr 300",
                    "p1 f",
                    "p2 cc",
                    "d db 2c7d8h",
                    "p2 cc",
                ]
            )
        )
    )


@pytest.mark.parametrize("amount", [0, 5, Fraction(775, 2), Fraction(-1, 3), Fraction(10, 1)])
def test_amounts_survive_the_message(amount: int | Fraction) -> None:
    assert amount_of(chips(amount)) == amount
