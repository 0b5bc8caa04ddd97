"""Every question the store answers, as SQL. Each function runs in a reader's thread."""

import functools
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from angzarr.coordinator.store.records import (
    COVERED,
    MAIN,
    DeadLetterRow,
    History,
    Key,
    LoggedEvent,
    OutboxRow,
    Position,
    Provenance,
    StoredCommand,
    StoredPage,
    StoredSnapshot,
)

_AGGREGATE = "domain = ? AND edition = ? AND root = ?"
_PAGE = "sequence, page, created_at, committed, cascade_id"
_LOGGED = (
    f"position, domain, edition, root, {_PAGE}, correlation_id, source_edition, source_domain, source_root,"
    " source_sequence, component, command_index, command_type, received_at, stored_at"
)
_LAST_POSITION = (1 << 63) - 1
_as_page: Callable[[Sequence[Any]], StoredPage] = functools.partial(tuple.__new__, StoredPage)
"""A row of ``_PAGE``; without the checks of ``StoredPage._make``, of which there would be one a page."""
# From one root to the next by way of the index: the events between them are not looked at.
_ROOTS_OF_A_DOMAIN = """
WITH RECURSIVE found(root) AS (
    SELECT min(root) FROM events WHERE domain = :domain AND edition = '' AND root > :root
    UNION ALL
    SELECT (SELECT min(root) FROM events WHERE domain = :domain AND edition = '' AND root > found.root)
    FROM found WHERE found.root IS NOT NULL LIMIT :limit
)
SELECT root FROM found WHERE root IS NOT NULL
"""
_CONSUMERS = """
WITH RECURSIVE found(consumer) AS (
    SELECT min(consumer) FROM positions
    UNION ALL
    SELECT (SELECT min(consumer) FROM positions WHERE consumer > found.consumer)
    FROM found WHERE found.consumer IS NOT NULL
)
SELECT consumer FROM found WHERE consumer >= 'projector:' AND consumer < 'projector;'
"""
_OUTBOX = (
    "id, kind, component, domain, edition, root, sequence, last_sequence, correlation_id, body, attempt,"
    " due_at, created_at"
)


def load(
    connection: sqlite3.Connection, key: Key, divergence: int | None = None, with_snapshot: bool = True
) -> History:
    """What a handler is given: newest snapshot and the pages above it, editions resolved.

    A named edition is main's events below its divergence, then its own. Its divergence is its first own event's
    sequence; before it has any, ``divergence``; without one it is the whole main timeline.
    """
    snapshot = newest_snapshot(connection, key) if with_snapshot else None
    lower = 0 if snapshot is None else snapshot.sequence + 1
    return _history(key, view(connection, key, divergence, lower), snapshot)


def _history(key: Key, pages: list[StoredPage], snapshot: StoredSnapshot | None) -> History:
    following = pages[-1].sequence + 1 if pages else snapshot.sequence + 1 if snapshot else 0
    return History(key, pages, snapshot, following)


def view(
    connection: sqlite3.Connection,
    key: Key,
    divergence: int | None = None,
    lower: int = 0,
    upper: int | None = None,
) -> list[StoredPage]:
    """The pages of an aggregate from ``lower`` to ``upper``, both inclusive, editions resolved."""
    if key.edition == MAIN:
        return own_pages(connection, key, lower, upper)
    own = own_pages(connection, key, lower, upper)
    first = connection.execute(f"SELECT min(sequence) FROM events WHERE {_AGGREGATE}", key).fetchone()[0]
    branch = divergence if first is None else first
    if branch is not None and (upper is None or branch - 1 < upper):
        upper = branch - 1
    return [*own_pages(connection, key._replace(edition=MAIN), lower, upper), *own]


def own_pages(connection: sqlite3.Connection, key: Key, lower: int, upper: int | None) -> list[StoredPage]:
    """The pages of an aggregate that were stored in its own edition."""
    if upper is None:
        rows = connection.execute(
            f"SELECT {_PAGE} FROM events WHERE {_AGGREGATE} AND sequence >= ? ORDER BY sequence",
            (*key, lower),
        )
    else:
        rows = connection.execute(
            f"SELECT {_PAGE} FROM events WHERE {_AGGREGATE} AND sequence BETWEEN ? AND ? ORDER BY sequence",
            (*key, lower, upper),
        )
    return list(map(_as_page, rows))


def newest_snapshot(connection: sqlite3.Connection, key: Key) -> StoredSnapshot | None:
    """The snapshot with the highest sequence, or None."""
    row = connection.execute(
        f"SELECT sequence, snapshot, retention FROM snapshots WHERE {_AGGREGATE} ORDER BY sequence DESC LIMIT 1",
        key,
    ).fetchone()
    return None if row is None else StoredSnapshot._make(row)


