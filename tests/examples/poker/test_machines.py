"""Chips are neither made nor lost: whatever is done to a hand, to an account, to the whole application."""

from collections.abc import Iterable
from typing import Any

import betterproto
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from angzarr.testing import aggregate_machine, application_machine, invariant
from examples.poker.app import app, hands, players
from examples.poker.hands import amount_of
from examples.poker.messages.hand import HandSettled, HandStarted
from examples.poker.messages.player import FundsDeposited, FundsWithdrawn
from examples.poker.players import Player
from examples.poker.rules.table import Chips, Hand
from tests.examples.poker.guided import COMMANDS

pytestmark = pytest.mark.once

BRIEF = settings(max_examples=4, deadline=None, database=None)
THOROUGH = settings(max_examples=300, deadline=None, database=None)


def brought(events: Iterable[betterproto.Message]) -> Chips:
    return sum(entry.stack for event in events if isinstance(event, HandStarted) for entry in event.entries)


def held(hand: Hand) -> Chips:
    """The chips on the table: behind, in front of the players and in the pot; once settled, behind only."""
    if hand.settled:
        return sum(seat.stack for seat in hand.seats)
    return sum(seat.stack + seat.paid + seat.ante for seat in hand.seats)


def check_hand(hand: Hand, events: list[betterproto.Message]) -> None:
    assert held(hand) == brought(events)
    assert all(seat.stack >= 0 for seat in hand.seats)
    for event in events:
        if isinstance(event, HandSettled):
            assert sum(map(amount_of, event.stacks)) == brought(events)


def check_player(player: Player, events: list[betterproto.Message]) -> None:
    deposited = sum(event.amount for event in events if isinstance(event, FundsDeposited))
    withdrawn = sum(event.amount for event in events if isinstance(event, FundsWithdrawn))
    assert player.balance == deposited - withdrawn
    assert player.balance >= 0


class HandMachine(aggregate_machine(hands, commands=COMMANDS, steps=30)):  # type: ignore[misc]
    @invariant()
    def chips_are_conserved(self) -> None:
        check_hand(self.states["hand"], self.happened("hand"))


class PlayerMachine(aggregate_machine(players, steps=15)):  # type: ignore[misc]
    @invariant()
    def chips_are_conserved(self) -> None:
        check_player(self.states["player"], self.happened("player"))


class PokerMachine(application_machine(app, commands=COMMANDS, steps=20)):  # type: ignore[misc]
    @invariant()
    def chips_are_conserved(self) -> None:
        for root, hand in self.states("hand").items():
            check_hand(hand, self.happened("hand", root))
        for root, player in self.states("player").items():
            check_player(player, self.happened("player", root))


MACHINES = {"a hand": (HandMachine, 30), "a player": (PlayerMachine, 15), "all of it": (PokerMachine, 20)}


def run(name: str, how: settings) -> None:
    machine: Any
    machine, steps = MACHINES[name]
    run_state_machine_as_test(machine, settings=settings(how, stateful_step_count=steps))


@pytest.mark.parametrize("name", MACHINES)
def test_chips_are_conserved_in(name: str) -> None:
    run(name, BRIEF)


@pytest.mark.long
@pytest.mark.parametrize("name", MACHINES)
def test_chips_are_conserved_for_long_in(name: str) -> None:
    run(name, THOROUGH)
