"""The `player` domain: accounts from which chips go to the table."""

from dataclasses import dataclass

from angzarr import (
    CommandRejectedError,
    applies,
    command_handler,
    handles,
    now,
    require_not_empty_str,
    require_positive,
)
from examples.poker.messages.player import (
    DepositFunds,
    FundsDeposited,
    FundsWithdrawn,
    PlayerRegistered,
    RegisterPlayer,
    WithdrawFunds,
)

LARGEST_BALANCE = 2**53


@dataclass
class Player:
    """A player's account; without a name nobody has registered it yet."""

    name: str = ""
    balance: int = 0


@command_handler(domain="player", state=Player)
class Players:
    """Registration, and chips in and out."""

    @handles(RegisterPlayer)
    def register(self, command: RegisterPlayer, player: Player) -> PlayerRegistered:
        if player.name:
            raise CommandRejectedError.precondition_failed(
                "PLAYER_EXISTS", "the player is already registered"
            )
        require_not_empty_str(command.name, "name")
        return PlayerRegistered(name=command.name, registered_at=now())

    @handles(DepositFunds)
    def deposit(self, command: DepositFunds, player: Player) -> FundsDeposited:
        _require_registered(player)
        require_positive(command.amount, "amount")
        balance = player.balance + command.amount
        if balance > LARGEST_BALANCE:
            raise CommandRejectedError.precondition_failed(
                "BALANCE_TOO_LARGE", "an account holds no more", {"maximum": LARGEST_BALANCE}
            )
        return FundsDeposited(amount=command.amount, new_balance=balance)

    @handles(WithdrawFunds)
    def withdraw(self, command: WithdrawFunds, player: Player) -> FundsWithdrawn:
        _require_registered(player)
        require_positive(command.amount, "amount")
        if command.amount > player.balance:
            raise CommandRejectedError.precondition_failed(
                "INSUFFICIENT_FUNDS",
                "the account holds less",
                {"amount": command.amount, "balance": player.balance},
            )
        return FundsWithdrawn(amount=command.amount, new_balance=player.balance - command.amount)

    @applies(PlayerRegistered)
    def registered(self, player: Player, event: PlayerRegistered) -> None:
        player.name = event.name

    @applies(FundsDeposited)
    def deposited(self, player: Player, event: FundsDeposited) -> None:
        player.balance = event.new_balance

    @applies(FundsWithdrawn)
    def withdrawn(self, player: Player, event: FundsWithdrawn) -> None:
        player.balance = event.new_balance


def _require_registered(player: Player) -> None:
    if not player.name:
        raise CommandRejectedError.not_found("PLAYER_NOT_REGISTERED", "nobody has registered this player")
