"""One at a time per aggregate: a lock per key that lives only while somebody holds it or waits for it."""

import asyncio
from collections.abc import Hashable
from types import TracebackType


class KeyLocks:
    """Locks by key. ``async with locks.hold(key):`` runs alone for that key in this process."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Entry] = {}

    def hold(self, key: Hashable) -> "_Hold":
        """The lock of a key, to be entered."""
        return _Hold(self._held, key)

    def __len__(self) -> int:
        return len(self._held)


class _Entry:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class _Hold:
    __slots__ = ("_entry", "_held", "_key")

    def __init__(self, held: dict[Hashable, _Entry], key: Hashable) -> None:
        self._held = held
        self._key = key

    async def __aenter__(self) -> None:
        entry = self._held.get(self._key)
        if entry is None:
            entry = self._held[self._key] = _Entry()
        self._entry = entry
        entry.users += 1
        try:
            await entry.lock.acquire()
        except BaseException:
            self._leave(entry)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entry.lock.release()
        self._leave(self._entry)

    def _leave(self, entry: _Entry) -> None:
        entry.users -= 1
        if not entry.users:
            del self._held[self._key]
