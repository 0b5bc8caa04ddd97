"""Histories of aggregates lately used, so that a command need not read what the one before it wrote.

The coordinator is the only writer of its store, so what it wrote is what is there.
"""

from collections import OrderedDict

from angzarr.coordinator.store.records import History, Key, StoredPage, StoredSnapshot

_PER_PAGE = 200
"""What Python needs for a page beside its data."""


class HistoryCache:
    """Least recently used histories, bounded in bytes.

    Args:
        limit: bytes to keep; 0 keeps nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[Key, tuple[History, int]] = OrderedDict()

    def get(self, key: Key) -> History | None:
        """The history, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, history: History) -> None:
        """Remember a history just read. It belongs to the cache from now on."""
        size = sum(len(page.data) + _PER_PAGE for page in history.pages)
        size += len(history.snapshot.data) if history.snapshot else 0
        self._store(history, size)

    def extend(self, history: History, pages: list[StoredPage], snapshot: StoredSnapshot | None) -> None:
        """Remember what was just written on top of a history; with a snapshot only that is kept."""
        if snapshot is not None:
            self.put(History(history.key, [], snapshot, snapshot.sequence + 1))
            return
        _, size = self._entries.get(history.key, (None, 0))
        if not size or not pages:
            return
        history.pages.extend(pages)
        history.next_sequence = pages[-1].sequence + 1
        self._store(history, size + sum(len(page.data) + _PER_PAGE for page in pages))

    def drop(self, key: Key) -> None:
        """Forget an aggregate: somebody else may have written, or a write's fate is unknown."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry[1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._size = 0

    def _store(self, history: History, size: int) -> None:
        self.drop(history.key)
        size = max(size, 1)
        self._entries[history.key] = (history, size)
        self._size += size
        while self._size > self._limit:
            _, (_, freed) = self._entries.popitem(last=False)
            self._size -= freed
