"""Upcasters of one domain in several routers of an application."""

import uuid
from dataclasses import dataclass

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages import pack
from angzarr.router import Router, applies, command_handler, handles, upcaster, upcasts
from tests.bank.messages import Deposit, Deposited, Withdraw, Withdrawn

ROOT = uuid.UUID(int=1)


@dataclass
class Sum:
    total: int = 0


@command_handler(domain="account", state=Sum)
class Accounts:
    @applies(Deposited)
    def deposited(self, state: Sum, event: Deposited) -> None:
        state.total += event.balance

    @handles(Deposit)
    def deposit(self, command: Deposit, state: Sum) -> Deposited:
        return Deposited(amount=command.amount, balance=state.total)

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, state: Sum) -> Withdrawn:
        return Withdrawn(amount=command.amount)


@upcaster(name="first", domain="account")
class Withdrawals:
    @upcasts(Withdrawn, Deposited)
    def up(self, old: Withdrawn) -> Deposited:
        return Deposited(amount=old.amount)


@upcaster(name="second", domain="account")
class Deposits:
    @upcasts(Deposited, Deposited)
    def up(self, old: Deposited) -> Deposited:
        return Deposited(amount=old.amount, balance=old.amount * 10)


async def test_several_upcaster_routers_of_one_domain_follow_one_another() -> None:
    routers = [
        Router(one.__name__).with_handler(one, one).build() for one in (Accounts, Withdrawals, Deposits)
    ]
    async with EmbeddedCoordinator(App("bank", routers=routers)) as running:
        account = running.client("account")
        await account.send(Withdraw(amount=3), root=ROOT)
        response = await account.send(Deposit(amount=1), root=ROOT)
        assert response.events.pages[0].event == pack(Deposited(amount=1, balance=30))
