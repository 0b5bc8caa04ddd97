"""The `hand` domain: each method asks the rules, and says what happened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from angzarr import CommandRejectedError, applies, command_handler, handles, require_not_empty_str
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
from examples.poker.messages.hand import Entry as EntryMessage
from examples.poker.rules import betting, dealing, notation, showdown, table
from examples.poker.rules.dealing import Entry
from examples.poker.rules.illegal import IllegalAction
from examples.poker.rules.table import ForcedBet, Hand


@contextmanager
def refusals() -> Iterator[None]:
    """What the rules refuse, the command handler rejects, with the same code and details."""
    try:
        yield
    except IllegalAction as refusal:
        reject = (
            CommandRejectedError.invalid_argument
            if refusal.malformed
            else CommandRejectedError.precondition_failed
        )
        raise reject(refusal.code, refusal.message, refusal.details) from refusal


@command_handler(domain="hand", state=Hand)
class Hands:
    """One hand of no-limit hold'em, from the deal to the settlement."""

    @handles(StartHand)
    def start(self, command: StartHand, hand: Hand) -> HandStarted:
        require_not_empty_str(command.session, "session")
        require_not_empty_str(command.number, "number")
        with refusals():
            dealing.check_start(hand, entries_of(command.entries), command.min_bet)
        return HandStarted(
            session=command.session,
            number=command.number,
            entries=list(command.entries),
            min_bet=command.min_bet,
        )

    @handles(PostAnte)
    def post_ante(self, command: PostAnte, hand: Hand) -> AntePosted:
        with refusals():
            amount = dealing.check_post(hand, command.seat, ForcedBet.ANTE)
        return AntePosted(seat=command.seat, amount=amount, all_in=_all_in(hand, command.seat, amount))

    @handles(PostBlind)
    def post_blind(self, command: PostBlind, hand: Hand) -> BlindPosted:
        with refusals():
            amount = dealing.check_post(hand, command.seat, ForcedBet.BLIND)
        return BlindPosted(seat=command.seat, amount=amount, all_in=_all_in(hand, command.seat, amount))

    @handles(DealHole)
    def deal_hole(self, command: DealHole, hand: Hand) -> HoleCardsDealt:
        with refusals():
            dealing.check_deal_hole(hand, command.seat, command.cards)
        return HoleCardsDealt(seat=command.seat, cards=list(command.cards))

    @handles(DealBoard)
    def deal_board(self, command: DealBoard, hand: Hand) -> BoardDealt:
        with refusals():
            dealing.check_deal_board(hand, command.cards)
        return BoardDealt(cards=list(command.cards))

    @handles(Fold)
    def fold(self, command: Fold, hand: Hand) -> list[PlayerFolded | UncalledBetReturned]:
        with refusals():
            betting.check_fold(hand, command.seat)
        uncalled = betting.uncalled_after(hand, command.seat, folds=True)
        return [PlayerFolded(seat=command.seat), *_returned(uncalled)]

    @handles(CheckOrCall)
    def check_or_call(
        self, command: CheckOrCall, hand: Hand
    ) -> list[PlayerChecked | PlayerCalled | UncalledBetReturned]:
        seat = command.seat
        with refusals():
            amount = betting.check_call(hand, seat)
        uncalled = betting.uncalled_after(hand, seat, adds=amount)
        if not amount:
            return [PlayerChecked(seat=seat), *_returned(uncalled)]
        return [
            PlayerCalled(seat=seat, amount=amount, all_in=_all_in(hand, seat, amount)),
            *_returned(uncalled),
        ]

    @handles(BetOrRaiseTo)
    def bet_or_raise_to(self, command: BetOrRaiseTo, hand: Hand) -> PlayerRaised:
        seat = command.seat
        with refusals():
            amount = betting.check_raise_to(hand, seat, command.amount)
        return PlayerRaised(seat=seat, to=command.amount, amount=amount, all_in=_all_in(hand, seat, amount))

    @handles(ShowCards)
    def show(self, command: ShowCards, hand: Hand) -> CardsShown:
        with refusals():
            cards = showdown.check_show(hand, command.seat, command.cards)
        return CardsShown(seat=command.seat, cards=cards)

    @handles(MuckCards)
    def muck(self, command: MuckCards, hand: Hand) -> CardsMucked:
        with refusals():
            showdown.check_muck(hand, command.seat)
        return CardsMucked(seat=command.seat)

    @handles(SettleHand)
    def settle(self, command: SettleHand, hand: Hand) -> list[PotAwarded | HandSettled]:
        with refusals():
            awards = showdown.check_settle(hand)
        stacks = showdown.final_stacks(hand, awards)
        return [*map(_awarded, awards), HandSettled(stacks=[chips(stack) for stack in stacks])]

    @applies(HandStarted)
    def started(self, hand: Hand, event: HandStarted) -> None:
        entries = entries_of(event.entries)
        dealing.start(hand, entries, event.min_bet)
        hand.history.append(notation.started(entries, event.min_bet))

    @applies(AntePosted)
    def ante_posted(self, hand: Hand, event: AntePosted) -> None:
        dealing.post(hand, event.seat, ForcedBet.ANTE, event.amount)
        hand.history.append(notation.posted(event.seat, ForcedBet.ANTE))

    @applies(BlindPosted)
    def blind_posted(self, hand: Hand, event: BlindPosted) -> None:
        dealing.post(hand, event.seat, ForcedBet.BLIND, event.amount)
        hand.history.append(notation.posted(event.seat, ForcedBet.BLIND))

    @applies(HoleCardsDealt)
    def hole_cards_dealt(self, hand: Hand, event: HoleCardsDealt) -> None:
        dealing.deal_hole(hand, event.seat, event.cards)
        hand.history.append(notation.hole_dealt(event.seat, event.cards))

    @applies(BoardDealt)
    def board_dealt(self, hand: Hand, event: BoardDealt) -> None:
        dealing.deal_board(hand, event.cards)
        hand.history.append(notation.board_dealt(event.cards))

    @applies(PlayerFolded)
    def folded(self, hand: Hand, event: PlayerFolded) -> None:
        betting.fold(hand, event.seat)
        hand.history.append(notation.folded(event.seat))

    @applies(PlayerChecked)
    def checked(self, hand: Hand, event: PlayerChecked) -> None:
        betting.call(hand, event.seat, 0)
        hand.history.append(notation.called(event.seat))

    @applies(PlayerCalled)
    def called(self, hand: Hand, event: PlayerCalled) -> None:
        betting.call(hand, event.seat, event.amount)
        hand.history.append(notation.called(event.seat))

    @applies(PlayerRaised)
    def raised(self, hand: Hand, event: PlayerRaised) -> None:
        betting.raise_to(hand, event.seat, event.to)
        hand.history.append(notation.raised(event.seat, event.to))

    @applies(UncalledBetReturned)
    def uncalled_bet_returned(self, hand: Hand, event: UncalledBetReturned) -> None:
        betting.take_back(hand, event.seat, event.amount)

    @applies(CardsShown)
    def shown(self, hand: Hand, event: CardsShown) -> None:
        showdown.show(hand, event.seat, event.cards)
        hand.history.append(notation.shown(event.seat, event.cards))

    @applies(CardsMucked)
    def mucked(self, hand: Hand, event: CardsMucked) -> None:
        showdown.muck(hand, event.seat)
        hand.history.append(notation.mucked(event.seat))

    @applies(PotAwarded)
    def pot_awarded(self, hand: Hand, event: PotAwarded) -> None:
        showdown.award(hand, {share.seat: amount_of(share.chips) for share in event.shares})

    @applies(HandSettled)
    def settled(self, hand: Hand, event: HandSettled) -> None:
        showdown.settle(hand)
        hand.history.append(notation.SETTLED)


