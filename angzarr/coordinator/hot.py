"""States of aggregates lately used, by sequence: a command then needs neither the events nor their fold.

Only for handlers in this process. The coordinator is the only writer of its store and appliers are pure, so the state
after event n, with the new events applied, is the fold over all of them. Handlers get a copy, whatever they do to it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from angzarr.coordinator.store.records import Key
from angzarr.messages import EventPage, any_of
from angzarr.router.raw.cache import copy_of
from angzarr.router.requests import History
from angzarr.router.state import Fold

Payload = tuple[str, bytes]


class NeedsEventsError(Exception):
    """The state of a handler class is not known; the events must be read."""


class HotStates:
    """Least recently used states.

    Args:
        limit: aggregates to keep; 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Key, HotAggregate] = OrderedDict()

    def get(self, key: Key, next_sequence: int) -> "HotAggregate | None":
        """What is known of an aggregate that is at this sequence; None when it is another, or nothing."""
        entry = self._entries.get(key)
        if entry is None or entry.next_sequence != next_sequence:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, entry: "HotAggregate") -> None:
        """Remember what is known of an aggregate."""
        if not self._limit:
            return
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget an aggregate."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


class HotAggregate:
    """The states of one aggregate, one per handler class that was asked, and the events not yet applied to them.

    Args:
        next_sequence: of the aggregate.
        snapshot_sequence: of its newest snapshot, or None.
    """

    __slots__ = ("_as_stored", "_states", "_tail", "next_sequence", "snapshot_sequence")

    def __init__(self, next_sequence: int, snapshot_sequence: int | None) -> None:
        self.next_sequence: int = next_sequence
        self.snapshot_sequence = snapshot_sequence
        self._states: dict[Fold, tuple[Any, int]] = {}
        self._tail: list[Payload] = []
        self._as_stored: list[EventPage] = []

    def advance(
        self, pages: Sequence[EventPage], snapshot_sequence: int | None, *, to_upcast: bool = False
    ) -> None:
        """New events were stored; those ``to_upcast`` are applied when they have been (``take_stored``, ``apply``)."""
        if to_upcast:
            self._as_stored += pages
        else:
            self.apply(pages)
        self.next_sequence += len(pages)
        if snapshot_sequence is not None:
            self.snapshot_sequence = snapshot_sequence

    def apply(self, pages: Sequence[EventPage]) -> None:
        """Let the states follow these events, which are in the newest version of their types."""
        for page in pages:
            payload = any_of(page)
            if payload is not None:
                self._tail.append((payload.type_url, payload.value))

    def take_stored(self) -> list[EventPage]:
        """The events that are still to be upcast and applied; whoever takes them must."""
        pages, self._as_stored = self._as_stored, []
        return pages

    @property
    def folds(self) -> "tuple[Fold, ...]":
        """The handler classes whose state is known."""
        return tuple(self._states)

    def keep(self, fold: Fold, state: Any) -> None:
        """Remember the state of a handler class after everything so far."""
        self._states[fold] = (state, len(self._tail))

    def state(self, fold: Fold, instance: Any) -> Any:
        """The state of a handler class; not to be given away, it is the original.

        Raises:
            KeyError: it is not known.
        """
        state, applied = self._states[fold]
        if applied < len(self._tail):
            for type_url, value in self._tail[applied:]:
                state = fold.apply(instance, state, type_url, value)
            self._states[fold] = (state, len(self._tail))
            self._forget_applied()
        return state

    def _forget_applied(self) -> None:
        applied = min(count for _, count in self._states.values())
        if applied > 64 or applied == len(self._tail):
            del self._tail[:applied]
            self._states = {fold: (state, count - applied) for fold, (state, count) in self._states.items()}


class HotHistory:
    """A history as a router folds it: from a kept state, else from the events where they are at hand.

    Args:
        known: what is known of the aggregate; what is learned is added.
        events: what gives the states that are not known; None to do without.
    """

    def __init__(self, known: HotAggregate, events: History | None) -> None:
        self.next_sequence: int = known.next_sequence
        self._known = known
        self._events = events

    @property
    def snapshot_sequence(self) -> int | None:
        """Sequence of the newest snapshot, if any."""
        return self._known.snapshot_sequence

    def fold(self, fold: Fold, instance: Any) -> Any:
        """A copy of the state.

        Raises:
            NeedsEventsError: the state is not known, and the events are not at hand.
        """
        try:
            return copy_of(self._known.state(fold, instance))
        except KeyError:
            if self._events is None:
                raise NeedsEventsError from None
        state = self._events.fold(fold, instance)
        try:
            original = copy_of(state)
        except Exception:
            # A state that cannot be copied is folded every time.
            return state
        self._known.keep(fold, original)
        return state
