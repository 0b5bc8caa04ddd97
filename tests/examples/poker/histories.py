"""Events of a three-handed game: blinds 50 and 100, a thousand chips each, and what may follow."""

from examples.poker.messages.hand import (
    BlindPosted,
    BoardDealt,
    Entry,
    HandStarted,
    HoleCardsDealt,
    PlayerCalled,
    PlayerChecked,
    PlayerFolded,
    PlayerRaised,
    UncalledBetReturned,
)

ENTRIES = [
    Entry(player="Ann", stack=1000, blind=50),
    Entry(player="Bob", stack=1000, blind=100),
    Entry(player="Cem", stack=1000),
]
STARTED = HandStarted(session="30", number="7", entries=ENTRIES, min_bet=100)
POSTED = (STARTED, BlindPosted(seat=1, amount=50), BlindPosted(seat=2, amount=100))
DEALT = (
    *POSTED,
    HoleCardsDealt(seat=1, cards=["As", "Ah"]),
    HoleCardsDealt(seat=2, cards=["Ks", "Kh"]),
    HoleCardsDealt(seat=3, cards=["Qs", "Qh"]),
)
HEADS_UP_FLOP = (
    *DEALT,
    PlayerRaised(seat=3, to=300, amount=300),
    PlayerFolded(seat=1),
    PlayerCalled(seat=2, amount=200),
    BoardDealt(cards=["2c", "7d", "8h"]),
)
SHOWDOWN = (
    *HEADS_UP_FLOP,
    PlayerChecked(seat=2),
    PlayerChecked(seat=3),
    BoardDealt(cards=["3d"]),
    PlayerChecked(seat=2),
    PlayerChecked(seat=3),
    BoardDealt(cards=["4h"]),
    PlayerChecked(seat=2),
    PlayerChecked(seat=3),
)
ALL_FOLDED = (
    *DEALT,
    PlayerRaised(seat=3, to=300, amount=300),
    PlayerFolded(seat=1),
    PlayerFolded(seat=2),
    UncalledBetReturned(seat=3, amount=200),
)
