"""What the steps of a behaviour-driven test share (pytest-bdd, behave)."""

from dataclasses import dataclass, field
from typing import Any as AnyValue

import betterproto

from angzarr.errors import CommandRejectedError
from angzarr.messages import Any, EventBook
from angzarr.testing.builders import make_cover, make_event_book, make_event_page, pack_event


@dataclass
class ScenarioContext:
    """Aggregate, history and outcome, carried from step to step.

    Attributes:
        domain: domain of the aggregate under test.
        root: its root, raw bytes.
        events: its history, packed.
        result: what the last command gave.
        error: how the last command was refused, or None.
        state: the state as last rebuilt.
    """

    domain: str = ""
    root: bytes = b""
    events: list[Any] = field(default_factory=list)
    result: AnyValue = None
    error: CommandRejectedError | None = None
    state: AnyValue = None

    def event_book(self) -> EventBook:
        """The history as a book: sequences from 0, created now, next_sequence set, the root always present."""
        pages = [make_event_page(sequence, event) for sequence, event in enumerate(self.events)]
        return make_event_book(make_cover(self.domain, self.root), pages)

    def add_event(self, event_msg: betterproto.Message) -> None:
        """Append an event to the history.

        Raises:
            UnregisteredMessageError: UNREGISTERED_MESSAGE, its class was never registered.
            EncodeError: a field holds a value its type cannot carry.
        """
        self.events.append(pack_event(event_msg))

    def clear_events(self) -> None:
        """Forget the history."""
        self.events.clear()

    def clear_result(self) -> None:
        """Forget how the last command went: result and error."""
        self.result = None
        self.error = None

    def reset(self) -> None:
        """Forget everything."""
        self.domain = ""
        self.root = b""
        self.state = None
        self.clear_events()
        self.clear_result()
