"""What every store promises."""

import asyncio

import pytest

from angzarr.coordinator.errors import ConflictError, StoreError
from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import (
    PENDING,
    REVOKED,
    AdoptPositions,
    Append,
    DeleteEdition,
    Dequeue,
    DropDeadLetter,
    EndCascade,
    Enqueue,
    Key,
    NewEvent,
    Position,
    Provenance,
    PutDeadLetter,
    PutSnapshot,
    Reschedule,
    SetPosition,
    StoredCommand,
    StoredPage,
    StoredSnapshot,
)

ALICE = Key("player", "", b"a" * 16)
BOB = Key("player", "", b"b" * 16)
WHAT_IF = Key("player", "what-if", b"a" * 16)
CAUSE = Provenance("", "table", b"t" * 16, 7, "seat-player", 0)


def events(*sequences: int, **columns: object) -> tuple[NewEvent, ...]:
    return tuple(NewEvent(n, f"page {n}".encode(), 1000 + n, **columns) for n in sequences)  # type: ignore[arg-type]


def numbers(pages: list[StoredPage]) -> list[int]:
    return [page.sequence for page in pages]


async def test_an_unknown_aggregate_is_empty(store: Store) -> None:
    history = await store.load(ALICE)
    assert (history.pages, history.snapshot, history.next_sequence) == ([], None, 0)


async def test_events_come_back_as_they_were_stored(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1))])
    history = await store.load(ALICE)
    assert history.pages == [StoredPage(0, b"page 0", 1000), StoredPage(1, b"page 1", 1001)]
    assert history.next_sequence == 2


async def test_positions_grow_over_all_aggregates(store: Store) -> None:
    first = await store.submit([Append(ALICE, events(0, 1))])
    second = await store.submit([Append(BOB, events(0))])
    assert (first, second, await store.head()) == ([2], [3], 3)
    assert [(e.position, e.key) for e in await store.since(1, 10)] == [(2, ALICE), (3, BOB)]


async def test_events_since_a_position_are_of_the_domains_asked_for_and_end_where_told(store: Store) -> None:
    table = Key("table", "", b"t" * 16)
    for key, number in ((ALICE, 0), (table, 0), (ALICE, 1), (BOB, 0), (table, 1)):
        await store.submit([Append(key, events(number))])
    assert [e.position for e in await store.since(1, 10, ["player"])] == [3, 4]
    assert [e.position for e in await store.since(0, 10, ["player", "table"], upto=3)] == [1, 2, 3]
    assert [e.position for e in await store.since(0, 1, ["table"])] == [2]


async def test_a_taken_sequence_is_a_conflict(store: Store) -> None:
    await store.submit([Append(ALICE, events(0))])
    with pytest.raises(ConflictError) as caught:
        await store.submit([Append(ALICE, events(0))])
    assert caught.value.on == "sequence"


async def test_a_unit_is_stored_whole_or_not_at_all(store: Store) -> None:
    await store.submit([Append(ALICE, events(1))])
    with pytest.raises(ConflictError):
        await store.submit([Append(BOB, events(0)), Append(ALICE, events(0, 1))])
    assert numbers(await store.pages(ALICE)) == [1]
    assert await store.pages(BOB) == []


async def test_a_failing_unit_does_not_harm_those_committed_with_it(store: Store) -> None:
    await store.submit([Append(ALICE, events(0))])
    others = [Key("player", "", bytes([n]) * 16) for n in range(20)]
    units = [[Append(key, events(0))] for key in others]
    units.insert(10, [Append(ALICE, events(0))])
    outcomes = await asyncio.gather(*(store.submit(unit) for unit in units), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(ConflictError) == 1
    assert isinstance(outcomes[10], ConflictError)
    assert [numbers(await store.pages(key)) for key in others] == [[0]] * 20


async def test_what_was_submitted_is_stored_although_nobody_waits(store: Store) -> None:
    store.submit([Append(ALICE, events(0))]).cancel()
    await store.submit([Append(BOB, events(0))])
    assert numbers(await store.pages(ALICE)) == [0]


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [(0, None, [0, 1, 2, 3]), (2, None, [2, 3]), (1, 2, [1, 2]), (3, 9, [3]), (4, None, []), (0, 0, [0])],
)
async def test_ranges_are_inclusive(store: Store, lower: int, upper: int | None, expected: list[int]) -> None:
    await store.submit([Append(ALICE, events(0, 1, 2, 3))])
    assert numbers(await store.pages(ALICE, lower, upper)) == expected


async def test_a_load_starts_at_the_newest_snapshot(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1, 2)), PutSnapshot(ALICE, StoredSnapshot(1, b"at 1"))])
    history = await store.load(ALICE)
    assert history.snapshot == StoredSnapshot(1, b"at 1")
    assert (numbers(history.pages), history.next_sequence) == ([2], 3)


