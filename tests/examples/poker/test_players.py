from datetime import UTC, datetime

from angzarr.testing import scenario
from examples.poker.messages.player import (
    DepositFunds,
    FundsDeposited,
    FundsWithdrawn,
    PlayerRegistered,
    RegisterPlayer,
    WithdrawFunds,
)
from examples.poker.players import LARGEST_BALANCE, Players

players = scenario(Players)
ann = players.given(PlayerRegistered(name="Ann"))
funded = players.given(PlayerRegistered(name="Ann"), FundsDeposited(amount=100, new_balance=100))


async def test_a_player_registers() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    await (
        scenario(Players, at=at)
        .when(RegisterPlayer(name="Ann"))
        .then(PlayerRegistered(name="Ann", registered_at=at))
    )


# --8<-- [start:scenarios]
async def test_a_player_registers_once() -> None:
    await ann.when(RegisterPlayer(name="Ann")).then_rejected("PLAYER_EXISTS")


async def test_a_player_has_a_name() -> None:
    await players.when(RegisterPlayer()).then_rejected("VALUE_EMPTY")


async def test_a_deposit_adds_to_the_balance() -> None:
    await funded.when(DepositFunds(amount=50)).then(FundsDeposited(amount=50, new_balance=150))


async def test_nothing_is_no_deposit() -> None:
    await ann.when(DepositFunds(amount=0)).then_rejected("VALUE_NOT_POSITIVE")


# --8<-- [end:scenarios]
async def test_an_account_does_not_overflow() -> None:
    await funded.when(DepositFunds(amount=LARGEST_BALANCE)).then_rejected("BALANCE_TOO_LARGE")


async def test_nobody_deposits_for_a_stranger() -> None:
    await players.when(DepositFunds(amount=50)).then_rejected("PLAYER_NOT_REGISTERED")


async def test_a_withdrawal_takes_from_the_balance() -> None:
    await funded.when(WithdrawFunds(amount=100)).then(FundsWithdrawn(amount=100, new_balance=0))


async def test_no_more_is_withdrawn_than_there_is() -> None:
    await funded.when(WithdrawFunds(amount=101)).then_rejected("INSUFFICIENT_FUNDS")


async def test_a_negative_withdrawal_is_refused() -> None:
    await funded.when(WithdrawFunds(amount=-1)).then_rejected("VALUE_NOT_POSITIVE")


async def test_nobody_withdraws_from_a_stranger() -> None:
    await players.when(WithdrawFunds(amount=1)).then_rejected("PLAYER_NOT_REGISTERED")
