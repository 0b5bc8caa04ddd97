"""Covers, pages, books and roots for tests, by the names of the reference client."""

import uuid
from collections.abc import Sequence
from datetime import datetime

import betterproto

from angzarr.messages import (
    UUID,
    Any,
    CommandBook,
    CommandPage,
    Cover,
    EventBook,
    EventPage,
    PageHeader,
    now,
    pack,
)

DEFAULT_TEST_NAMESPACE = uuid.UUID("a1b2c3d4-e5f6-7890-abcd-ef1234567890")


def pack_event(msg: betterproto.Message) -> Any:
    """Wrap a message as Any under ``type.googleapis.com/`` and its full name.

    Raises:
        UnregisteredMessageError: UNREGISTERED_MESSAGE, its class was never registered.
        EncodeError: a field holds a value its type cannot carry.
    """
    return pack(msg)


testing_pack_event = pack_event
pack_event.__test__ = False  # type: ignore[attr-defined]  # pytest takes the second name for a test


def make_timestamp() -> datetime:
    """The current time, which a frozen clock decides: ``angzarr.now`` under its old name."""
    return now()


def make_cover(domain: str, root: bytes, correlation_id: str = "") -> Cover:
    """A cover; its root is always present, also when empty.

    Args:
        domain: the aggregate's domain.
        root: its root, 16 raw bytes (``uuid_for("alice")``).
        correlation_id: what the exchange belongs to; ``""`` for none.
    """
    return Cover(domain=domain, root=UUID(value=root), correlation_id=correlation_id)


def make_event_page(sequence: int, event: Any) -> EventPage:
    """A page of history, created now.

    Args:
        sequence: the event's explicit sequence, from 0.
        event: the packed event (``pack_event(message)``).
    """
    return EventPage(header=PageHeader(sequence=sequence), event=event, created_at=now())


def make_event_book(
    cover: Cover, pages: Sequence[EventPage] | None = None, next_sequence: int | None = None
) -> EventBook:
    """A history.

    Args:
        cover: whose events these are.
        pages: the events, in order; none by default.
        next_sequence: the sequence of the event to come; the number of pages by default.
    """
    held = list(pages or ())
    return EventBook(
        cover=cover, pages=held, next_sequence=len(held) if next_sequence is None else next_sequence
    )


def make_command_page(sequence: int, command: Any) -> CommandPage:
    """A command page, merge strategy COMMUTATIVE.

    Args:
        sequence: the sequence the command expects the aggregate to be at.
        command: the packed command.
    """
    return CommandPage(header=PageHeader(sequence=sequence), command=command)


def make_command_book(cover: Cover, command: Any, sequence: int = 0) -> CommandBook:
    """A command of one page for the aggregate of the cover.

    Args:
        cover: the aggregate the command is for.
        command: the packed command.
        sequence: the sequence it expects the aggregate to be at.
    """
    return CommandBook(cover=cover, pages=[make_command_page(sequence, command)])


def uuid_obj_for(name: str, namespace: uuid.UUID = DEFAULT_TEST_NAMESPACE) -> uuid.UUID:
    """The UUID that a name always gets in a namespace (``"player-alice"``, ``"table-1"``)."""
    return uuid.uuid5(namespace, name)


def uuid_str_for(name: str, namespace: uuid.UUID = DEFAULT_TEST_NAMESPACE) -> str:
    """As ``uuid_obj_for``, as dashed text."""
    return str(uuid_obj_for(name, namespace))


def uuid_for(name: str, namespace: uuid.UUID = DEFAULT_TEST_NAMESPACE) -> bytes:
    """As ``uuid_obj_for``, as the 16 raw bytes that roots are made of."""
    return uuid_obj_for(name, namespace).bytes