async def test_a_load_may_leave_the_snapshot_out(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1)), PutSnapshot(ALICE, StoredSnapshot(1, b"at 1"))])
    history = await store.load(ALICE, with_snapshot=False)
    assert (history.snapshot, numbers(history.pages)) == (None, [0, 1])


async def test_the_next_sequence_follows_the_snapshot_when_nothing_else_is_there(store: Store) -> None:
    await store.submit([PutSnapshot(ALICE, StoredSnapshot(8, b"at 8"))])
    assert (await store.load(ALICE)).next_sequence == 9


async def test_a_newer_snapshot_displaces_all_but_those_to_persist(store: Store) -> None:
    default, persist, transient = 0, 1, 2
    for sequence, retention in enumerate([default, persist, transient, default]):
        await store.submit([PutSnapshot(ALICE, StoredSnapshot(sequence, b"s", retention))])
    assert [snapshot.sequence for snapshot in await store.snapshots(ALICE)] == [1, 3]


async def test_an_external_id_is_taken_once(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1, external_id="bank-1")[:1])])
    with pytest.raises(ConflictError) as caught:
        await store.submit([Append(ALICE, events(1, external_id="bank-1"))])
    assert caught.value.on == "external_id"
    assert numbers(await store.by_external_id(ALICE, "bank-1")) == [0]


async def test_an_external_id_belongs_to_its_aggregate(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, external_id="bank-1"))])
    await store.submit([Append(BOB, events(0, external_id="bank-1"))])
    assert numbers(await store.by_external_id(BOB, "bank-1")) == [0]


async def test_a_provenance_is_taken_once(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, provenance=CAUSE))])
    with pytest.raises(ConflictError) as caught:
        await store.submit([Append(ALICE, events(1, provenance=CAUSE))])
    assert caught.value.on == "provenance"


async def test_all_pages_of_a_provenance_are_found(store: Store) -> None:
    pages = [page._replace(part=part) for part, page in enumerate(events(0, 1, provenance=CAUSE))]
    await store.submit([Append(ALICE, (*pages, *events(2)))])
    assert numbers(await store.by_provenance(ALICE, [CAUSE])) == [0, 1]
    assert await store.by_provenance(BOB, [CAUSE]) == []
    assert await store.by_provenance(ALICE, [CAUSE._replace(command_index=1)]) == []


async def test_what_an_event_caused_is_found(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, provenance=CAUSE, command_type="Sit", correlation_id="c-1"))])
    table = Key("table", "", b"t" * 16)
    (caused,) = await store.caused_by(table, 7)
    assert (caused.key, caused.page.sequence, caused.provenance) == (ALICE, 0, CAUSE)
    assert (caused.command_type, caused.correlation_id) == ("Sit", "c-1")


async def test_events_are_found_by_correlation(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, correlation_id="c-1"))])
    await store.submit([Append(BOB, events(0, correlation_id="c-2"))])
    await store.submit([Append(BOB, events(1, correlation_id="c-1"))])
    assert [(e.key, e.page.sequence) for e in await store.by_correlation("c-1")] == [(ALICE, 0), (BOB, 1)]


async def test_an_edition_without_own_events_is_the_main_timeline(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1, 2))])
    history = await store.load(WHAT_IF)
    assert (numbers(history.pages), history.next_sequence) == ([0, 1, 2], 3)
    assert await store.next_sequence(WHAT_IF) == 3


async def test_an_explicit_divergence_cuts_the_main_timeline(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1, 2))])
    assert numbers((await store.load(WHAT_IF, 1)).pages) == [0]
    assert await store.next_sequence(WHAT_IF, 1) == 1


async def test_an_edition_reads_main_below_its_first_own_event(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, 1))])
    await store.submit([Append(WHAT_IF, (NewEvent(1, b"own 1", 5), NewEvent(2, b"own 2", 6)))])
    await store.submit([Append(ALICE, events(2, 3))])
    history = await store.load(WHAT_IF)
    assert [page.data for page in history.pages] == [b"page 0", b"own 1", b"own 2"]
    assert history.next_sequence == 3
    assert numbers(await store.pages(WHAT_IF, 0, 1)) == [0, 1]
    assert numbers(await store.pages(WHAT_IF, 2)) == [2]


async def test_deleting_an_edition_leaves_the_main_timeline(store: Store) -> None:
    await store.submit([Append(ALICE, events(0)), Append(WHAT_IF, events(1))])
    assert await store.submit([DeleteEdition("player", "what-if")]) == [1]
    assert numbers(await store.pages(WHAT_IF)) == [0]


