"""A saga with @rejected methods hears of the refusals of its commands, besides their source."""

import uuid
from collections.abc import AsyncIterator

import pytest

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError
from angzarr.messages import CommandBook, Cover, Notification, SyncMode, type_name_from_url
from angzarr.router import Router, applies, command_handler, handles, rejected, saga
from tests.bank.messages import Account, AccountOpened, Deposit, Deposited, OpenAccount, SendWelcome
from tests.coordinator.worlds import FAST

ALICE = uuid.UUID(int=0xA)


@command_handler(domain="account", state=Account)
class Plain:
    @applies(AccountOpened)
    def opened(self, account: Account, event: AccountOpened) -> None:
        account.owner = event.owner

    @handles(OpenAccount)
    def open(self, command: OpenAccount, account: Account) -> AccountOpened:
        return AccountOpened(owner=command.owner)

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account) -> Deposited:
        return Deposited(amount=command.amount)


@command_handler(domain="mail", state=Account)
class ClosedMail:
    @handles(SendWelcome)
    def send(self, command: SendWelcome, state: Account) -> None:
        raise CommandRejectedError.precondition_failed("MAILBOX_FULL", "mailbox is full")


@saga(name="welcome", source="account", target="mail")
class Welcome:
    @handles(AccountOpened)
    def opened(self, event: AccountOpened, destinations: Destinations, source_cover: Cover) -> CommandBook:
        return destinations.command_for("mail", source_cover.root.value, SendWelcome(owner=event.owner))

    @rejected("mail", "SendWelcome")
    def not_sent(
        self, notification: Notification, destinations: Destinations, source_cover: Cover
    ) -> CommandBook:
        return destinations.command_for("account", source_cover.root.value, Deposit(amount=1))


@pytest.fixture
async def running() -> AsyncIterator[EmbeddedCoordinator]:
    routers = [
        Router("accounts").with_handler(Plain, Plain).build(),
        Router("mail").with_handler(ClosedMail, ClosedMail).build(),
        Router("welcome").with_handler(Welcome, Welcome).build(),
    ]
    async with EmbeddedCoordinator(App("bank", routers=routers), config=FAST) as coordinator:
        yield coordinator


async def names(running: EmbeddedCoordinator, domain: str = "account") -> list[str]:
    book = await running.events(domain, ALICE)
    return [type_name_from_url(page.event.type_url).rpartition(".")[2] for page in book.pages]


async def test_its_answer_is_delivered_and_nothing_has_failed(running: EmbeddedCoordinator) -> None:
    await running.client("account").send(OpenAccount(owner="alice"), root=ALICE)
    await running.settle(30)
    assert await names(running) == ["AccountOpened", "Deposited"]
    assert await names(running, "angzarr.saga-failures") == []


async def test_its_answer_is_delivered_in_a_cascade_too(running: EmbeddedCoordinator) -> None:
    client = running.client("account")
    with pytest.raises(Exception, match="grpc error"):
        await client.send(OpenAccount(owner="alice"), root=ALICE, sync_mode=SyncMode.CASCADE)
    await running.settle(30)
    assert await names(running) == ["AccountOpened", "Deposited"]
