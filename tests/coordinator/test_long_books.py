"""Long books of an aggregate: decoded when they are looked at, and nobody can tell."""

from pathlib import Path
from typing import Any

import pytest

from angzarr.app import App
from angzarr.client import DomainClient
from angzarr.coordinator import EmbeddedCoordinator, books
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import Append, Key, NewEvent, PutSnapshot, StoredPage, StoredSnapshot
from angzarr.messages import EventBook, EventPage, PageHeader, Query, Snapshot, encode, new_cover, pack
from angzarr.router import Router, rebuild
from angzarr.router.raw.unread import UnreadPages
from tests.bank.domain import Accounts
from tests.bank.messages import Account, Deposit, OpenAccount
from tests.coordinator.worlds import A

QUERY = Query(cover=new_cover("account", A))
BANK = App("bank", routers=[Router("accounts").with_handler(Accounts, Accounts).build()])


async def filled(account: DomainClient, deposits: int) -> None:
    await account.send(OpenAccount(owner="anne"), root=A)
    made = account.command_handler.command("account", A).with_command(Deposit(amount=10)).build()
    made.pages = made.pages * deposits
    made.pages[0].header = PageHeader(sequence=1)
    await account.execute(made)


@pytest.mark.parametrize("deposits", [48, 49, 90])
async def test_a_book_has_the_pages_that_were_stored_however_it_is_asked_for(
    deposits: int, tmp_path: Path
) -> None:
    async with EmbeddedCoordinator(BANK, uds_base=tmp_path) as running:
        await filled(running.client("account"), deposits)
        here = await running.client("account").get_event_book(QUERY)
        async with DomainClient.connect(f"unix:{tmp_path}/ch-account.sock") as remote:
            there = await remote.get_event_book(QUERY)
        assert here == there
        assert [page.header.sequence for page in here.pages] == list(range(deposits + 1))
        assert here.next_sequence == there.next_sequence == deposits + 1
        assert encode(here) == encode(there)


async def test_a_state_rebuilt_from_a_long_book_needs_none_of_its_pages_decoded() -> None:
    async with EmbeddedCoordinator(BANK) as running:
        await filled(running.client("account"), 90)
        book = await running.events("account", A)
        assert rebuild(Accounts, book).balance == 900
        assert isinstance(book.pages, UnreadPages)
        assert book.pages.encoded() is not None
        del book.pages[50:]
        assert rebuild(Accounts, book).balance == 490


async def test_a_book_too_long_to_be_decoded_at_once_is_decoded_before_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(books, "_TOO_LONG", 90)
    async with EmbeddedCoordinator(BANK) as running:
        await filled(running.client("account"), 90)
        book = await running.events("account", A)
        assert type(book.pages) is list
        assert rebuild(Accounts, book).balance == 900


class Busy(SqliteStore):
    """A store in which an event and a snapshot are written while a query is between its two questions."""

    async def pages(self, key: Key, *given: Any, **options: Any) -> list[StoredPage]:
        found = await super().pages(key, *given, **options)
        await self._write(key, found[-1].sequence + 1)
        return found

    async def newest_snapshot(self, key: Key) -> StoredSnapshot | None:
        found = await super().newest_snapshot(key)
        await self._write(key, await self.next_sequence(key))
        return found

    async def _write(self, key: Key, sequence: int) -> None:
        page = encode(EventPage(header=PageHeader(sequence=sequence), event=pack(Account())))
        state = Snapshot(sequence=sequence, state=pack(Account(balance=sequence)))
        await self.submit(
            [
                Append(key, (NewEvent(sequence, page, 0),)),
                PutSnapshot(key, StoredSnapshot(sequence, encode(state))),
            ]
        )


async def test_a_book_has_no_snapshot_of_events_that_are_not_in_it() -> None:
    async with EmbeddedCoordinator(BANK, store=Busy()) as running:
        await running.client("account").send(OpenAccount(owner="anne"), root=A)
        for _ in range(3):
            book: EventBook = await running.events("account", A)
            assert book.snapshot.sequence < len(book.pages) == book.next_sequence