def entries_of(entries: Sequence[EntryMessage]) -> list[Entry]:
    """The entries of a message, as the rules know them."""
    return [Entry(entry.player, entry.stack, entry.ante, entry.blind) for entry in entries]


def chips(amount: table.Chips) -> Chips:
    """An amount, as messages carry it."""
    whole, rest = divmod(Fraction(amount), 1)
    if not rest:
        return Chips(whole=whole)
    return Chips(whole=whole, numerator=rest.numerator, denominator=rest.denominator)


def amount_of(message: Chips) -> table.Chips:
    """The amount that a message carries."""
    if not message.denominator:
        return message.whole
    return message.whole + Fraction(message.numerator, message.denominator)


def _all_in(hand: Hand, seat: int, amount: int) -> bool:
    return hand.seat(seat).stack == amount


def _returned(uncalled: betting.Uncalled | None) -> list[UncalledBetReturned]:
    return [UncalledBetReturned(seat=uncalled.seat, amount=uncalled.amount)] if uncalled else []


def _awarded(award: showdown.Award) -> PotAwarded:
    return PotAwarded(
        amount=award.pot.amount,
        claimants=list(award.pot.claimants),
        shares=[Share(seat=seat, chips=chips(share)) for seat, share in award.shares.items()],
        ranking=award.label,
    )
