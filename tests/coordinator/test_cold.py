"""Aggregates that are read from the store: what a router is given folds to the same state, bytes or messages."""

from datetime import UTC, datetime
from typing import Any

import pytest

from angzarr.app import App
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.books import micros
from angzarr.coordinator.hot import HotAggregate, HotHistory
from angzarr.coordinator.store.records import PENDING, REVOKED, History, Key, StoredPage, StoredSnapshot
from angzarr.messages import EventPage, PageHeader, Snapshot, encode, pack
from angzarr.router import Router, rebuild
from angzarr.router.registry import compile_handler
from angzarr.router.state import Fold
from tests.bank.domain import Accounts
from tests.bank.messages import Account, AccountOpened, Deposited

KEY = Key("account", "", b"a" * 16)
AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def page(sequence: int, event: Any, **more: Any) -> StoredPage:
    made = EventPage(header=PageHeader(sequence=sequence), created_at=AT, event=pack(event))
    return StoredPage(sequence, encode(made), micros(AT), **more)


OPENED = page(0, AccountOpened(owner="anne"))
DEPOSITS = [page(number, Deposited(amount=1, balance=number * 100)) for number in range(1, 300)]
HELD = page(300, Deposited(amount=1, balance=7), state=PENDING, cascade_id="other")
TAKEN_BACK = page(301, Deposited(amount=1, balance=8), state=REVOKED, cascade_id="another")
KEPT = StoredSnapshot(200, encode(Snapshot(sequence=200, state=pack(Account(owner="anne", balance=20_000)))))


@pytest.mark.parametrize(
    ("history", "balance"),
    [
        (History(KEY), 0),
        (History(KEY, [OPENED], None, 1), 0),
        (History(KEY, [OPENED, *DEPOSITS], None, 300), 29_900),
        (History(KEY, [OPENED, *DEPOSITS, HELD, TAKEN_BACK], None, 302), 29_900),
        (History(KEY, DEPOSITS[200:], KEPT, 300), 29_900),
        (History(KEY, [], KEPT, 201), 20_000),
    ],
    ids=["none", "one event", "many", "pending and revoked", "a snapshot and more", "a snapshot"],
)
async def test_a_history_from_the_store_gives_the_state_its_messages_give(
    history: History, balance: int
) -> None:
    app = App("bank", routers=[Router("accounts").with_handler(Accounts, Accounts).build()])
    async with EmbeddedCoordinator(app) as running:
        engine = running.runtime.engine
        known = HotAggregate(history.next_sequence, None)
        folded = HotHistory(known, await engine._events(history)).fold(
            Fold(compile_handler(Accounts)), Accounts()
        )
        assert folded == rebuild(Accounts, await engine.book_for_handler(history))
        assert folded.balance == balance
