"""Each rule of the hand, by a scenario: what it allows, what it refuses and with which code."""

from fractions import Fraction

import betterproto
import pytest

from angzarr.testing import scenario
from examples.poker.hands import Hands, chips
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
)
from examples.poker.rules.table import Stage
from tests.examples.poker.histories import ALL_FOLDED, DEALT, HEADS_UP_FLOP, POSTED, SHOWDOWN, STARTED

hands = scenario(Hands)

ANN = Entry(player="Ann", stack=1000, blind=50)
BOB = Entry(player="Bob", stack=1000, blind=100)
BOARD = (
    BoardDealt(cards=["2c", "7d", "8h"]),
    BoardDealt(cards=["3d"]),
    BoardDealt(cards=["4h"]),
)


def start(*entries: Entry, min_bet: int = 100) -> StartHand:
    return StartHand(session="30", number="7", entries=list(entries), min_bet=min_bet)


def three_handed(first: int, second: int, third: int, *holes: list[str]) -> tuple[betterproto.Message, ...]:
    """Dealt, with these stacks and blinds of 50 and 100; aces, kings and queens unless told otherwise."""
    cards = holes or (["As", "Ah"], ["Ks", "Kh"], ["Qs", "Qh"])
    entries = [
        Entry(player="Ann", stack=first, blind=50),
        Entry(player="Bob", stack=second, blind=100),
        Entry(player="Cem", stack=third),
    ]
    return (
        HandStarted(entries=entries, min_bet=100),
        BlindPosted(seat=1, amount=50),
        BlindPosted(seat=2, amount=100),
        *(HoleCardsDealt(seat=seat, cards=held) for seat, held in enumerate(cards, 1)),
    )


# Starting


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (start(ANN), "SEATS_OUT_OF_RANGE"),
        (start(*(Entry(player=str(n), stack=1) for n in range(11))), "SEATS_OUT_OF_RANGE"),
        (start(ANN, BOB, min_bet=0), "MIN_BET_NOT_POSITIVE"),
        (start(ANN, Entry(stack=10)), "PLAYER_NAME_MISSING"),
        (start(ANN, ANN), "PLAYER_SEATED_TWICE"),
        (start(ANN, Entry(player="Bob")), "STACK_NOT_POSITIVE"),
        (start(ANN, Entry(player="Bob", stack=10, blind=-1)), "FORCED_BET_NEGATIVE"),
        (start(ANN, Entry(player="Bob", stack=10, ante=-1)), "FORCED_BET_NEGATIVE"),
    ],
)
async def test_a_hand_that_cannot_be_played_does_not_start(command: StartHand, code: str) -> None:
    await hands.when(command).then_rejected(code)


async def test_ten_may_play() -> None:
    await (
        hands.when(start(*(Entry(player=str(n), stack=1) for n in range(10))))
        .then(HandStarted)
        .then_state(lambda hand: len(hand.seats) == 10)
    )


# Antes and blinds


async def test_antes_come_before_blinds() -> None:
    entries = [
        Entry(player="Ann", stack=1000, ante=10, blind=50),
        Entry(player="Bob", stack=1000, ante=10, blind=100),
    ]
    started = hands.given(HandStarted(entries=entries, min_bet=100))
    await started.when(PostBlind(seat=1)).then_rejected("NOT_YOUR_FORCED_BET")
    await started.when(PostAnte(seat=1)).then(AntePosted(seat=1, amount=10))


async def test_an_ante_that_takes_everything_leaves_no_blind_to_post() -> None:
    entries = [
        Entry(player="Ann", stack=10, ante=10, blind=50),
        Entry(player="Bob", stack=1000, ante=10, blind=100),
    ]
    antes = (AntePosted(seat=1, amount=10, all_in=True), AntePosted(seat=2, amount=10))
    await (
        hands.given(HandStarted(entries=entries, min_bet=100), *antes)
        .when(PostBlind(seat=2))
        .then(BlindPosted(seat=2, amount=100))
    )


