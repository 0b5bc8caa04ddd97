"""Reactions that cause one another: how many in a row there may be, and what is said of too many.

Every row of the outbox carries how many reactions led to it, so the count outlives the process. A client's command, and
a replayed dead letter, begin at none.
"""

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import Key, OutboxRow

_SHOWN = 5


async def too_many(store: Store, row: OutboxRow, limit: int) -> GRPCError:
    """What a step fails with that too many reactions led to; it names the last of them.

    Raises:
        StoreError: their events cannot be read.
    """
    chain = [row.key.domain, row.component]
    event = await store.event(row.key, row.last_sequence)
    while event is not None and event.provenance is not None and len(chain) < 2 * _SHOWN:
        source = event.provenance
        chain = [source.domain, source.component, *chain]
        event = await store.event(Key(source.domain, source.edition, source.root), source.sequence)
    return GRPCError(
        Status.FAILED_PRECONDITION,
        f"{limit} reactions in a row led here: {' → '.join(chain)}; when that is no loop, replay this letter to go"
        " on, or allow more with ReactionConfig.depth",
    )
