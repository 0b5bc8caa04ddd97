"""The start of a hand, the forced bets, and the cards."""

from collections.abc import Sequence
from dataclasses import dataclass

from examples.poker.rules.betting import open_betting, put_in
from examples.poker.rules.cards import UNKNOWN, check_cards
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import (
    BOARD_SIZES,
    HOLE_CARDS,
    Due,
    ForcedBet,
    Hand,
    Seat,
    Stage,
    check_seat,
    check_stage,
)

PLAYERS = range(2, 11)


@dataclass(frozen=True)
class Entry:
    """A player who takes part, with what the forced bets ask of the seat."""

    player: str
    stack: int
    ante: int = 0
    blind: int = 0


def check_start(hand: Hand, entries: Sequence[Entry], min_bet: int) -> None:
    """Whether a hand may start so.

    Raises:
        IllegalAction: HAND_ALREADY_STARTED; SEATS_OUT_OF_RANGE, not 2 to 10 players; PLAYER_NAME_MISSING;
            PLAYER_SEATED_TWICE; STACK_NOT_POSITIVE; FORCED_BET_NEGATIVE; MIN_BET_NOT_POSITIVE.
    """
    if hand.seats:
        raise IllegalAction("HAND_ALREADY_STARTED", "the hand has started")
    if len(entries) not in PLAYERS:
        raise _wrong("SEATS_OUT_OF_RANGE", "a hand has 2 to 10 players", seats=len(entries))
    if min_bet <= 0:
        raise _wrong("MIN_BET_NOT_POSITIVE", "the smallest bet is at least one chip", min_bet=min_bet)
    names = [entry.player for entry in entries]
    for number, entry in enumerate(entries, 1):
        if not entry.player:
            raise _wrong("PLAYER_NAME_MISSING", "every seat has a player", seat=number)
        if names.index(entry.player) != number - 1:
            raise _wrong("PLAYER_SEATED_TWICE", "a player has one seat", seat=number, player=entry.player)
        if entry.stack <= 0:
            raise _wrong("STACK_NOT_POSITIVE", "every player has chips", seat=number, stack=entry.stack)
        if entry.ante < 0 or entry.blind < 0:
            raise _wrong("FORCED_BET_NEGATIVE", "a forced bet is not negative", seat=number)


def start(hand: Hand, entries: Sequence[Entry], min_bet: int) -> None:
    """Seat the players and work out who owes which forced bet, short stacks paying what they have."""
    hand.seats = [Seat(entry.player, entry.stack) for entry in entries]
    hand.min_bet = min_bet
    hand.even_antes = len({entry.ante for entry in entries}) == 1
    largest = max(entry.blind for entry in entries)
    last_blind = max(number for number, entry in enumerate(entries, 1) if entry.blind == largest)
    hand.first_to_act = last_blind % len(entries) + 1
    hand.due = list(forced_bets(entries))


def forced_bets(entries: Sequence[Entry]) -> list[Due]:
    """What the players owe before the deal, in the order of posting: antes first, then blinds and straddles."""
    antes = [min(entry.ante, entry.stack) for entry in entries]
    blinds = [min(entry.blind, entry.stack - ante) for entry, ante in zip(entries, antes, strict=True)]
    return [
        Due(seat, kind, amount)
        for kind, amounts in ((ForcedBet.ANTE, antes), (ForcedBet.BLIND, blinds))
        for seat, amount in enumerate(amounts, 1)
        if amount
    ]


def check_post(hand: Hand, number: int, kind: ForcedBet) -> int:
    """The chips that a seat owes now as a forced bet.

    Raises:
        IllegalAction: SEAT_UNKNOWN; NO_FORCED_BET_DUE; NOT_YOUR_FORCED_BET, another seat or another kind comes first.
    """
    check_seat(hand, number)
    if not hand.due:
        raise IllegalAction("NO_FORCED_BET_DUE", "every forced bet is posted", seat=number)
    due = hand.due[0]
    if (due.seat, due.kind) != (number, kind):
        raise IllegalAction(
            "NOT_YOUR_FORCED_BET",
            "another forced bet comes first",
            seat=number,
            kind=kind.value,
            due_seat=due.seat,
            due_kind=due.kind.value,
        )
    return due.amount


def post(hand: Hand, number: int, kind: ForcedBet, amount: int) -> None:
    """A forced bet is posted."""
    if kind is ForcedBet.ANTE:
        seat = hand.seat(number)
        seat.stack -= amount
        seat.ante += amount
    else:
        put_in(hand, number, amount)
    hand.due = hand.due[1:]


def check_deal_hole(hand: Hand, number: int, cards: Sequence[str]) -> None:
    """Whether a seat may be dealt these cards, one or both.

    Raises:
        IllegalAction: SEAT_UNKNOWN; FORCED_BETS_DUE or another stage; CARD_UNKNOWN; CARD_DEALT_TWICE;
            WRONG_NUMBER_OF_CARDS, none, or more than two in all.
    """
    seat = check_seat(hand, number)
    check_stage(hand, Stage.DEALING)
    _check_count(cards, HOLE_CARDS - len(seat.cards))
    check_undealt(hand, cards)


def deal_hole(hand: Hand, number: int, cards: Sequence[str]) -> None:
    """A seat gets cards; the last ones dealt open the betting."""
    hand.seat(number).cards.extend(cards)
    if not hand.undealt:
        open_betting(hand)


def check_deal_board(hand: Hand, cards: Sequence[str]) -> None:
    """Whether these cards may come on the board now.

    Raises:
        IllegalAction: BETTING_OPEN or another stage; CARD_UNKNOWN; CARD_DEALT_TWICE; WRONG_NUMBER_OF_CARDS, none, or
            more than the street has.
    """
    check_stage(hand, Stage.BOARD)
    _check_count(cards, hand.missing_board)
    check_undealt(hand, cards)
    if UNKNOWN in cards:
        raise _wrong("CARD_UNKNOWN", "the board lies open", card=UNKNOWN)


def deal_board(hand: Hand, cards: Sequence[str]) -> None:
    """Cards come on the board; a complete street opens the next betting."""
    hand.board.extend(cards)
    if len(hand.board) in BOARD_SIZES:
        open_betting(hand)


def check_undealt(hand: Hand, cards: Sequence[str]) -> None:
    """Raises IllegalAction, CARD_UNKNOWN or CARD_DEALT_TWICE, unless all these cards can come from the deck."""
    check_cards(cards)
    seen = hand.seen_cards()
    for card in cards:
        if card in seen:
            raise IllegalAction("CARD_DEALT_TWICE", "the card is out of the deck", card=card)
        if card != UNKNOWN:
            seen.add(card)


def _check_count(cards: Sequence[str], most: int) -> None:
    if not 1 <= len(cards) <= most:
        raise IllegalAction("WRONG_NUMBER_OF_CARDS", "too few or too many cards", cards=len(cards), most=most)


def _wrong(code: str, message: str, **details: object) -> IllegalAction:
    return IllegalAction(code, message, malformed=True, **details)