async def test_a_straddle_is_a_third_blind_and_moves_the_opening() -> None:
    entries = [ANN, BOB, Entry(player="Cem", stack=1000, blind=200), Entry(player="Dee", stack=1000)]
    posted = [BlindPosted(seat=seat, amount=amount) for seat, amount in ((1, 50), (2, 100), (3, 200))]
    dealt = [
        HoleCardsDealt(seat=seat, cards=cards)
        for seat, cards in enumerate((["As", "Ah"], ["Ks", "Kh"], ["Qs", "Qh"], ["Js", "Jh"]), 1)
    ]
    await (
        hands.given(HandStarted(entries=entries, min_bet=200), *posted, *dealt)
        .when(CheckOrCall(seat=4))
        .then(PlayerCalled(seat=4, amount=200))
    )


async def test_nobody_posts_what_is_posted() -> None:
    await hands.given(*POSTED).when(PostBlind(seat=1)).then_rejected("NO_FORCED_BET_DUE")


# Streets: each thing in its time


@pytest.mark.parametrize(
    ("history", "command", "code"),
    [
        ((), DealBoard(cards=["2c", "7d", "8h"]), "HAND_NOT_STARTED"),
        ((STARTED,), DealHole(seat=1, cards=["As", "Ah"]), "FORCED_BETS_DUE"),
        (POSTED, Fold(seat=3), "HOLE_CARDS_DUE"),
        (DEALT, DealHole(seat=1, cards=["2c", "2d"]), "BETTING_OPEN"),
        (DEALT, ShowCards(seat=1), "BETTING_OPEN"),
        ((*HEADS_UP_FLOP, PlayerChecked(seat=2), PlayerChecked(seat=3)), CheckOrCall(seat=2), "BOARD_DUE"),
        (SHOWDOWN, CheckOrCall(seat=2), "SHOWDOWN_DUE"),
        (SHOWDOWN, SettleHand(), "SHOWDOWN_DUE"),
        (SHOWDOWN, DealBoard(cards=["5c"]), "SHOWDOWN_DUE"),
        (ALL_FOLDED, CheckOrCall(seat=3), "HAND_DECIDED"),
        ((*ALL_FOLDED, HandSettled()), SettleHand(), "HAND_SETTLED"),
        ((*ALL_FOLDED, HandSettled()), ShowCards(seat=3), "HAND_SETTLED"),
    ],
)
async def test_out_of_its_time_it_is_refused(
    history: tuple[betterproto.Message, ...], command: betterproto.Message, code: str
) -> None:
    await hands.given(*history).when(command).then_rejected(code)


async def test_the_flop_has_three_cards_which_may_come_one_by_one() -> None:
    preflop = hands.given(*DEALT, PlayerRaised(seat=3, to=300, amount=300), PlayerFolded(seat=1))
    flop = preflop.given(PlayerCalled(seat=2, amount=200))
    await flop.when(DealBoard(cards=["2c", "7d", "8h", "9h"])).then_rejected("WRONG_NUMBER_OF_CARDS")
    await flop.when(DealBoard()).then_rejected("WRONG_NUMBER_OF_CARDS")
    await flop.when(DealBoard(cards=["2c"])).then(BoardDealt(cards=["2c"]))
    await flop.given(BoardDealt(cards=["2c"])).when(CheckOrCall(seat=2)).then_rejected("BOARD_DUE")


@pytest.mark.parametrize(
    ("cards", "code"),
    [
        (["2c", "7d", "Xx"], "CARD_UNKNOWN"),
        (["2c", "7d", "??"], "CARD_UNKNOWN"),
        (["2c", "7d", "As"], "CARD_DEALT_TWICE"),
        (["2c", "7d", "7d"], "CARD_DEALT_TWICE"),
    ],
)
async def test_the_board_comes_openly_from_the_deck(cards: list[str], code: str) -> None:
    called = (PlayerCalled(seat=3, amount=100), PlayerCalled(seat=1, amount=50), PlayerChecked(seat=2))
    await hands.given(*DEALT, *called).when(DealBoard(cards=cards)).then_rejected(code)


async def test_a_hand_of_hold_em_has_two_cards() -> None:
    await (
        hands.given(*POSTED)
        .when(DealHole(seat=1, cards=["As", "Ah", "Ad"]))
        .then_rejected("WRONG_NUMBER_OF_CARDS")
    )