def snapshots(connection: sqlite3.Connection, key: Key) -> list[StoredSnapshot]:
    """Every snapshot kept of an aggregate, oldest first."""
    rows = connection.execute(
        f"SELECT sequence, snapshot, retention FROM snapshots WHERE {_AGGREGATE} ORDER BY sequence", key
    )
    return [StoredSnapshot._make(row) for row in rows]


def next_sequence(connection: sqlite3.Connection, key: Key, divergence: int | None = None) -> int:
    """The sequence the aggregate's next event gets, in its edition."""
    last = _last_sequence(connection, key)
    if last is None and key.edition != MAIN:
        last = _last_sequence(connection, key._replace(edition=MAIN))
        if last is not None and divergence is not None:
            last = min(last, divergence - 1)
    return 0 if last is None else last + 1


def _last_sequence(connection: sqlite3.Connection, key: Key) -> int | None:
    last = connection.execute(f"SELECT max(sequence) FROM events WHERE {_AGGREGATE}", key).fetchone()[0]
    return None if last is None else int(last)


def by_external_id(connection: sqlite3.Connection, key: Key, external_id: str) -> list[StoredPage]:
    """The pages stored for an external id, in order; none when it was never seen."""
    rows = connection.execute(
        f"SELECT {_PAGE} FROM events INDEXED BY events_external WHERE {_AGGREGATE} AND external_id = ?"
        " ORDER BY part",
        (*key, external_id),
    )
    return list(map(_as_page, rows))


def by_provenance(connection: sqlite3.Connection, key: Key, causes: Sequence[Provenance]) -> list[StoredPage]:
    """The pages of an aggregate that were stored for any of those causes, in order."""
    found: list[StoredPage] = []
    for cause in causes:
        rows = connection.execute(
            f"SELECT {_PAGE} FROM events WHERE source_domain = ? AND source_root = ? AND source_sequence = ?"
            f" AND source_edition = ? AND component = ? AND command_index = ? AND {_AGGREGATE}",
            (
                cause.domain,
                cause.root,
                cause.sequence,
                cause.edition,
                cause.component,
                cause.command_index,
                *key,
            ),
        )
        found += (StoredPage._make(row) for row in rows)
    return sorted(found)


def by_correlation(connection: sqlite3.Connection, correlation_id: str) -> list[LoggedEvent]:
    """Every event with a correlation id, in the order they were stored."""
    rows = connection.execute(
        # The second condition is the index's own: without it SQLite does not see that the index serves.
        f"SELECT {_LOGGED} FROM events WHERE correlation_id = ? AND correlation_id <> '' ORDER BY position",
        (correlation_id,),
    )
    return [_logged(row) for row in rows]


def caused_by(connection: sqlite3.Connection, key: Key, sequence: int) -> list[LoggedEvent]:
    """The events that an event directly caused, in the order they were stored."""
    rows = connection.execute(
        f"SELECT {_LOGGED} FROM events WHERE source_domain = ? AND source_root = ? AND source_sequence = ?"
        " AND source_edition = ? ORDER BY position",
        (key.domain, key.root, sequence, key.edition),
    )
    return [_logged(row) for row in rows]


def event(connection: sqlite3.Connection, key: Key, sequence: int) -> LoggedEvent | None:
    """One event with what is known of its cause, or None."""
    row = connection.execute(
        f"SELECT {_LOGGED} FROM events WHERE {_AGGREGATE} AND sequence = ?", (*key, sequence)
    ).fetchone()
    return None if row is None else _logged(row)


def command_of(connection: sqlite3.Connection, key: Key, sequence: int) -> StoredCommand | None:
    """The command that caused an event, and which events it caused; None where no command did, or it is not known."""
    of_a_command = connection.execute(
        f"SELECT 1 FROM events WHERE {_AGGREGATE} AND sequence = ? AND command_type <> ''", (*key, sequence)
    ).fetchone()
    found = connection.execute(
        "SELECT command, correlation_id, sequence, received_at FROM events"
        f" WHERE {_AGGREGATE} AND sequence <= ? AND command IS NOT NULL ORDER BY sequence DESC LIMIT 1",
        (*key, sequence),
    ).fetchone()
    if of_a_command is None or found is None:
        return None
    data, correlation_id, first, received_at = found
    later = connection.execute(
        f"SELECT sequence FROM events WHERE {_AGGREGATE} AND sequence > ?"
        " AND (command IS NOT NULL OR command_type = '') ORDER BY sequence LIMIT 1",
        (*key, sequence),
    ).fetchone()
    last = _last_sequence(connection, key) if later is None else later[0] - 1
    return StoredCommand(data, correlation_id, first, sequence if last is None else last, received_at)


def since(
    connection: sqlite3.Connection,
    position: int,
    limit: int,
    domains: Iterable[str] | None = None,
    upto: int | None = None,
) -> list[LoggedEvent]:
    """Events to react to after a position in the whole store, in order; of those domains, or of all with None."""
    names = None if domains is None else list(domains)
    # The plus keeps SQLite from the index by domain, after which it would have to sort all of the domain's events.
    where = "" if names is None else f" AND +domain IN ({','.join('?' * len(names))})"
    rows = connection.execute(
        f"SELECT {_LOGGED} FROM events WHERE position > ? AND position <= ? AND fan_out = 1{where}"
        " ORDER BY position LIMIT ?",
        (position, _LAST_POSITION if upto is None else upto, *(names or ()), limit),
    )
    return [_logged(row) for row in rows]


