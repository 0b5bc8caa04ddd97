# mypy: ignore-errors
"""The players of `cli_players`, with tables that a saga seats them at and a projector that looks on."""

from dataclasses import dataclass, field

from cli_messages.shop.player import FundsReserved, PlayerRegistered, RegisterPlayer, ReserveFunds
from cli_messages.shop.table import JoinTable, PlayerJoined

from angzarr import (
    App,
    CommandBook,
    CommandRejectedError,
    Cover,
    Destinations,
    Router,
    applies,
    command_handler,
    compute_root,
    handles,
    projector,
    root_hex_of,
    saga,
)


@dataclass
class Player:
    name: str = ""
    reserved: int = 0


@command_handler(domain="player", state=Player)
class Players:
    @applies(PlayerRegistered)
    def registered(self, player: Player, event: PlayerRegistered) -> None:
        player.name = event.name

    @applies(FundsReserved)
    def reserved(self, player: Player, event: FundsReserved) -> None:
        player.reserved += event.amount

    @handles(RegisterPlayer)
    def register(self, command: RegisterPlayer, player: Player) -> PlayerRegistered:
        return PlayerRegistered(name=command.name)

    @handles(ReserveFunds)
    def reserve(self, command: ReserveFunds, player: Player) -> FundsReserved:
        return FundsReserved(amount=command.amount, table=command.table)


@dataclass
class Table:
    players: list[str] = field(default_factory=list)


@command_handler(domain="table", state=Table)
class Tables:
    @applies(PlayerJoined)
    def joined(self, table: Table, event: PlayerJoined) -> None:
        table.players.append(event.player)

    @handles(JoinTable)
    def join(self, command: JoinTable, table: Table) -> PlayerJoined:
        if len(table.players) >= 2:
            raise CommandRejectedError.precondition_failed("TABLE_FULL", "there is no free seat")
        return PlayerJoined(player=command.player)


@saga(name="seat-player", source="player", target="table")
class SeatPlayer:
    @handles(FundsReserved)
    def reserved(self, event: FundsReserved, destinations: Destinations, source_cover: Cover) -> CommandBook:
        return destinations.command_for(
            "table", compute_root("table", event.table), JoinTable(player=root_hex_of(source_cover))
        )


@projector(name="standings", domains=["player", "table"])
class Standings:
    def __init__(self) -> None:
        self.seen = 0

    @handles(PlayerJoined)
    def joined(self, event: PlayerJoined) -> None:
        self.seen += 1


app = App(
    "tables",
    routers=[
        Router("handlers").with_handler(Players, Players).with_handler(Tables, Tables).build(),
        Router("sagas").with_handler(SeatPlayer, SeatPlayer).build(),
        Router("views").with_handler(Standings, Standings).build(),
    ],
)
