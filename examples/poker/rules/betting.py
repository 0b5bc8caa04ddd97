"""The betting: whose turn it is, what they may do, and when a street is over."""

from dataclasses import dataclass

from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import Hand, Seat, Stage, check_seat, check_stage


@dataclass(frozen=True)
class Uncalled:
    """The part of a bet that nobody matched; it goes back."""

    seat: int
    amount: int


def check_turn(hand: Hand, number: int) -> Seat:
    """The seat, when it is its turn to bet.

    Raises:
        IllegalAction: SEAT_UNKNOWN; NOT_YOUR_TURN; BOARD_DUE or another stage, nobody may bet now.
    """
    seat = check_seat(hand, number)
    check_stage(hand, Stage.BETTING)
    if hand.to_act[0] != number:
        raise IllegalAction("NOT_YOUR_TURN", "another seat is to act", seat=number, to_act=hand.to_act[0])
    return seat


def check_fold(hand: Hand, number: int) -> None:
    """Whether a seat may fold.

    Raises:
        IllegalAction: as `check_turn`; LAST_CLAIM, the fold would leave chips in the pot that no one can win.
    """
    seat = check_turn(hand, number)
    if seat.bet < hand.highest_bet:
        return
    if hand.stake(number) > max(hand.stake(other) for other in hand.live() if other != number):
        raise IllegalAction("LAST_CLAIM", "a part of the pot is this seat's alone", seat=number)


def amount_to_call(hand: Hand, number: int) -> int:
    """What a seat adds to stay in, at most its stack; 0 is a check."""
    seat = hand.seat(number)
    return min(int(seat.stack), hand.highest_bet - seat.bet)


def check_call(hand: Hand, number: int) -> int:
    """The chips that checking or calling costs a seat; 0 is a check.

    Raises:
        IllegalAction: as `check_turn`.
    """
    check_turn(hand, number)
    return amount_to_call(hand, number)


def check_may_raise(hand: Hand, number: int) -> Seat:
    """The seat, when it may bet or raise at all.

    Raises:
        IllegalAction: as `check_turn`; CALL_OR_FOLD, the stack does not reach beyond the bet; NOBODY_CAN_CALL, every
            opponent is all-in for less; BETTING_NOT_REOPENED, the seat has acted, and the all-ins since then do not
            add up to a full raise.
    """
    seat = check_turn(hand, number)
    highest = hand.highest_bet
    if seat.bet + seat.stack <= highest:
        raise IllegalAction(
            "CALL_OR_FOLD",
            "the stack does not reach beyond the bet",
            seat=number,
            bet=highest,
            stack=seat.stack,
        )
    opponents = [hand.seat(other) for other in hand.live() if other != number]
    if all(other.bet + other.stack <= highest for other in opponents):
        raise IllegalAction(
            "NOBODY_CAN_CALL", "every opponent is all-in for no more than the bet", seat=number
        )
    if seat.acted_at is not None and highest - seat.acted_at < hand.full_raise:
        raise IllegalAction(
            "BETTING_NOT_REOPENED",
            "the seat has acted, and there was no full raise since",
            seat=number,
            raised_by=highest - seat.acted_at,
            full_raise=hand.full_raise,
        )
    return seat


def smallest_raise_to(hand: Hand, number: int) -> int:
    """The smallest amount that a seat may bet or raise to: a full raise, or all-in for less."""
    seat = hand.seat(number)
    return min(hand.highest_bet + hand.full_raise, seat.bet + int(seat.stack))


def check_raise_to(hand: Hand, number: int, amount: int) -> int:
    """The chips that betting or raising to an amount costs a seat.

    Args:
        amount: what the seat's bet in this street comes to, not what is added.

    Raises:
        IllegalAction: as `check_may_raise`; AMOUNT_NOT_POSITIVE; BET_EXCEEDS_STACK; RAISE_TOO_SMALL, less than a full
            raise (or bet) and not all-in.
    """
    if amount <= 0:
        raise IllegalAction(
            "AMOUNT_NOT_POSITIVE", "a bet is at least one chip", malformed=True, amount=amount
        )
    seat = check_may_raise(hand, number)
    most = seat.bet + seat.stack
    if amount > most:
        raise IllegalAction(
            "BET_EXCEEDS_STACK", "the seat has fewer chips", seat=number, amount=amount, maximum=most
        )
    least = smallest_raise_to(hand, number)
    if amount < least:
        raise IllegalAction(
            "RAISE_TOO_SMALL",
            "less than a full raise, and not all-in",
            seat=number,
            amount=amount,
            minimum=least,
        )
    return amount - seat.bet


def uncalled_after(hand: Hand, number: int, *, adds: int = 0, folds: bool = False) -> Uncalled | None:
    """What goes back when an action that is about to happen ends the street; None when it does not, or nothing does."""
    live = [other for other in hand.live() if not (folds and other == number)]
    if len(live) > 1 and hand.to_act != [number]:
        return None
    bets = [seat.bet + (adds if other == number else 0) for other, seat in enumerate(hand.seats, 1)]
    second, first = sorted(bets)[-2:]
    if first == second:
        return None
    return Uncalled(bets.index(first) + 1, first - second)


def put_in(hand: Hand, number: int, amount: int) -> None:
    """Chips go from a stack to the bet before it."""
    seat = hand.seat(number)
    seat.stack -= amount
    seat.bet += amount
    seat.paid += amount


def fold(hand: Hand, number: int) -> None:
    """A seat gives up its cards."""
    hand.seat(number).folded = True
    _has_acted(hand, number)
    if not hand.contested:
        hand.to_act.clear()


def call(hand: Hand, number: int, amount: int) -> None:
    """A seat checks (0) or adds what it takes to stay in."""
    put_in(hand, number, amount)
    _has_acted(hand, number)


def raise_to(hand: Hand, number: int, amount: int) -> None:
    """A seat bets or raises to an amount; everyone else who can is to act again."""
    seat = hand.seat(number)
    added = amount - hand.highest_bet
    put_in(hand, number, amount - seat.bet)
    hand.full_raise = max(hand.full_raise, added)
    hand.shows_first = number
    seat.acted_at = amount
    bettors = set(hand.bettors())
    hand.to_act = [other for other in hand.numbers(number)[1:] if other in bettors]


def take_back(hand: Hand, number: int, amount: int) -> None:
    """The uncalled part of a bet goes back to the stack it came from."""
    put_in(hand, number, -amount)


def open_betting(hand: Hand) -> None:
    """Start the betting of a street, unless nobody is left who could bet against another.

    Before the flop the forced bets count as the bets of the street; later streets start from nothing.
    """
    first = hand.first_to_act
    if hand.board:
        first = 1
        for seat in hand.seats:
            seat.bet = 0
    for seat in hand.seats:
        seat.acted_at = None
    hand.to_act = _openers(hand, first)
    if hand.to_act or not hand.board:
        hand.full_raise = hand.min_bet
        hand.shows_first = first


def _openers(hand: Hand, first: int) -> list[int]:
    bettors = set(hand.bettors())
    reach = sorted(hand.seat(number).bet + hand.seat(number).stack for number in hand.live())[-2]
    openers = [
        number for number in hand.numbers(first) if number in bettors and hand.seat(number).bet < reach
    ]
    if len(openers) == 1 and hand.seat(openers[0]).bet >= hand.highest_bet:
        return []
    return openers


def _has_acted(hand: Hand, number: int) -> None:
    hand.seat(number).acted_at = hand.highest_bet
    hand.to_act = [other for other in hand.to_act if other != number]
