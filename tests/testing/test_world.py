import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any as AnyValue

import pytest

from angzarr.router import Router, handles, projector
from angzarr.testing.subject import subjects_of
from angzarr.testing.world import World
from tests.bank.messages import Deposited


def world_of(factory: Callable[[], AnyValue], cls: type) -> World:
    (subject,) = subjects_of(Router("totals").with_handler(cls, factory).build())
    return World(subject)


@projector(name="totals", domains=["account"])
class Totals:
    seen: list[int] = []  # noqa: RUF012

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @handles(Deposited)
    def deposited(self, event: Deposited) -> None:
        self.seen.append(event.amount)
        self.database.execute("INSERT INTO totals VALUES (?)", (event.amount,))


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE totals (amount INTEGER)")
        made.commit()
        yield made


def test_what_a_class_keeps_is_put_back(database: sqlite3.Connection) -> None:
    totals = Totals(database)
    world = world_of(lambda: totals, Totals)
    totals.deposited(Deposited(amount=5))
    world.restore()
    assert Totals.seen == []


def test_the_rows_of_a_database_are_put_back(database: sqlite3.Connection) -> None:
    totals = Totals(database)
    world = world_of(lambda: totals, Totals)
    totals.deposited(Deposited(amount=5))
    totals.database.commit()
    world.restore()
    assert totals.database.execute("SELECT count(*) FROM totals").fetchone() == (0,)


def test_the_tables_of_a_database_that_had_none_are_put_back() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        world = world_of(lambda: Totals(empty), Totals)
        empty.execute("CREATE TABLE totals (amount INTEGER)")
        empty.commit()
        world.restore()
        assert empty.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_what_was_added_is_told_with_its_place(database: sqlite3.Connection) -> None:
    totals = Totals(database)
    world = world_of(lambda: totals, Totals)
    before = world.kept()
    Totals.seen.append(7)
    assert world.added(before) == [("Totals.seen[0]", "7", False)]
    world.restore()