def _logged(row: tuple[Any, ...]) -> LoggedEvent:
    position, domain, edition, root, *rest = row
    page, (correlation_id, *source), tail = rest[:5], rest[5:12], rest[12:]
    provenance = None if source[1] is None else Provenance._make(source)
    return LoggedEvent(
        position, Key(domain, edition, root), StoredPage._make(page), correlation_id, provenance, *tail
    )


def head(connection: sqlite3.Connection) -> int:
    """The position of the newest event; 0 in an empty store."""
    return int(connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])


def roots(
    connection: sqlite3.Connection, after: tuple[str, bytes], limit: int, domain: str | None = None
) -> list[tuple[str, bytes]]:
    """Domain and root of the main timeline's aggregates after one of them, in order; of one domain or of all."""
    name, root = after
    found: list[tuple[str, bytes]] = []
    if domain is not None and domain != name:
        if domain < name:
            return []
        name, root = domain, b""
    following: str | None = name
    while following is not None and len(found) < limit:
        rows = connection.execute(
            _ROOTS_OF_A_DOMAIN, {"domain": following, "root": root, "limit": limit - len(found)}
        )
        found += ((following, row[0]) for row in rows)
        if domain is not None:
            break
        following = connection.execute(
            "SELECT min(domain) FROM events WHERE domain > ?", (following,)
        ).fetchone()[0]
        root = b""
    return found


def pending_cascades(connection: sqlite3.Connection) -> list[tuple[str, Key, int]]:
    """Pages whose cascade has not ended: cascade id, aggregate, sequence."""
    rows = connection.execute(
        "SELECT cascade_id, domain, edition, root, sequence FROM events INDEXED BY events_pending"
        " WHERE committed = 0 ORDER BY position"
    )
    return [(row[0], Key(row[1], row[2], row[3]), row[4]) for row in rows]


def outbox(connection: sqlite3.Connection, after: int, limit: int) -> list[OutboxRow]:
    """Work left to be done, oldest first, with ids above ``after``."""
    rows = connection.execute(
        f"SELECT {_OUTBOX} FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [OutboxRow._make((*row[:3], Key._make(row[3:6]), *row[6:])) for row in rows]


def position(connection: sqlite3.Connection, consumer: str, key: Key) -> Position | None:
    """How far a consumer got in an aggregate, or None before it has begun."""
    row = connection.execute(
        f"SELECT sequence, parked FROM positions WHERE consumer = ? AND {_AGGREGATE}", (consumer, *key)
    ).fetchone()
    return None if row is None else Position(consumer, key, row[0], bool(row[1]))


def positions(connection: sqlite3.Connection, consumer: str, parked: bool = False) -> list[Position]:
    """How far a consumer got, aggregate by aggregate; only where it is stuck with ``parked``."""
    source = "positions INDEXED BY positions_parked WHERE parked = 1 AND" if parked else "positions WHERE"
    rows = connection.execute(
        f"SELECT domain, edition, root, sequence, parked FROM {source} consumer = ?",
        (consumer,),
    )
    return [Position(consumer, Key(*row[:3]), row[3], bool(row[4])) for row in rows]


def covered(connection: sqlite3.Connection, consumer: str) -> set[str]:
    """The domains whose events a consumer has been given, or will be, from the first."""
    rows = connection.execute(
        "SELECT edition FROM positions WHERE consumer = ? AND domain = ? AND sequence = 1",
        (consumer, COVERED),
    )
    return {row[0] for row in rows}


def projected(connection: sqlite3.Connection, key: Key, sequence: int) -> dict[str, int | None]:
    """Which projectors have taken an event in, and when where it was the last one they took of its aggregate."""
    rows = connection.execute(
        f"SELECT positions.consumer, sequence, updated_at FROM ({_CONSUMERS}) AS known CROSS JOIN positions"
        f" ON positions.consumer = known.consumer WHERE {_AGGREGATE} AND sequence >= ?",
        (*key, sequence),
    )
    return {row[0].removeprefix("projector:"): row[2] if row[1] == sequence else None for row in rows}


def dead_letters(
    connection: sqlite3.Connection, domain: str | None = None, component: str | None = None
) -> list[DeadLetterRow]:
    """Dead letters, newest last."""
    rows = connection.execute(
        "SELECT id, component, domain, occurred_at, letter FROM dead_letters"
        " WHERE (:domain IS NULL OR domain = :domain) AND (:component IS NULL OR component = :component)"
        " ORDER BY id",
        {"domain": domain, "component": component},
    )
    return [DeadLetterRow._make(row) for row in rows]
