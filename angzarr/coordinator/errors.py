"""What can go wrong in the coordinator beyond what its callers caused.

::

    ClientError
    └── StoreError               the store cannot be opened, read or written; the code says why
        ├── StoreOpenError       it cannot be opened at all
        ├── ConflictError        another writer was first: sequence, external id or provenance is taken
        └── StoreFullError       no space left; nothing of the unit was stored, reads go on
    TimeoutError
    └── SettleTimeout            what was caused is not done yet; the text is a table of what is not
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from angzarr.errors import ClientError

STORE_LOCKED = "STORE_LOCKED"
STORE_NOT_SQLITE = "STORE_NOT_SQLITE"
STORE_FOREIGN = "STORE_FOREIGN"
STORE_SCHEMA_NEWER = "STORE_SCHEMA_NEWER"
STORE_UNWRITABLE = "STORE_UNWRITABLE"
STORE_FULL = "STORE_FULL"
STORE_FAILED = "STORE_FAILED"
STORE_CLOSED = "STORE_CLOSED"
STORE_CONFLICT = "STORE_CONFLICT"

COORDINATOR_CONFIG = "COORDINATOR_CONFIG"


class StoreError(ClientError):
    """The store cannot do what it was asked to; nothing of the unit in question was stored."""

    def __init__(
        self,
        message: str,
        *,
        code: str = STORE_FAILED,
        details: Mapping[str, Any] | None = None,
        cause: Exception | None = None,
    ) -> None:
        super().__init__(message, cause, code=code, details=details)


class StoreOpenError(StoreError):
    """The store cannot be opened; the text names the file and the remedy."""


class ConflictError(StoreError):
    """Another writer was first.

    Attributes:
        on: ``"sequence"``, ``"external_id"`` or ``"provenance"``, what the two writers both claim.
    """

    def __init__(self, on: str) -> None:
        super().__init__(f"another writer was first: {on} is taken", code=STORE_CONFLICT, details={"on": on})
        self.on = on


class StoreFullError(StoreError):
    """The disk, or the size limit of the database, is exhausted."""

    def __init__(self, path: str, cause: Exception | None = None) -> None:
        super().__init__(
            f"no space left to store in {path}: nothing of this was stored; free some space and send it again",
            code=STORE_FULL,
            details={"path": path},
            cause=cause,
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """One piece of work that is not done yet.

    Attributes:
        component: the saga, process manager or projector at work.
        domain: domain of the aggregate whose event started it.
        root: the aggregate's root.
        sequence: the event's sequence.
        attempt: which try this is, from 1; 0 when it has not been started.
        age: seconds since it came into being.
        state: what holds it up.
    """

    component: str
    domain: str
    root: bytes
    sequence: int
    attempt: int
    age: float
    state: str = "waiting"


class SettleTimeout(TimeoutError):
    """What was caused so far is not done yet.

    Attributes:
        pending: one row per unfinished piece.
    """

    def __init__(self, timeout: float, pending: Sequence[Pending]) -> None:
        self.pending: tuple[Pending, ...] = tuple(pending)
        super().__init__(_table(timeout, self.pending))


def _table(timeout: float, pending: Sequence[Pending]) -> str:
    header = ("component", "domain", "root", "sequence", "attempt", "age", "state")
    rows = [header] + [
        (
            row.component,
            row.domain,
            row.root.hex(),
            str(row.sequence),
            str(row.attempt),
            f"{row.age:.1f} s",
            row.state,
        )
        for row in pending
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return f"not settled after {timeout:g} s, {len(pending)} unfinished:\n" + "\n".join(lines)
