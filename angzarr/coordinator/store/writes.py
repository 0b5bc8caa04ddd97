"""Each operation of a unit of work as SQL."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.store.records import (
    COMMITTED,
    REVOKED,
    AdoptPositions,
    Append,
    DeleteEdition,
    Dequeue,
    DropDeadLetter,
    EndCascade,
    Enqueue,
    ForgetPositions,
    NewEvent,
    Operation,
    Provenance,
    PutDeadLetter,
    PutSnapshot,
    Reschedule,
    SetPosition,
)

_NO_SOURCE = (None, None, None, None, None, None)

_INSERT_EVENT = """
INSERT INTO events (
    domain, edition, root, sequence, created_at, page, correlation_id, external_id,
    source_edition, source_domain, source_root, source_sequence, component, command_index,
    part, committed, cascade_id, command_type, received_at, fan_out, stored_at, command
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def microseconds() -> int:
    """Now, as microseconds since 1970."""
    return time.time_ns() // 1000


def apply(connection: sqlite3.Connection, operation: Operation) -> Any:
    """Run one operation inside the transaction that is open.

    Raises:
        ConflictError: a sequence, external id or provenance is taken.
        sqlite3.Error: whatever SQLite says.
    """
    return _APPLY[type(operation)](connection, operation)


def _append(connection: sqlite3.Connection, operation: Append) -> int:
    now = microseconds()
    position = 0
    try:
        for event in operation.events:
            position = connection.execute(_INSERT_EVENT, _row(operation, event, now)).lastrowid or 0
    except sqlite3.IntegrityError as error:
        raise _conflict(error) from error
    return position


def _row(operation: Append, event: NewEvent, now: int) -> tuple[Any, ...]:
    source: Provenance | tuple[None, ...] = event.provenance or _NO_SOURCE
    return (
        *operation.key,
        event.sequence,
        event.created_at,
        event.data,
        event.correlation_id,
        event.external_id,
        *source,
        event.part,
        event.state,
        event.cascade_id,
        event.command_type,
        event.received_at,
        event.fan_out,
        now,
        event.command,
    )


def _conflict(error: sqlite3.IntegrityError) -> Exception:
    text = str(error)
    if "events.source_domain" in text:
        return ConflictError("provenance")
    if "events.external_id" in text:
        return ConflictError("external_id")
    return ConflictError("sequence") if "events.sequence" in text else error


def _put_snapshot(connection: sqlite3.Connection, operation: PutSnapshot) -> None:
    snapshot = operation.snapshot
    connection.execute(
        "DELETE FROM snapshots WHERE domain = ? AND edition = ? AND root = ? AND sequence < ? AND retention <> 1",
        (*operation.key, snapshot.sequence),
    )
    connection.execute(
        "INSERT OR REPLACE INTO snapshots (domain, edition, root, sequence, retention, snapshot)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*operation.key, snapshot.sequence, snapshot.retention, snapshot.data),
    )


def _enqueue(connection: sqlite3.Connection, operation: Enqueue) -> int:
    cursor = connection.execute(
        "INSERT INTO outbox (kind, component, domain, edition, root, sequence, last_sequence, correlation_id,"
        " body, attempt, due_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation.kind,
            operation.component,
            *operation.key,
            operation.sequence,
            operation.last_sequence,
            operation.correlation_id,
            operation.body,
            operation.attempt,
            operation.due_at,
            microseconds(),
        ),
    )
    return cursor.lastrowid or 0


def _dequeue(connection: sqlite3.Connection, operation: Dequeue) -> bool:
    return connection.execute("DELETE FROM outbox WHERE id = ?", (operation.id,)).rowcount > 0


def _reschedule(connection: sqlite3.Connection, operation: Reschedule) -> bool:
    cursor = connection.execute(
        "UPDATE outbox SET attempt = ?, due_at = ? WHERE id = ?",
        (operation.attempt, operation.due_at, operation.id),
    )
    return cursor.rowcount > 0


def _set_position(connection: sqlite3.Connection, operation: SetPosition) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO positions (consumer, domain, edition, root, sequence, parked, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (operation.consumer, *operation.key, operation.sequence, operation.parked, microseconds()),
    )


def _forget_positions(connection: sqlite3.Connection, operation: ForgetPositions) -> None:
    connection.execute("DELETE FROM positions WHERE consumer = ?", (operation.consumer,))


def _adopt_positions(connection: sqlite3.Connection, operation: AdoptPositions) -> None:
    connection.execute("DELETE FROM positions WHERE consumer = ?", (operation.target,))
    connection.execute(
        "UPDATE positions SET consumer = ? WHERE consumer = ?", (operation.target, operation.source)
    )


def _put_dead_letter(connection: sqlite3.Connection, operation: PutDeadLetter) -> int:
    cursor = connection.execute(
        "INSERT INTO dead_letters (component, domain, occurred_at, letter) VALUES (?, ?, ?, ?)",
        (operation.component, operation.domain, operation.occurred_at, operation.data),
    )
    return cursor.lastrowid or 0


def _drop_dead_letter(connection: sqlite3.Connection, operation: DropDeadLetter) -> bool:
    return connection.execute("DELETE FROM dead_letters WHERE id = ?", (operation.id,)).rowcount > 0


def _delete_edition(connection: sqlite3.Connection, operation: DeleteEdition) -> int:
    where = (operation.domain, operation.edition)
    connection.execute("DELETE FROM snapshots WHERE domain = ? AND edition = ?", where)
    connection.execute("DELETE FROM positions WHERE domain = ? AND edition = ?", where)
    connection.execute("DELETE FROM outbox WHERE domain = ? AND edition = ?", where)
    return connection.execute("DELETE FROM events WHERE domain = ? AND edition = ?", where).rowcount


def _end_cascade(connection: sqlite3.Connection, operation: EndCascade) -> int:
    cursor = connection.execute(
        "UPDATE events SET committed = ? WHERE cascade_id = ? AND committed = 0",
        (COMMITTED if operation.confirmed else REVOKED, operation.cascade_id),
    )
    return cursor.rowcount


_APPLY: dict[type, Callable[[sqlite3.Connection, Any], Any]] = {
    Append: _append,
    PutSnapshot: _put_snapshot,
    Enqueue: _enqueue,
    Dequeue: _dequeue,
    Reschedule: _reschedule,
    SetPosition: _set_position,
    ForgetPositions: _forget_positions,
    AdoptPositions: _adopt_positions,
    PutDeadLetter: _put_dead_letter,
    DropDeadLetter: _drop_dead_letter,
    DeleteEdition: _delete_edition,
    EndCascade: _end_cascade,
}