async def test_cards_may_be_dealt_face_down() -> None:
    await (
        hands.given(*POSTED)
        .when(DealHole(seat=1, cards=["??", "??"]))
        .then(HoleCardsDealt(seat=1, cards=["??", "??"]))
    )


async def test_after_the_flop_the_first_live_seat_left_of_the_button_opens() -> None:
    await hands.given(*HEADS_UP_FLOP).then_state(lambda hand: hand.to_act == [2, 3])


async def test_heads_up_the_button_posts_the_small_blind_and_opens_before_the_flop() -> None:
    entries = [Entry(player="Ann", stack=1000, blind=100), Entry(player="Bob", stack=1000, blind=50)]
    await hands.given(
        HandStarted(entries=entries, min_bet=100),
        BlindPosted(seat=1, amount=100),
        BlindPosted(seat=2, amount=50),
        HoleCardsDealt(seat=1, cards=["As", "Ah"]),
        HoleCardsDealt(seat=2, cards=["Ks", "Kh"]),
    ).then_state(lambda hand: hand.to_act == [2, 1])


async def test_the_big_blind_has_an_option() -> None:
    limped = (PlayerCalled(seat=3, amount=100), PlayerCalled(seat=1, amount=50))
    await (
        hands.given(*DEALT, *limped)
        .when(BetOrRaiseTo(seat=2, amount=200))
        .then(PlayerRaised(seat=2, to=200, amount=100))
    )


# Bet sizes


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "AMOUNT_NOT_POSITIVE"),
        (-5, "AMOUNT_NOT_POSITIVE"),
        (99, "RAISE_TOO_SMALL"),
        (199, "RAISE_TOO_SMALL"),
        (1001, "BET_EXCEEDS_STACK"),
    ],
)
async def test_a_raise_of_a_wrong_size_is_refused(amount: int, code: str) -> None:
    await hands.given(*DEALT).when(BetOrRaiseTo(seat=3, amount=amount)).then_rejected(code)


async def test_the_smallest_raise_adds_what_the_last_one_added() -> None:
    raised = hands.given(*DEALT, PlayerRaised(seat=3, to=300, amount=300))
    await raised.when(BetOrRaiseTo(seat=1, amount=499)).then_rejected(
        "RAISE_TOO_SMALL", details={"minimum": "500"}
    )
    await raised.when(BetOrRaiseTo(seat=1, amount=500)).then(PlayerRaised(seat=1, to=500, amount=450))


async def test_a_bet_after_the_flop_is_at_least_the_smallest_bet() -> None:
    flop = hands.given(*HEADS_UP_FLOP)
    await flop.when(BetOrRaiseTo(seat=2, amount=99)).then_rejected("RAISE_TOO_SMALL")
    await flop.when(BetOrRaiseTo(seat=2, amount=100)).then(PlayerRaised(seat=2, to=100, amount=100))


# All-ins


async def test_a_short_stack_may_raise_all_in_by_less_than_a_full_raise() -> None:
    await (
        hands.given(*three_handed(1000, 1000, 150))
        .when(BetOrRaiseTo(seat=3, amount=150))
        .then(PlayerRaised(seat=3, to=150, amount=150, all_in=True))
    )


async def test_a_raise_that_is_not_full_does_not_reopen_the_betting() -> None:
    short_raise = (
        *three_handed(1000, 350, 1000),
        PlayerRaised(seat=3, to=300, amount=300),
        PlayerCalled(seat=1, amount=250),
        PlayerRaised(seat=2, to=350, amount=250, all_in=True),
    )
    await (
        hands.given(*short_raise).when(BetOrRaiseTo(seat=3, amount=900)).then_rejected("BETTING_NOT_REOPENED")
    )
    await hands.given(*short_raise).when(CheckOrCall(seat=3)).then(PlayerCalled(seat=3, amount=50))


async def test_who_cannot_reach_beyond_the_bet_calls_or_folds() -> None:
    raised = (*three_handed(300, 1000, 1000), PlayerRaised(seat=3, to=300, amount=300))
    await hands.given(*raised).when(BetOrRaiseTo(seat=1, amount=300)).then_rejected("CALL_OR_FOLD")


