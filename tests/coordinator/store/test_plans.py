"""No question reads a whole table: what a store of ten million events is asked costs what one of ten thousand does."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from angzarr.coordinator.store import reads, schema
from angzarr.coordinator.store.records import Key, Provenance

ALICE = Key("player", "", b"a" * 16)
BRANCH = Key("player", "what-if", b"a" * 16)
CAUSE = Provenance("", "table", b"t" * 16, 3, "seating", 0)
Question = Callable[[sqlite3.Connection], Any]

QUESTIONS: dict[str, Question] = {
    "load": lambda connection: reads.load(connection, ALICE),
    "load an edition": lambda connection: reads.load(connection, BRANCH),
    "a range of an edition": lambda connection: reads.view(connection, BRANCH, 3, 0, 5),
    "snapshots": lambda connection: reads.snapshots(connection, ALICE),
    "next sequence": lambda connection: reads.next_sequence(connection, BRANCH),
    "by external id": lambda connection: reads.by_external_id(connection, ALICE, "x"),
    "by provenance": lambda connection: reads.by_provenance(connection, ALICE, [CAUSE]),
    "by correlation": lambda connection: reads.by_correlation(connection, "c"),
    "caused by": lambda connection: reads.caused_by(connection, ALICE, 1),
    "event": lambda connection: reads.event(connection, ALICE, 1),
    "command of": lambda connection: reads.command_of(connection, ALICE, 1),
    "since": lambda connection: reads.since(connection, 0, 10),
    "since, of a domain": lambda connection: reads.since(connection, 0, 10, ["player"]),
    "since, of two domains": lambda connection: reads.since(connection, 0, 10, ["player", "table"], 1000),
    "head": reads.head,
    "roots": lambda connection: reads.roots(connection, ("", b""), 10),
    "roots of a domain": lambda connection: reads.roots(connection, ("player", b"a"), 10, "player"),
    "pending cascades": reads.pending_cascades,
    "outbox": lambda connection: reads.outbox(connection, 0, 10),
    "position": lambda connection: reads.position(connection, "projector:view", ALICE),
    "parked": lambda connection: reads.positions(connection, "projector:view", parked=True),
    "projected": lambda connection: reads.projected(connection, ALICE, 1),
}
PENDING = "SCAN events USING INDEX events_pending"
"""All of a partial index, which holds what is asked for and nothing else."""
LARGE = ("events", "snapshots", "positions")


class Explaining(sqlite3.Connection):
    """Keeps the plan of every statement it runs."""

    plans: list[str]

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql.lstrip().startswith(("SELECT", "WITH")) and hasattr(self, "plans"):
            rows = super().execute(f"EXPLAIN QUERY PLAN {sql}", *arguments)
            self.plans += (str(row[3]) for row in rows)
        return super().execute(sql, *arguments)


@pytest.fixture
def connection() -> Iterator[Explaining]:
    made = sqlite3.connect(":memory:", isolation_level=None, factory=Explaining)
    schema.migrate(made, ":memory:")
    made.plans = []
    yield made
    made.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_scans_a_large_table(connection: Explaining, question: str) -> None:
    QUESTIONS[question](connection)
    assert connection.plans
    scans = [plan for plan in connection.plans if plan.startswith(tuple(f"SCAN {name}" for name in LARGE))]
    assert [plan for plan in scans if plan != PENDING] == []


FEW = {"caused by", "pending cascades"}
"""What is sorted there is as much as is asked for."""


@pytest.mark.parametrize("question", [name for name in QUESTIONS if name not in FEW])
def test_no_question_sorts_what_it_finds(connection: Explaining, question: str) -> None:
    QUESTIONS[question](connection)
    assert [plan for plan in connection.plans if "TEMP B-TREE" in plan] == []


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("by external id", "events_external"),
        ("by correlation", "events_correlation"),
        ("pending cascades", "events_pending"),
        ("parked", "positions_parked"),
        ("since, of a domain", "INTEGER PRIMARY KEY"),
    ],
)
def test_the_index_made_for_a_question_answers_it(connection: Explaining, question: str, index: str) -> None:
    QUESTIONS[question](connection)
    assert any(index in plan for plan in connection.plans), connection.plans
