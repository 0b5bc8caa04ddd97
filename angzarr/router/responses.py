"""What handlers of sagas, process managers and rejections may return beside books and messages."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from angzarr.messages import CommandBook, EventBook, Notification

__all__ = ["ProcessManagerResponse", "RejectionHandlerResponse", "SagaHandlerResponse"]


class SagaHandlerResponse:
    """What a saga's method answers.

    Args:
        commands: command books for other aggregates.
        events: event books to inject into other aggregates as facts.
    """

    def __init__(
        self, commands: Iterable[CommandBook] | None = None, events: Iterable[EventBook] | None = None
    ) -> None:
        self.commands: list[CommandBook] = list(commands or ())
        self.events: list[EventBook] = list(events or ())

    def __repr__(self) -> str:
        return f"SagaHandlerResponse(commands={self.commands!r}, events={self.events!r})"


class ProcessManagerResponse:
    """What a process manager's method answers.

    Args:
        commands: command books for other aggregates.
        process_events: event books for the process manager's own stream; several become one.
        facts: event books to inject into other aggregates.
    """

    def __init__(
        self,
        commands: Iterable[CommandBook] | None = None,
        process_events: Iterable[EventBook] | EventBook | None = None,
        facts: Iterable[EventBook] | None = None,
    ) -> None:
        own = [process_events] if isinstance(process_events, EventBook) else process_events
        self.commands: list[CommandBook] = list(commands or ())
        self.process_events: list[EventBook] = list(own or ())
        self.facts: list[EventBook] = list(facts or ())

    def __repr__(self) -> str:
        return (
            f"ProcessManagerResponse(commands={self.commands!r}, process_events={self.process_events!r}, "
            f"facts={self.facts!r})"
        )


@dataclass
class RejectionHandlerResponse:
    """What a ``@rejected`` method may answer.

    Attributes:
        events: event books with the compensation; their pages are merged, the first cover set wins.
        notification: a notification to forward upstream; used when there are no events.
    """

    events: list[EventBook] = field(default_factory=list)
    notification: Notification | None = None
