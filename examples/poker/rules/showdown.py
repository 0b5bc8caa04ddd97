"""Who shows, what the pots are, who wins them, and the stacks at the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from examples.poker.rules.cards import UNKNOWN, Ranking, rank_hand
from examples.poker.rules.dealing import check_undealt
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import HOLE_CARDS, Chips, Hand, Seat, Stage, check_seat, check_stage


@dataclass(frozen=True)
class Pot:
    """Chips, and the live seats that can win them."""

    amount: int
    claimants: tuple[int, ...]


@dataclass(frozen=True)
class Award:
    """A pot and who gets which part of it; ``label`` names the winning hand, ``""`` when none had to be shown."""

    pot: Pot
    shares: Mapping[int, Chips]
    label: str = ""


def check_show(hand: Hand, number: int, cards: Sequence[str]) -> list[str]:
    """The cards that a seat shows; without any given, both that it was dealt.

    Everybody still in the hand may show as soon as the betting of the hand is over, in any order.

    Raises:
        IllegalAction: SEAT_UNKNOWN; BETTING_OPEN or another stage; SEAT_HAS_FOLDED; ALREADY_SHOWN; CARDS_NOT_HELD;
            CARDS_UNSEEN, the cards were dealt face down and are not given now; CARD_UNKNOWN; CARD_DEALT_TWICE.
    """
    seat = check_seat(hand, number)
    _check_may_show(hand, number, seat)
    shown = list(cards) or list(seat.cards)
    known = [card for card in seat.cards if card != UNKNOWN]
    if len(shown) != HOLE_CARDS or not set(known) <= set(shown):
        raise IllegalAction(
            "CARDS_NOT_HELD", "the seat was dealt other cards", seat=number, cards=" ".join(shown)
        )
    if UNKNOWN in shown:
        raise IllegalAction("CARDS_UNSEEN", "the cards were dealt face down; say which they are", seat=number)
    new = list(shown)
    for card in known:
        new.remove(card)
    if len(new) > seat.cards.count(UNKNOWN):
        raise IllegalAction(
            "CARDS_NOT_HELD", "the seat was dealt other cards", seat=number, cards=" ".join(shown)
        )
    check_undealt(hand, new)
    return shown


def show(hand: Hand, number: int, cards: Sequence[str]) -> None:
    """A seat turns its cards face up."""
    seat = hand.seat(number)
    seat.cards = list(cards)
    seat.shown = True


def check_muck(hand: Hand, number: int) -> None:
    """Whether a seat may give up its cards at the showdown.

    Raises:
        IllegalAction: SEAT_UNKNOWN; BETTING_OPEN or another stage; SEAT_HAS_FOLDED; ALREADY_SHOWN; NOT_YOUR_TURN, the
            seat is not the next to show; LAST_CLAIM, a part of the pot is left to this seat alone.
    """
    seat = check_seat(hand, number)
    _check_may_show(hand, number, seat)
    if any(pot.claimants == (number,) for pot in pots(hand)):
        raise IllegalAction("LAST_CLAIM", "a part of the pot is this seat's alone", seat=number)
    if hand.to_show()[0] != number:
        raise IllegalAction(
            "NOT_YOUR_TURN", "another seat shows or mucks first", seat=number, to_act=hand.to_show()[0]
        )


def muck(hand: Hand, number: int) -> None:
    """A seat gives up its cards unseen, and with them every claim."""
    hand.seat(number).folded = True


def pots(hand: Hand) -> list[Pot]:
    """The main pot and the side pots, in the order they are made.

    A side pot begins where a live seat has nothing more at stake. Antes that not everyone pays are dead money in the
    main pot.
    """
    stakes = [hand.stake(number) for number in hand.numbers()]
    live = list(hand.live())
    dead = 0 if hand.even_antes else sum(seat.ante for seat in hand.seats)
    found: list[Pot] = []
    floor = 0
    for level in sorted({hand.stake(number) for number in live}):
        amount = dead + sum(min(stake, level) - min(stake, floor) for stake in stakes)
        if amount:
            found.append(Pot(amount, tuple(number for number in live if hand.stake(number) >= level)))
        floor, dead = level, 0
    return found


def check_settle(hand: Hand) -> list[Award]:
    """Who gets what, when the hand is decided.

    Raises:
        IllegalAction: BETTING_OPEN, SHOWDOWN_DUE or another stage.
    """
    check_stage(hand, Stage.DECIDED)
    contested = pots(hand)
    rankings: dict[int, Ranking] = {}
    for number in sorted({number for pot in contested if len(pot.claimants) > 1 for number in pot.claimants}):
        rankings[number] = rank_hand(hand.seat(number).cards, hand.board)
    return [_award(pot, rankings) for pot in contested]


def _award(pot: Pot, rankings: Mapping[int, Ranking]) -> Award:
    if len(pot.claimants) == 1:
        return Award(pot, {pot.claimants[0]: pot.amount})
    best = max(rankings[number].strength for number in pot.claimants)
    winners = [number for number in pot.claimants if rankings[number].strength == best]
    share = whole(Fraction(pot.amount, len(winners)))
    return Award(pot, dict.fromkeys(winners, share), rankings[winners[0]].label)


def award(hand: Hand, shares: Mapping[int, Chips]) -> None:
    """Pay the shares of a pot out."""
    for number, share in shares.items():
        seat = hand.seat(number)
        seat.stack = whole(seat.stack + share)


def settle(hand: Hand) -> None:
    """The hand is over."""
    hand.settled = True


def final_stacks(hand: Hand, awards: Sequence[Award]) -> list[Chips]:
    """The stacks after paying out."""
    return [whole(stack) for stack in _totals(hand, awards)]


def _totals(hand: Hand, awards: Sequence[Award]) -> Iterator[Chips]:
    for number, seat in enumerate(hand.seats, 1):
        yield seat.stack + sum((award.shares.get(number, 0) for award in awards), Fraction(0))


def whole(amount: Chips) -> Chips:
    """The same amount, as an int where it is one."""
    if isinstance(amount, Fraction) and amount.denominator == 1:
        return amount.numerator
    return amount


def _check_may_show(hand: Hand, number: int, seat: Seat) -> None:
    if not (hand.all_in and hand.stage is Stage.BOARD):
        check_stage(hand, Stage.SHOWDOWN, Stage.DECIDED)
    if seat.folded:
        raise IllegalAction("SEAT_HAS_FOLDED", "the seat is out of the hand", seat=number)
    if seat.shown:
        raise IllegalAction("ALREADY_SHOWN", "the cards lie open", seat=number)
