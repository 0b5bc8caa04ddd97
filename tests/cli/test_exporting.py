"""The scenario that `angzarr export-scenario` writes when the coordinator kept the command."""

import uuid

from angzarr.app import App
from angzarr.cli.exporting import subject_of, written
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages.admin import ExplainRequest
from tests.bank.domain import bank
from tests.bank.messages import CloseAccount, Deposit, OpenAccount

ALICE = uuid.UUID(int=0xA)


async def test_the_command_is_the_one_that_was_sent_and_all_its_events_are_expected() -> None:
    app = App("bank", routers=list(bank()))
    async with EmbeddedCoordinator(app) as running:
        account = running.client("account")
        await account.send(OpenAccount(owner="alice"), root=ALICE)
        await account.send(Deposit(amount=5), root=ALICE)
        await account.send(CloseAccount(reason="moved"), root=ALICE)
        book = await running.events("account", ALICE)
        asked = ExplainRequest(cover=book.cover, sequence=2)
        found = await running.runtime.admin.find_command(asked)
    text = await written(subject_of(app, "account"), book, 2, "account_alice", found)
    assert ".when(CloseAccount(reason='moved'))" in text.replace('"', "'")
    assert "Withdrawn(amount=5)" in text
    assert "AccountClosed(reason='moved')" in text.replace('"', "'")
