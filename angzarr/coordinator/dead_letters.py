"""What could not be done, kept until somebody replays or skips it."""

from angzarr import codec
from angzarr.coordinator import books
from angzarr.coordinator.store.records import PutDeadLetter
from angzarr.messages import (
    AngzarrDeadLetter,
    CommandBook,
    EventBook,
    EventProcessingFailedDetails,
    MergeStrategy,
    SequenceMismatchDetails,
    now,
)

DELIVERY = "angzarr.delivery"
"""Key of ``AngzarrDeadLetter.metadata`` under which a letter says how its command or facts were sent."""


def letter_row(letter: AngzarrDeadLetter) -> PutDeadLetter:
    """The operation that stores a dead letter."""
    return PutDeadLetter(
        letter.source_component, letter.cover.domain, books.micros(letter.occurred_at), codec.encode(letter)
    )


def of_mismatch(book: CommandBook, expected: int, actual: int) -> AngzarrDeadLetter:
    """A stale command with strategy MANUAL."""
    return AngzarrDeadLetter(
        cover=book.cover,
        rejected_command=book,
        rejection_reason=f"Sequence mismatch: command expects {expected}, aggregate at {actual}",
        occurred_at=now(),
        source_component=book.cover.domain,
        source_component_type="command_handler",
        sequence_mismatch=SequenceMismatchDetails(
            expected_sequence=expected,
            actual_sequence=actual,
            merge_strategy=MergeStrategy(MergeStrategy.MERGE_MANUAL),
        ),
    )


def of_command(
    book: CommandBook, component: str, kind: str, reason: str, attempts: int, delivery: str = ""
) -> AngzarrDeadLetter:
    """A command that a component sent and that could not be delivered, or whose rejection nobody compensated.

    ``delivery`` is what a replay must know of how it was sent.
    """
    return AngzarrDeadLetter(
        metadata={DELIVERY: delivery} if delivery else {},
        cover=book.cover,
        rejected_command=book,
        rejection_reason=reason,
        occurred_at=now(),
        source_component=component,
        source_component_type=kind,
        event_processing_failed=_failed(reason, attempts),
    )


def of_events(
    book: EventBook, component: str, kind: str, reason: str, attempts: int, delivery: str = ""
) -> AngzarrDeadLetter:
    """Events that a component could not handle, or facts of its that could not be delivered."""
    return AngzarrDeadLetter(
        metadata={DELIVERY: delivery} if delivery else {},
        cover=book.cover,
        rejected_events=book,
        rejection_reason=reason,
        occurred_at=now(),
        source_component=component,
        source_component_type=kind,
        event_processing_failed=_failed(reason, attempts),
    )


def _failed(reason: str, attempts: int) -> EventProcessingFailedDetails:
    return EventProcessingFailedDetails(error=reason, retry_count=attempts, is_transient=False)