async def test_nobody_raises_against_all_ins() -> None:
    all_in = (
        *three_handed(300, 1000, 300),
        PlayerRaised(seat=3, to=300, amount=300, all_in=True),
        PlayerCalled(seat=1, amount=250, all_in=True),
    )
    await hands.given(*all_in).when(BetOrRaiseTo(seat=2, amount=600)).then_rejected("NOBODY_CAN_CALL")


ALL_IN = (
    *three_handed(300, 1000, 1000),
    PlayerRaised(seat=3, to=1000, amount=1000, all_in=True),
    PlayerCalled(seat=1, amount=250, all_in=True),
    PlayerCalled(seat=2, amount=900, all_in=True),
)


async def test_after_all_ins_the_board_is_run_out_without_betting() -> None:
    await (
        hands.given(*ALL_IN, BOARD[0])
        .when(DealBoard(cards=["3d"]))
        .then(BoardDealt(cards=["3d"]))
        .then_state(lambda hand: hand.to_act == [] and hand.stage is Stage.BOARD)
    )


async def test_after_all_ins_cards_may_be_shown_before_the_board_is_there() -> None:
    await hands.given(*ALL_IN).when(ShowCards(seat=1)).then(CardsShown(seat=1, cards=["As", "Ah"]))


# Pots


async def test_an_all_in_for_less_wins_the_main_pot_and_others_play_for_the_side_pot() -> None:
    shown = (
        CardsShown(seat=1, cards=["As", "Ah"]),
        CardsShown(seat=2, cards=["Ks", "Kh"]),
        CardsShown(seat=3, cards=["Qs", "Qh"]),
    )
    await (
        hands.given(*ALL_IN, *BOARD, *shown)
        .when(SettleHand())
        .then(
            PotAwarded(
                amount=900,
                claimants=[1, 2, 3],
                shares=[Share(seat=1, chips=Chips(whole=900))],
                ranking="One pair",
            ),
            PotAwarded(
                amount=1400,
                claimants=[2, 3],
                shares=[Share(seat=2, chips=Chips(whole=1400))],
                ranking="One pair",
            ),
            HandSettled(stacks=[Chips(whole=900), Chips(whole=1400), Chips()]),
        )
    )


async def test_equal_hands_split_the_pot() -> None:
    history = (
        *three_handed(1000, 1000, 1000, ["As", "Kh"], ["Ad", "Kc"], ["Qs", "Qh"]),
        PlayerFolded(seat=3),
        PlayerCalled(seat=1, amount=50),
        PlayerChecked(seat=2),
    )
    streets: list[betterproto.Message] = []
    for dealt in BOARD:
        streets += [dealt, PlayerChecked(seat=1), PlayerChecked(seat=2)]
    shown = (CardsShown(seat=1, cards=["As", "Kh"]), CardsShown(seat=2, cards=["Ad", "Kc"]))
    await (
        hands.given(*history, *streets, *shown)
        .when(SettleHand())
        .then(
            PotAwarded(
                amount=200,
                claimants=[1, 2],
                shares=[Share(seat=1, chips=Chips(whole=100)), Share(seat=2, chips=Chips(whole=100))],
                ranking="High card",
            ),
            HandSettled(stacks=[Chips(whole=1000), Chips(whole=1000), Chips(whole=1000)]),
        )
    )


async def test_an_odd_chip_is_split_too() -> None:
    entries = [
        Entry(player="Ann", stack=100, blind=1),
        Entry(player="Bob", stack=100, blind=2),
        Entry(player="Cem", stack=100, blind=3),
    ]
    posted = [BlindPosted(seat=seat, amount=seat) for seat in (1, 2, 3)]
    dealt = [
        HoleCardsDealt(seat=seat, cards=cards)
        for seat, cards in ((1, ["9s", "9d"]), (2, ["As", "Kh"]), (3, ["Ad", "Kc"]))
    ]
    preflop = (PlayerFolded(seat=1), PlayerCalled(seat=2, amount=1), PlayerChecked(seat=3))
    streets: list[betterproto.Message] = []
    for board in BOARD:
        streets += [board, PlayerChecked(seat=2), PlayerChecked(seat=3)]
    shown = (CardsShown(seat=2, cards=["As", "Kh"]), CardsShown(seat=3, cards=["Ad", "Kc"]))
    half = chips(Fraction(7, 2))
    await (
        hands.given(HandStarted(entries=entries, min_bet=3), *posted, *dealt, *preflop, *streets, *shown)
        .when(SettleHand())
        .then(
            PotAwarded(
                amount=7,
                claimants=[2, 3],
                shares=[Share(seat=2, chips=half), Share(seat=3, chips=half)],
                ranking="High card",
            ),
            HandSettled(
                stacks=[Chips(whole=99), chips(Fraction(201, 2)), chips(Fraction(201, 2))],
            ),
        )
    )