async def test_aggregates_of_the_main_timeline_are_listed_in_pages(store: Store) -> None:
    for key in (BOB, ALICE, WHAT_IF, Key("table", "", b"t" * 16)):
        await store.submit([Append(key, events(0, 1))])
    first = await store.roots(limit=2)
    assert first == [("player", b"a" * 16), ("player", b"b" * 16)]
    assert await store.roots(after=first[-1]) == [("table", b"t" * 16)]
    assert await store.roots(domain="table") == [("table", b"t" * 16)]
    assert await store.roots(after=first[0], limit=1, domain="player") == [first[1]]
    assert await store.roots(after=("table", b""), domain="player") == []
    assert await store.roots(after=("player", b"x")) == [("table", b"t" * 16)]


async def test_a_domain_with_nothing_but_editions_has_no_aggregates_on_the_main_timeline(
    store: Store,
) -> None:
    for key in (WHAT_IF, Key("table", "", b"t" * 16)):
        await store.submit([Append(key, events(0))])
    assert await store.roots(limit=10) == [("table", b"t" * 16)]


async def test_work_left_to_be_done_stays_until_it_is(store: Store) -> None:
    row = await store.submit([Enqueue("saga", "seat-player", ALICE, 0, 1, "c-1", b"body")])
    (found,) = await store.outbox()
    assert (found.id, found.kind, found.component, found.key) == (row[0], "saga", "seat-player", ALICE)
    assert (found.sequence, found.last_sequence, found.body) == (0, 1, b"body")
    assert await store.submit([Reschedule(found.id, 2, 99)]) == [True]
    assert [(r.attempt, r.due_at) for r in await store.outbox()] == [(2, 99)]
    assert await store.submit([Dequeue(found.id)]) == [True]
    assert await store.submit([Dequeue(found.id)]) == [False]
    assert await store.outbox() == []


async def test_consumers_remember_how_far_they_got(store: Store) -> None:
    assert await store.position("standings", ALICE) is None
    await store.submit([SetPosition("standings", ALICE, 3)])
    await store.submit([SetPosition("standings", ALICE, 4, parked=True)])
    assert await store.position("standings", ALICE) == Position("standings", ALICE, 4, True)
    assert await store.positions("standings") == [Position("standings", ALICE, 4, True)]
    await store.submit([SetPosition("standings", BOB, 1)])
    assert await store.parked("standings") == [Position("standings", ALICE, 4, True)]


async def test_rebuilt_positions_replace_the_live_ones(store: Store) -> None:
    await store.submit(
        [SetPosition("live", ALICE, 1), SetPosition("live", BOB, 1), SetPosition("new", ALICE, 9)]
    )
    await store.submit([AdoptPositions("new", "live")])
    assert await store.positions("live") == [Position("live", ALICE, 9)]
    assert await store.positions("new") == []


async def test_dead_letters_are_kept_newest_last(store: Store) -> None:
    first, second = await store.submit(
        [PutDeadLetter("saga", "player", 1, b"one"), PutDeadLetter("view", "table", 2, b"two")]
    )
    assert [letter.data for letter in await store.dead_letters()] == [b"one", b"two"]
    assert [letter.id for letter in await store.dead_letters(domain="table")] == [second]
    assert [letter.id for letter in await store.dead_letters(component="saga")] == [first]
    assert await store.submit([DropDeadLetter(first)]) == [True]
    assert [letter.id for letter in await store.dead_letters()] == [second]


async def test_pending_pages_become_revoked_when_their_cascade_fails(store: Store) -> None:
    await store.submit([Append(ALICE, events(0, state=PENDING, cascade_id="x"))])
    assert await store.pending_cascades() == [("x", ALICE, 0)]
    assert await store.submit([EndCascade("x", confirmed=False)]) == [1]
    assert [page.state for page in await store.pages(ALICE)] == [REVOKED]
    assert await store.pending_cascades() == []


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError, match="is closed") as caught:
        await store.load(ALICE)
    assert caught.value.code == "STORE_CLOSED"


async def test_a_command_is_found_by_any_of_its_events(store: Store) -> None:
    first, second = events(0, 1, command_type="One"), events(2, 3, command_type="Two")
    await store.submit([Append(ALICE, (first[0]._replace(command=b"one"), first[1]))])
    await store.submit([Append(ALICE, (second[0]._replace(command=b"two", correlation_id="c-1"), second[1]))])
    await store.submit([Append(ALICE, events(4))])
    assert await store.command_of(ALICE, 1) == StoredCommand(b"one", "", 0, 1, 0)
    assert await store.command_of(ALICE, 2) == StoredCommand(b"two", "c-1", 2, 3, 0)
    assert await store.command_of(ALICE, 4) is None
    assert await store.command_of(ALICE, 5) is None
    assert await store.command_of(BOB, 0) is None
