# mypy: ignore-errors
"""The application of the command line's tests: usage.md's first."""

from dataclasses import dataclass

from cli_messages.shop.player import DepositFunds, FundsDeposited, PlayerRegistered, RegisterPlayer

from angzarr import (
    App,
    CommandRejectedError,
    Router,
    applies,
    command_handler,
    handles,
    now,
    require_positive,
)


@dataclass
class Player:
    name: str = ""
    balance: int = 0


@command_handler(domain="player", state=Player)
class Players:
    @applies(PlayerRegistered)
    def registered(self, player: Player, event: PlayerRegistered) -> None:
        player.name = event.name

    @applies(FundsDeposited)
    def deposited(self, player: Player, event: FundsDeposited) -> None:
        player.balance = event.new_balance

    @handles(RegisterPlayer)
    async def register(self, command: RegisterPlayer, player: Player) -> PlayerRegistered:
        if player.name:
            raise CommandRejectedError.precondition_failed("PLAYER_EXISTS", "player is already registered")
        return PlayerRegistered(name=command.name, registered_at=now())

    @handles(DepositFunds)
    def deposit(self, command: DepositFunds, player: Player) -> FundsDeposited:
        require_positive(command.amount, "amount")
        return FundsDeposited(amount=command.amount, new_balance=player.balance + command.amount)


players = Router("players").with_handler(Players, Players).build()
unbuilt = Router("players").with_handler(Players, Players)
app = App("shop", routers=[players])