async def test_an_ante_of_one_seat_is_dead_money_in_the_pot() -> None:
    entries = [
        Entry(player="Ann", stack=1000, blind=50),
        Entry(player="Bob", stack=1000, ante=100, blind=100),
    ]
    history = (
        HandStarted(entries=entries, min_bet=100),
        AntePosted(seat=2, amount=100),
        BlindPosted(seat=1, amount=50),
        BlindPosted(seat=2, amount=100),
        HoleCardsDealt(seat=1, cards=["As", "Ah"]),
        HoleCardsDealt(seat=2, cards=["Ks", "Kh"]),
    )
    await hands.given(*history).when(CheckOrCall(seat=1)).then(PlayerCalled(seat=1, amount=50))


# Folding


async def test_nobody_gives_up_chips_that_no_one_else_can_win() -> None:
    side_pot = (
        *three_handed(300, 1000, 1000),
        PlayerRaised(seat=3, to=300, amount=300),
        PlayerCalled(seat=1, amount=250, all_in=True),
        PlayerCalled(seat=2, amount=200),
        BOARD[0],
        PlayerRaised(seat=2, to=100, amount=100),
        PlayerCalled(seat=3, amount=100),
        BOARD[1],
        PlayerFolded(seat=2),
    )
    await hands.given(*side_pot).when(Fold(seat=3)).then_rejected("LAST_CLAIM")
    await hands.given(*side_pot).when(CheckOrCall(seat=3)).then(PlayerChecked(seat=3))


async def test_who_has_folded_shows_nothing() -> None:
    await hands.given(*SHOWDOWN).when(ShowCards(seat=1)).then_rejected("SEAT_HAS_FOLDED")


# Showdown


async def test_cards_are_shown_once() -> None:
    shown = CardsShown(seat=2, cards=["Ks", "Kh"])
    await hands.given(*SHOWDOWN, shown).when(ShowCards(seat=2)).then_rejected("ALREADY_SHOWN")


async def test_who_is_to_show_first_does_not_wait_for_another_to_muck() -> None:
    await hands.given(*SHOWDOWN).when(MuckCards(seat=3)).then_rejected("NOT_YOUR_TURN")


async def test_the_last_aggressor_shows_first() -> None:
    river = (*SHOWDOWN[:-2], PlayerRaised(seat=2, to=100, amount=100), PlayerCalled(seat=3, amount=100))
    await hands.given(*river).then_state(lambda hand: hand.to_show() == [2, 3])


async def test_the_last_one_with_a_claim_does_not_muck() -> None:
    await hands.given(*SHOWDOWN, CardsMucked(seat=2)).when(MuckCards(seat=3)).then_rejected("LAST_CLAIM")


async def test_cards_that_nobody_saw_are_told_when_they_are_shown() -> None:
    unseen = three_handed(1000, 1000, 1000, ["??", "??"], ["Ks", "Kh"], ["Qs", "Qh"])
    all_in = (
        PlayerRaised(seat=3, to=1000, amount=1000, all_in=True),
        PlayerCalled(seat=1, amount=950, all_in=True),
        PlayerFolded(seat=2),
    )
    open_up = hands.given(*unseen, *all_in)
    await open_up.when(ShowCards(seat=1)).then_rejected("CARDS_UNSEEN")
    await open_up.when(ShowCards(seat=1, cards=["As", "Qs"])).then_rejected("CARD_DEALT_TWICE")
    await open_up.when(ShowCards(seat=1, cards=["As", "Ah"])).then(CardsShown(seat=1, cards=["As", "Ah"]))
