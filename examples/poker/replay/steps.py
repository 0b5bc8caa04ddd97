"""A recorded hand as the commands that play it."""

from collections.abc import Iterator
from dataclasses import dataclass

import betterproto

from examples.poker.messages.hand import (
    BetOrRaiseTo,
    CheckOrCall,
    DealBoard,
    DealHole,
    Entry,
    Fold,
    MuckCards,
    PostAnte,
    PostBlind,
    SettleHand,
    ShowCards,
    StartHand,
)
from examples.poker.replay.record import Action, HandRecord
from examples.poker.rules import notation
from examples.poker.rules.dealing import forced_bets
from examples.poker.rules.table import ForcedBet


@dataclass(frozen=True)
class Step:
    """One command of a hand.

    Attributes:
        action: its number among the recorded actions; 0 for what the notation keeps elsewhere: the start, the forced
            bets, the settlement.
        text: what it is, as the record has it.
        notation: what the history of the hand says when it was done.
        command: None for an action that is no PHH notation, which no command can say.
    """

    action: int
    text: str
    notation: str
    command: betterproto.Message | None

    def was(self, done: str) -> bool:
        """Whether an entry of a hand's history is this step."""
        return done == self.notation or (
            self.notation.endswith(" sm -") and done.startswith(self.notation[:-1])
        )


def steps_of(record: HandRecord) -> list[Step]:
    """Every command of a hand: the start, the forced bets, one for each recorded action, the settlement."""
    return [*_opening(record), *map(_step, record.actions), Step(0, "settle", notation.SETTLED, SettleHand())]


def _opening(record: HandRecord) -> Iterator[Step]:
    entries = [
        Entry(player=entry.player, stack=entry.stack, ante=entry.ante, blind=entry.blind)
        for entry in record.entries
    ]
    start = StartHand(session=record.session, number=record.hand, entries=entries, min_bet=record.min_bet)
    yield Step(0, "start", notation.started(record.entries, record.min_bet), start)
    for due in forced_bets(record.entries):
        done = notation.posted(due.seat, due.kind)
        post = PostAnte if due.kind is ForcedBet.ANTE else PostBlind
        yield Step(0, done, done, post(seat=due.seat))


def _step(action: Action) -> Step:
    done, command = _done_by(action)
    return Step(action.number, action.text, done, command)


def _done_by(action: Action) -> tuple[str, betterproto.Message | None]:
    seat, cards = action.seat, _pieces(action.cards)
    match action.verb:
        case "deal_hole":
            return notation.hole_dealt(seat, cards), DealHole(seat=seat, cards=cards)
        case "deal_board":
            return notation.board_dealt(cards), DealBoard(cards=cards)
        case "fold":
            return notation.folded(seat), Fold(seat=seat)
        case "call":
            return notation.called(seat), CheckOrCall(seat=seat)
        case "raise_to":
            return notation.raised(seat, action.amount), BetOrRaiseTo(seat=seat, amount=action.amount)
        case "show":
            return notation.shown(seat, cards), ShowCards(seat=seat, cards=cards)
        case "muck":
            return notation.mucked(seat), MuckCards(seat=seat)
        case _:
            return action.text, None


def _pieces(cards: str) -> list[str]:
    """The cards of a run of them; what is no card is left to the rules."""
    return [cards[at : at + 2] for at in range(0, len(cards), 2)]
