"""The state of one hand of no-limit hold'em: what the events of a hand add up to.

Seats count from 1. Seat 1 sits left of the button and the last seat is the button; with two players the last seat is
button and small blind. The functions here and in the sibling modules come in pairs: a check, which reads the state and
raises `IllegalAction`, and a transition, which changes the state and never refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TypeVar

from examples.poker.rules.cards import UNKNOWN
from examples.poker.rules.illegal import IllegalAction

Chips = int | Fraction
"""Whole chips while a hand is played; a split pot may leave a fraction of a chip in a stack."""

BOARD_SIZES = (3, 4, 5)
HOLE_CARDS = 2


class Stage(Enum):
    """What a hand is waiting for."""

    NEW = "the start of the hand"
    POSTING = "a forced bet"
    DEALING = "hole cards"
    BETTING = "a player's action"
    BOARD = "board cards"
    SHOWDOWN = "a hand to be shown or mucked"
    DECIDED = "settlement"
    SETTLED = "nothing, it is settled"


class ForcedBet(Enum):
    """What a player pays before seeing cards."""

    ANTE = "ante"
    BLIND = "blind"


S = TypeVar("S", bound="Seat | Hand")


def _with_lists_of_its_own(record: S) -> S:
    clone = record.__new__(type(record))
    clone.__dict__ = {
        name: value.copy() if type(value) is list else value for name, value in record.__dict__.items()
    }
    return clone


@dataclass
class Seat:
    """One player in one hand.

    Attributes:
        stack: chips behind.
        bet: chips in front of the player in this street.
        paid: chips put into the pot in this hand, the current bet included and ante apart.
        ante: chips paid as ante.
        acted_at: the highest bet at the player's last action in this street; None before it.
    """

    player: str
    stack: Chips
    bet: int = 0
    paid: int = 0
    ante: int = 0
    acted_at: int | None = None
    cards: list[str] = field(default_factory=list)
    folded: bool = False
    shown: bool = False


@dataclass(frozen=True)
class Due:
    """A forced bet that is still to be posted."""

    seat: int
    kind: ForcedBet
    amount: int


@dataclass
class Hand:
    """One hand, from the start to the settlement.

    Attributes:
        min_bet: the smallest bet, in chips.
        even_antes: everyone was asked for the same ante, so antes count as contributions to the pots; otherwise they
            are dead money in the main pot (the big blind's ante for the table).
        first_to_act: the seat that opens the betting before the flop.
        full_raise: what the last full bet or raise of this street added; a raise adds at least as much.
        shows_first: who bet or raised last in the last street with betting; where nobody did, who acted first in it.
        to_act: the seats still to act in this street, in order.
        history: what was done, in PHH notation, one entry a command.
    """

    seats: list[Seat] = field(default_factory=list)
    min_bet: int = 0
    even_antes: bool = True
    first_to_act: int = 1
    due: list[Due] = field(default_factory=list)
    board: list[str] = field(default_factory=list)
    full_raise: int = 0
    shows_first: int = 1
    to_act: list[int] = field(default_factory=list)
    settled: bool = False
    history: list[str] = field(default_factory=list)

    def __deepcopy__(self, memo: object) -> "Hand":
        """The same as copy.deepcopy would find, but in a tenth of the time: coordinators copy the states they keep."""
        hand = _with_lists_of_its_own(self)
        hand.seats = [_with_lists_of_its_own(seat) for seat in self.seats]
        return hand

    def seat(self, number: int) -> Seat:
        """The seat of a number; IndexError when there is none."""
        if number < 1:
            raise IndexError(number)
        return self.seats[number - 1]

    def numbers(self, first: int = 1) -> list[int]:
        """Every seat number, going round the table from one of them."""
        count = len(self.seats)
        return [(first - 1 + step) % count + 1 for step in range(count)]

    def live(self) -> Iterator[int]:
        """The seats that have not folded."""
        return (number for number, seat in enumerate(self.seats, 1) if not seat.folded)

    def bettors(self) -> list[int]:
        """The live seats with chips behind."""
        return [number for number in self.live() if self.seat(number).stack]

    def stake(self, number: int) -> int:
        """What a seat has put at stake in this hand; antes that not everyone pays do not count."""
        seat = self.seat(number)
        return seat.paid + (seat.ante if self.even_antes else 0)

    @property
    def highest_bet(self) -> int:
        """What a player has to match in this street."""
        return max(seat.bet for seat in self.seats)

    @property
    def contested(self) -> bool:
        """Whether two players or more can still win."""
        return sum(1 for _ in self.live()) > 1

    @property
    def undealt(self) -> bool:
        """Whether someone still lacks hole cards."""
        return any(len(seat.cards) < HOLE_CARDS for seat in self.seats)

    @property
    def missing_board(self) -> int:
        """How many cards complete the board of the next street; 0 after the river."""
        return next((size - len(self.board) for size in BOARD_SIZES if size > len(self.board)), 0)

    @property
    def all_in(self) -> bool:
        """Whether the betting of the whole hand is over although cards are still to come."""
        return self.contested and not self.to_act and len(self.bettors()) <= 1

    @property
    def stage(self) -> Stage:
        """What the hand is waiting for."""
        if not self.seats:
            return Stage.NEW
        if self.settled:
            return Stage.SETTLED
        if self.due:
            return Stage.POSTING
        if self.undealt:
            return Stage.DEALING
        if not self.contested:
            return Stage.DECIDED
        return self._contested_stage()

    def _contested_stage(self) -> Stage:
        if self.to_act:
            return Stage.BETTING
        if self.missing_board:
            return Stage.BOARD
        return Stage.SHOWDOWN if self.to_show() else Stage.DECIDED

    def to_show(self) -> list[int]:
        """The live seats that have not shown, in the order of the showdown: the last aggressor first."""
        order = self.numbers(self.shows_first)
        return [number for number in order if not self.seat(number).folded and not self.seat(number).shown]

    def seen_cards(self) -> set[str]:
        """Every known card that has left the deck."""
        dealt = {card for seat in self.seats for card in seat.cards} | set(self.board)
        return dealt - {UNKNOWN}


def check_stage(hand: Hand, *allowed: Stage) -> None:
    """Raises IllegalAction when the hand is waiting for something else.

    HAND_NOT_STARTED, HAND_SETTLED, FORCED_BETS_DUE, HOLE_CARDS_DUE, BETTING_OPEN, BOARD_DUE, SHOWDOWN_DUE and
    HAND_DECIDED say for what.
    """
    stage = hand.stage
    if stage in allowed:
        return
    code = {
        Stage.NEW: "HAND_NOT_STARTED",
        Stage.SETTLED: "HAND_SETTLED",
        Stage.POSTING: "FORCED_BETS_DUE",
        Stage.DEALING: "HOLE_CARDS_DUE",
        Stage.BETTING: "BETTING_OPEN",
        Stage.BOARD: "BOARD_DUE",
        Stage.SHOWDOWN: "SHOWDOWN_DUE",
        Stage.DECIDED: "HAND_DECIDED",
    }[stage]
    raise IllegalAction(code, f"the hand is waiting for {stage.value}", waiting_for=stage.name)


def check_seat(hand: Hand, number: int) -> Seat:
    """The seat of a number.

    Raises:
        IllegalAction: SEAT_UNKNOWN, nobody sits there.
    """
    if not 1 <= number <= len(hand.seats):
        raise IllegalAction(
            "SEAT_UNKNOWN", "nobody sits there", malformed=True, seat=number, seats=len(hand.seats)
        )
    return hand.seat(number)
