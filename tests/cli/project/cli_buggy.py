# mypy: ignore-errors
"""Players with a bug that fuzzing has to find: the applier counts calls beside the events."""

from dataclasses import dataclass

from cli_messages.shop.player import DepositFunds, FundsDeposited

from angzarr import App, Router, applies, command_handler, handles


@dataclass
class Player:
    balance: int = 0
    changes: int = 0


@command_handler(domain="player", state=Player)
class Players:
    seen = 0

    @applies(FundsDeposited)
    def deposited(self, player: Player, event: FundsDeposited) -> None:
        Players.seen += 1
        player.balance += event.amount
        player.changes = Players.seen

    @handles(DepositFunds)
    def deposit(self, command: DepositFunds, player: Player) -> FundsDeposited:
        return FundsDeposited(amount=command.amount)


app = App("buggy", routers=[Router("players").with_handler(Players, Players).build()])
