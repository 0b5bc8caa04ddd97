"""Why an event happened, and what came of it: the tree of causes, read from a store."""

from dataclasses import dataclass, field

from angzarr import codec
from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import Key, LoggedEvent
from angzarr.messages import EventPage, type_name_from_url, type_url_of

_DEEPEST = 100


@dataclass(slots=True)
class Cause:
    """An event in the tree of causes.

    Attributes:
        key: its aggregate.
        sequence: its sequence.
        event_type: full name of the event; ``""`` for an external payload.
        command_type: full name of the command that caused it; ``""`` when it was a fact or a process event.
        component: the saga or process manager that sent the command; ``""`` for a client.
        correlation_id: of the flow.
        received_at: when the command came in, microseconds since 1970.
        stored_at: when the event was stored, microseconds since 1970.
        caused: the events it caused, in the order they were stored.
        projections: projector → microseconds since 1970 when it got to this event, or None when it is beyond it.
    """

    key: Key
    sequence: int
    event_type: str
    command_type: str
    component: str
    correlation_id: str
    received_at: int
    stored_at: int
    caused: "list[Cause]" = field(default_factory=list)
    projections: dict[str, int | None] = field(default_factory=dict)


async def tree(store: Store, key: Key, sequence: int) -> Cause | None:
    """The tree of causes that an event belongs to, from its first cause; None when there is no such event.

    Args:
        store: an open store.
        key: the event's aggregate.
        sequence: its sequence.
    """
    event = await store.event(key, sequence)
    if event is None:
        return None
    for _ in range(_DEEPEST):
        source = event.provenance
        if source is None:
            break
        above = await store.event(Key(source.domain, source.edition, source.root), source.sequence)
        if above is None:
            break
        event = above
    return await _below(store, event, _DEEPEST)


async def _below(store: Store, event: LoggedEvent, depth: int) -> Cause:
    node = _node(event)
    node.projections = await store.projected(event.key, event.page.sequence)
    if depth:
        for caused in await store.caused_by(event.key, event.page.sequence):
            node.caused.append(await _below(store, caused, depth - 1))
    return node


def _node(event: LoggedEvent) -> Cause:
    url = type_url_of(codec.decode(EventPage, event.page.data))
    return Cause(
        event.key,
        event.page.sequence,
        type_name_from_url(url or ""),
        event.command_type,
        event.provenance.component if event.provenance else "",
        event.correlation_id,
        event.received_at,
        event.stored_at,
    )
