"""coordinator-contract.md §1–§5 and §10–§12, rule by rule, as a client of another language meets them."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from angzarr.coordinator import EmbeddedCoordinator
from tests.coordinator.foreigner import (
    COMMANDS,
    QUERIES,
    Foreigner,
    Refused,
    command,
    cover,
    fact,
    names,
    page,
    request,
    visited,
)
from tests.coordinator.worlds import FAST, A, B, Domain, Saga
from tests.coordinator.worlds import command as order
from tests.interop.protos import google

Code = grpc.StatusCode
ANY = "MERGE_AGGREGATE_HANDLES"


@pytest.fixture
async def both() -> AsyncIterator[tuple[EmbeddedCoordinator, Foreigner]]:
    async with visited(handlers={"left": Domain(), "right": Domain()}, config=FAST) as found:
        yield found


@pytest.fixture
def foreigner(both: tuple[EmbeddedCoordinator, Foreigner]) -> Foreigner:
    return both[1]


def left(**fields: Any) -> Any:
    return cover("left", A, **fields)


# §1 input checks, in this order


LONG = b"x" * 262_145


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (google("CommandRequest")(), "CommandRequest must have a command"),
        (request(*[page("Do")] * 101), "Book has 101 pages, at most 100 are allowed"),
        (request(page("Do", LONG)), "Payload of page 0 has 262145 bytes, at most 262144 are allowed"),
        (request(page("Do")), "CommandBook must have a cover"),
        (request(page("Do"), to=cover("", None)), "Cover must have a domain"),
        (
            request(page("Do"), to=cover("Left", A)),
            "Invalid domain 'Left': must match ^[a-z_][a-z0-9_-]{0,63}$",
        ),
        (
            request(page("Do"), to=cover("l" * 65, A)),
            f"Invalid domain '{'l' * 65}': must match ^[a-z_][a-z0-9_-]{{0,63}}$",
        ),
        (request(page("Do"), to=cover("left", None)), "Cover must have a root UUID"),
        (request(page("Do"), to=cover("left", b"")), "Invalid UUID: must be 16 bytes, got 0"),
        (request(page("Do"), to=cover("left", b"x" * 17)), "Invalid UUID: must be 16 bytes, got 17"),
        (
            request(page("Do"), to=cover("left", A, edition="What")),
            "Invalid edition 'What': must be empty or up to 64 characters matching ^[a-z][a-z0-9_-]*$",
        ),
        (
            request(page("Do"), to=cover("left", A, "a b")),
            "Invalid correlation id 'a b': must be empty or up to 128 of [A-Za-z0-9_-]",
        ),
    ],
)
async def test_malformed_commands_are_refused_in_order(foreigner: Foreigner, made: Any, text: str) -> None:
    with pytest.raises(Refused) as caught:
        await foreigner(COMMANDS, "HandleCommand", made)
    assert (caught.value.code, caught.value.text) == (Code.INVALID_ARGUMENT, text)


async def test_an_unknown_domain_is_not_found_and_the_known_ones_are_named(foreigner: Foreigner) -> None:
    with pytest.raises(Refused) as caught:
        await foreigner.send(page("DoOne"), to=cover("middle", A))
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.text == "No handler for domain 'middle'; known domains: left, right"


@pytest.mark.parametrize(
    "to",
    [
        cover("left", A, "x" * 128),
        cover("left", A, edition="a" * 64),
        cover("left", A, edition="angzarr"),
        cover("left", A, ""),
    ],
)
async def test_what_the_limits_allow_is_taken(foreigner: Foreigner, to: Any) -> None:
    response = await foreigner.send(page("DoOne", b"x" * 262_144), to=to)
    assert response.events.cover.correlation_id == to.correlation_id
    assert names(response.events) == ["DoneOne"]


async def test_a_hundred_pages_are_taken(foreigner: Foreigner) -> None:
    await foreigner.send(*[page("DoOne")] * 100, to=left())


# §2 pipeline


async def test_the_first_sequence_is_0_and_the_answer_has_only_the_new_pages(foreigner: Foreigner) -> None:
    first = await foreigner.send(page("DoOne"), to=left(correlation_id="c-1"))
    second = await foreigner.send(page("DoTwo", sequence=1, strategy="MERGE_STRICT"), to=left())
    assert [one.header.sequence for one in first.events.pages] == [0]
    assert [one.header.sequence for one in second.events.pages] == [1]
    assert (first.events.next_sequence, second.events.next_sequence) == (1, 2)
    assert first.events.cover.correlation_id == "c-1"
    assert first.events.pages[0].created_at.seconds > 1_600_000_000


@pytest.mark.parametrize(
    ("strategy", "sequence", "code", "text"),
    [
        ("MERGE_STRICT", 0, Code.FAILED_PRECONDITION, "Sequence mismatch: command expects 0, aggregate at 1"),
        (
            "MERGE_STRICT",
            None,
            Code.FAILED_PRECONDITION,
            "Sequence mismatch: command expects 0, aggregate at 1",
        ),
        ("MERGE_STRICT", 9, Code.FAILED_PRECONDITION, "Sequence mismatch: command expects 9, aggregate at 1"),
        (
            "MERGE_COMMUTATIVE",
            0,
            Code.FAILED_PRECONDITION,
            "Sequence mismatch: command expects 0, aggregate at 1",
        ),
        (
            "MERGE_COMMUTATIVE",
            9,
            Code.FAILED_PRECONDITION,
            "Sequence mismatch: command expects 9, aggregate at 1",
        ),
        (
            "MERGE_MANUAL",
            0,
            Code.ABORTED,
            "Sequence mismatch: command expects 0, aggregate at 1. Sent to DLQ for manual review",
        ),
    ],
)
async def test_a_stale_sequence_is_refused_with_the_book_as_it_is(
    both: tuple[EmbeddedCoordinator, Foreigner], strategy: str, sequence: int | None, code: Any, text: str
) -> None:
    running, foreigner = both
    await foreigner.send(page("DoOne"), to=left())
    with pytest.raises(Refused) as caught:
        await foreigner.send(page("DoTwo", sequence=sequence, strategy=strategy), to=left())
    assert (caught.value.code, caught.value.text) == (code, text)
    assert names(caught.value.book) == ["DoneOne"]
    assert caught.value.book.next_sequence == 1
    letters = await running.dead_letters()
    assert len(letters) == (1 if code is Code.ABORTED else 0)
    for letter in letters:
        details = letter.sequence_mismatch
        assert (details.expected_sequence, details.actual_sequence) == (0, 1)


async def test_the_handler_may_decide_about_a_stale_command(foreigner: Foreigner) -> None:
    await foreigner.send(page("DoOne"), to=left())
    response = await foreigner.send(page("DoTwo", sequence=7, strategy=ANY), to=left())
    assert response.events.next_sequence == 2


def deferred(sequence: int = 3) -> Any:
    return google("AngzarrDeferredSequence")(source=cover("outside", B), source_seq=sequence)


async def test_a_deferred_command_is_executed_once_and_answered_again(foreigner: Foreigner) -> None:
    made = page("DoOne", angzarr_deferred=deferred())
    first = await foreigner.send(made, to=left())
    again = await foreigner.send(made, to=left())
    assert first.events.pages == again.events.pages
    await foreigner.send(page("DoTwo", angzarr_deferred=deferred(4)), to=left())
    assert names(await foreigner.book(left())) == ["DoneOne", "DoneTwo"]


# §4 facts


def facts(*pages: Any, to: Any = None, **fields: Any) -> Any:
    made = google("EventRequest")(**fields)
    made.events.pages.extend(pages)
    if to is not None:
        made.events.cover.CopyFrom(to)
    return made


def external(name: str) -> Any:
    return google("ExternalDeferredSequence")(external_id=name)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (google("EventRequest")(), "EventRequest must have events"),
        (facts(fact("F", external_deferred=external("x"))), "EventBook must have a cover"),
        (
            facts(fact("F", external_deferred=external("x")), to=cover("left", None)),
            "Cover must have a root UUID",
        ),
        (facts(fact("F"), to=cover("left", A)), "Fact events must have ExternalDeferredSequence markers"),
        (facts(to=cover("left", A)), "Fact events must have ExternalDeferredSequence markers"),
    ],
)
async def test_malformed_facts_are_refused(foreigner: Foreigner, made: Any, text: str) -> None:
    with pytest.raises(Refused) as caught:
        await foreigner(COMMANDS, "HandleEvent", made)
    assert (caught.value.code, caught.value.text) == (Code.INVALID_ARGUMENT, text)


async def test_a_fact_is_stored_once_by_its_external_id(foreigner: Foreigner) -> None:
    await foreigner.send(page("DoOne"), to=left())
    made = facts(fact("F", external_deferred=external("x")), to=left())
    first = await foreigner(COMMANDS, "HandleEvent", made)
    again = await foreigner(COMMANDS, "HandleEvent", made)
    assert (first.already_processed, again.already_processed) == (False, True)
    assert [one.header.sequence for one in again.events.pages] == [1]
    assert names(await foreigner.book(left())) == ["DoneOne", "F"]


# §5 speculation and compensation


async def test_speculation_needs_a_point_in_time(foreigner: Foreigner) -> None:
    made = google("SpeculateCommandHandlerRequest")(command=command(page("DoOne"), to=left()))
    with pytest.raises(Refused) as caught:
        await foreigner(COMMANDS, "HandleSyncSpeculative", made)
    text = "Speculative requires either as_of_sequence or as_of_timestamp"
    assert (caught.value.code, caught.value.text) == (Code.INVALID_ARGUMENT, text)


async def test_speculation_sees_the_past_and_stores_nothing(foreigner: Foreigner) -> None:
    for _ in range(3):
        await foreigner.send(page("DoOne", strategy=ANY), to=left())
    made = google("SpeculateCommandHandlerRequest")(
        command=command(page("DoIt"), to=left()), point_in_time=google("TemporalQuery")(as_of_sequence=0)
    )
    response = await foreigner(COMMANDS, "HandleSyncSpeculative", made)
    assert [one.header.sequence for one in response.events.pages] == [1]
    assert (await foreigner.book(left())).next_sequence == 3


async def test_compensation_checks_no_sequence_and_answers_what_the_handler_said(
    foreigner: Foreigner,
) -> None:
    await foreigner.send(page("DoOne"), to=left())
    made = request(page("DoUndo", sequence=9, strategy="MERGE_STRICT"), to=left())
    response = await foreigner(COMMANDS, "HandleCompensation", made)
    assert names(response.events) == ["DoneUndo"]
    assert names(await foreigner.book(left())) == ["DoneOne", "DoneUndo"]


# §10 queries


def selection(**fields: Any) -> dict[str, Any]:
    kinds = {"range": "SequenceRange", "sequences": "SequenceSet", "temporal": "TemporalQuery"}
    return {name: google(kinds[name])(**values) for name, values in fields.items()}


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        (selection(range={"lower": 2}), [2, 3]),
        (selection(range={"lower": 1, "upper": 2}), [1, 2]),
        (selection(range={"lower": 0, "upper": 0}), [0]),
        (selection(range={"lower": 9}), []),
        (selection(sequences={"values": [3, 0, 9]}), [0, 3]),
        (selection(sequences={}), []),
        (selection(temporal={"as_of_sequence": 1}), [0, 1]),
        (selection(temporal={"as_of_sequence": 0}), [0]),
    ],
)
async def test_selections(foreigner: Foreigner, selected: dict[str, Any], expected: list[int]) -> None:
    for _ in range(4):
        await foreigner.send(page("DoOne", strategy=ANY), to=left())
    book = await foreigner.book(left(), **selected)
    assert [one.header.sequence for one in book.pages] == expected
    assert book.next_sequence == 4
    (same,) = await foreigner(
        QUERIES,
        "Synchronize",
        google("Query")(cover=left(), **selected),
        client_streaming=True,
        server_streaming=True,
    )
    assert same == book


async def test_a_query_at_a_time(foreigner: Foreigner) -> None:
    first = await foreigner.send(page("DoOne"), to=left())
    await foreigner.send(page("DoTwo", strategy=ANY), to=left())
    at = google("TemporalQuery")(as_of_time=first.events.pages[0].created_at)
    assert names(await foreigner.book(left(), temporal=at)) == ["DoneOne"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (google("Query")(), "Query must have a cover"),
        (google("Query")(cover=cover("", A)), "Query must have a domain or a correlation id"),
        (google("Query")(cover=cover("left", None)), "Cover must have a root UUID"),
        (google("Query")(cover=cover("left", b"x")), "Invalid UUID: must be 16 bytes, got 1"),
        (
            google("Query")(cover=cover("left", A), temporal=google("TemporalQuery")()),
            "Temporal query requires either as_of_sequence or as_of_time",
        ),
    ],
)
async def test_malformed_queries_are_refused(foreigner: Foreigner, query: Any, text: str) -> None:
    for method, streaming in (("GetEventBook", False), ("GetEvents", True)):
        with pytest.raises(Refused) as caught:
            await foreigner(QUERIES, method, query, server_streaming=streaming)
        assert (caught.value.code, caught.value.text) == (Code.INVALID_ARGUMENT, text)


async def test_an_unknown_root_is_an_empty_book(foreigner: Foreigner) -> None:
    book = await foreigner.book(left())
    assert (book.cover, list(book.pages), book.next_sequence) == (left(), [], 0)


async def test_books_of_a_correlation(foreigner: Foreigner) -> None:
    for root in (A, B):
        await foreigner.send(page("DoOne"), to=cover("left", root, "c-1"))
        await foreigner.send(page("DoTwo", strategy=ANY), to=cover("left", root, "c-2"))
    asked = google("Query")(cover=google("Cover")(correlation_id="c-2"))
    book = await foreigner(QUERIES, "GetEventBook", asked)
    assert (book.cover.root.value, names(book), book.next_sequence) == (A, ["DoneTwo"], 2)
    found = await foreigner(QUERIES, "GetEvents", asked, server_streaming=True)
    assert [(one.cover.root.value, one.next_sequence) for one in found] == [(A, 2), (B, 2)]
    unknown = google("Query")(cover=google("Cover")(correlation_id="c-9"))
    assert await foreigner(QUERIES, "GetEvents", unknown, server_streaming=True) == []


async def test_aggregate_roots_are_those_of_the_main_timeline(foreigner: Foreigner) -> None:
    await foreigner.send(page("DoOne"), to=cover("right", B))
    await foreigner.send(page("DoOne"), to=left())
    await foreigner.send(page("DoOne"), to=cover("left", B, edition="what-if"))
    found = await foreigner(
        QUERIES, "GetAggregateRoots", google("Empty", "google.protobuf")(), server_streaming=True
    )
    assert [(one.domain, one.root.value) for one in found] == [("left", A), ("right", B)]


async def test_a_stream_needs_a_correlation_id(foreigner: Foreigner) -> None:
    with pytest.raises(Refused) as caught:
        await foreigner(
            "EventStreamService", "Subscribe", google("EventStreamFilter")(), server_streaming=True
        )
    assert caught.value.code is Code.INVALID_ARGUMENT


# §11 editions


async def test_an_edition_diverges_where_it_says_and_main_goes_on(foreigner: Foreigner) -> None:
    for _ in range(3):
        await foreigner.send(page("DoOne", strategy=ANY), to=left())
    branch = cover("left", A, edition="what-if", left=1)
    assert (await foreigner.book(branch)).next_sequence == 1
    response = await foreigner.send(page("DoTwo", sequence=1, strategy="MERGE_STRICT"), to=branch)
    assert [one.header.sequence for one in response.events.pages] == [1]
    later = cover("left", A, edition="what-if")
    assert names(await foreigner.book(later)) == ["DoneOne", "DoneTwo"]
    assert (await foreigner.book(later)).next_sequence == 2
    assert names(await foreigner.book(left())) == ["DoneOne"] * 3


async def test_without_divergence_an_edition_is_the_whole_main_timeline(foreigner: Foreigner) -> None:
    await foreigner.send(page("DoOne"), to=left())
    branch = cover("left", A, edition="what-if")
    book = await foreigner.book(branch)
    assert (names(book), book.next_sequence, book.cover.edition.name) == (["DoneOne"], 1, "what-if")
    await foreigner.send(page("DoTwo", sequence=1, strategy="MERGE_STRICT"), to=branch)
    await foreigner.send(page("DoMain", sequence=1, strategy="MERGE_STRICT"), to=left())
    assert names(await foreigner.book(branch)) == ["DoneOne", "DoneTwo"]


@pytest.mark.parametrize("edition", ["", "angzarr"])
async def test_the_main_timeline_has_three_names(foreigner: Foreigner, edition: str) -> None:
    await foreigner.send(page("DoOne"), to=left())
    assert names(await foreigner.book(cover("left", A, edition=edition))) == ["DoneOne"]


def deletion(edition: str, domain: str = "left") -> Any:
    made = google("CommandPage")()
    made.command.Pack(google("DeleteEditionEvents")(edition=edition, domain=domain))
    return made


async def test_an_editions_events_are_deleted_in_a_domain(foreigner: Foreigner) -> None:
    await foreigner.send(page("DoOne"), to=left())
    for domain in ("left", "right"):
        await foreigner.send(page("DoTwo", strategy=ANY), to=cover(domain, A, edition="what-if"))
    response = await foreigner.send(deletion("what-if"), to=cover("_angzarr", B))
    assert list(response.events.pages) == []
    assert names(await foreigner.book(cover("left", A, edition="what-if"))) == ["DoneOne"]
    assert names(await foreigner.book(cover("right", A, edition="what-if"))) == ["DoneTwo"]


@pytest.mark.parametrize("edition", ["", "angzarr"])
async def test_the_main_timeline_cannot_be_deleted(foreigner: Foreigner, edition: str) -> None:
    with pytest.raises(Refused) as caught:
        await foreigner.send(deletion(edition), to=cover("_angzarr", B))
    assert caught.value.code is Code.INVALID_ARGUMENT


# §12 two-phase pages, §3 sync modes


async def test_a_cascades_pages_are_confirmed(both: tuple[EmbeddedCoordinator, Foreigner]) -> None:
    running, foreigner = both
    response = await foreigner.send(page("DoOne"), to=left(), cascade_id="k-1")
    assert (response.events.pages[0].no_commit, response.events.pages[0].cascade_id) == (True, "k-1")
    await running.settle(30)
    book = await foreigner.book(left())
    assert names(book) == ["DoneOne", "Confirmation"]
    assert [one.no_commit for one in book.pages] == [False, False]


def seats(*, refuse: bool = False) -> dict[str, Any]:
    saga = Saga({"DoneOne": lambda _: [order("right", B, "DoIt")]})
    right = Domain(refuse={"DoIt": grpclib_refusal()} if refuse else {})
    return {"handlers": {"left": Domain(), "right": right}, "sagas": {"s": ("left", saga)}, "config": FAST}


def grpclib_refusal() -> Any:
    from grpclib import GRPCError
    from grpclib.const import Status

    return GRPCError(Status.FAILED_PRECONDITION, "no seat")


async def test_cascade_answers_when_everything_is_done() -> None:
    async with visited(**seats()) as (_, foreigner):
        await foreigner.send(page("DoOne"), to=left(), sync_mode=2)
        assert names(await foreigner.book(cover("right", B))) == ["DoneIt"]


@pytest.mark.parametrize("errors", [0, 1, 2, 3])
async def test_cascade_error_modes(errors: int) -> None:
    async with visited(**seats(refuse=True)) as (running, foreigner):
        made = request(page("DoOne"), to=left(), sync_mode=2, cascade_error_mode=errors)
        if errors in {0, 2}:
            with pytest.raises(Refused) as caught:
                await foreigner(COMMANDS, "HandleCommand", made)
            assert (caught.value.code, caught.value.text) == (Code.FAILED_PRECONDITION, "no seat")
        else:
            await foreigner(COMMANDS, "HandleCommand", made)
        assert ("x-angzarr-cascade-errors" in foreigner.trailing) == (errors in {1, 3})
        assert len(await running.dead_letters()) == (1 if errors == 3 else 0)
