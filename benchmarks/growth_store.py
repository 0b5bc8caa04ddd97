"""Fills a store with accounts that have been in use for long: ``fill`` takes minutes for ten million events.

Written by the store's own appends, in large units: business transactions of ten events that share a correlation id,
every account's first ones before anybody's second. A projector has taken all of it in.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from angzarr import codec
from angzarr.coordinator.books import EPOCH
from angzarr.coordinator.store import SqliteStore, StoreConfig
from angzarr.coordinator.store.records import COVERED, Append, Key, NewEvent, SetPosition
from angzarr.coordinator.walking import EVERYTHING
from angzarr.messages import CommandBook, CommandPage, EventPage, PageHeader, pack
from tests.bank.messages import AccountOpened, Deposit, Deposited

if TYPE_CHECKING:
    import betterproto

PER_ACCOUNT = 100
TOGETHER = 10
_UNIT = 1000
VIEW = "projector:view"
BEGAN = 1_700_000_000_000_000
"""When the first event was stored, microseconds since 1970; each further sequence is a second later."""


_COMMAND = codec.encode(CommandBook(pages=[CommandPage(command=pack(Deposit(amount=10)))]))


def root(number: int) -> bytes:
    """The root of an account, by its number."""
    return hashlib.blake2b(number.to_bytes(8), digest_size=16).digest()


def key(number: int) -> Key:
    """An account, by its number."""
    return Key("account", "", root(number))


def correlation_id(number: int, sequence: int) -> str:
    """The correlation id of an account's event."""
    together = f"{number}/{sequence // TOGETHER}".encode()
    return hashlib.blake2b(together, digest_size=16).hexdigest()


def stored_at(sequence: int) -> int:
    """When an account's event was made, microseconds since 1970."""
    return BEGAN + sequence * 1_000_000


def _page(sequence: int) -> bytes:
    event: betterproto.Message = (
        Deposited(amount=10, balance=sequence * 10) if sequence else AccountOpened(owner="somebody")
    )
    page = EventPage(header=PageHeader(sequence=sequence), event=pack(event))
    page.created_at = EPOCH + timedelta(microseconds=stored_at(sequence))
    return codec.encode(page)


async def fill(path: Path, events: int, *, quiet: bool = True) -> None:
    """Write a store of ``events`` events, a hundred an account.

    Args:
        path: the database file, which must not exist.
        events: how many; a multiple of 100.
        quiet: say nothing about how far it is.
    """
    # A large cache makes large units cheap; the store as it is used has its usual one.
    store = SqliteStore(path, StoreConfig(cache_kib=2 * 1024 * 1024))
    await store.open()
    began, written = time.monotonic(), 0
    for unit in _units(events // PER_ACCOUNT):
        await store.submit(unit)
        written += len(unit) * TOGETHER
        if not quiet and written % 1_000_000 == 0:
            sys.stderr.write(f"{written:,} events, {time.monotonic() - began:.0f} s\n")
    await _all_taken_in(store, events // PER_ACCOUNT)
    await store.close()


def _units(accounts: int) -> Iterator[list[Append]]:
    pages = [_page(sequence) for sequence in range(PER_ACCOUNT)]
    unit: list[Append] = []
    for first in range(0, PER_ACCOUNT, TOGETHER):
        for number in range(accounts):
            correlation = correlation_id(number, first)
            unit.append(
                Append(
                    key(number),
                    tuple(
                        NewEvent(
                            sequence,
                            pages[sequence],
                            stored_at(sequence),
                            correlation,
                            command_type="bank.Deposit",
                            command=None if sequence % TOGETHER else _COMMAND,
                        )
                        for sequence in range(first, first + TOGETHER)
                    ),
                )
            )
            if len(unit) == _UNIT:
                yield unit
                unit = []
    if unit:
        yield unit


async def _all_taken_in(store: SqliteStore, accounts: int) -> None:
    for first in range(0, accounts, _UNIT):
        numbers = range(first, min(first + _UNIT, accounts))
        await store.submit([SetPosition(VIEW, key(number), PER_ACCOUNT - 1) for number in numbers])
    covered = SetPosition(VIEW, Key(COVERED, "account", b""), 1)
    await store.submit([SetPosition(VIEW, EVERYTHING, await store.head()), covered])
