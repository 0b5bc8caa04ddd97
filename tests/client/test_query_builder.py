"""The query builder."""

import uuid
from datetime import UTC, datetime

import betterproto
import pytest

from angzarr.client import QueryBuilder, QueryClient
from angzarr.codec import has_field
from angzarr.errors import InvalidArgumentError, InvalidTimestampError
from angzarr.messages import EventBook, EventPage, Query
from tests.client.stubs import Recording

ROOT = uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")


def builder(stub: object = None) -> QueryBuilder:
    return QueryClient.from_stub(stub or Recording()).query("player", ROOT)


def selection(query: Query) -> tuple[str, object]:
    found: tuple[str, object] = betterproto.which_one_of(query, "selection")
    return found


def test_a_query_without_a_selection_asks_for_everything() -> None:
    query = builder().build()
    assert query.cover.domain == "player"
    assert query.cover.root.value == ROOT.bytes
    assert query.cover.correlation_id == ""
    assert not has_field(query.cover, "edition")
    assert selection(query)[0] == ""


def test_a_range_has_no_upper_end() -> None:
    query = builder().range(0).build()
    assert selection(query)[0] == "range"
    assert (query.range.lower, query.range.upper) == (0, None)


def test_range_to_has_both_ends() -> None:
    query = builder().range_to(2, 0).build()
    assert (query.range.lower, query.range.upper) == (2, 0)


def test_single_sequences_can_be_selected() -> None:
    assert builder().sequences(3, 1).build().sequences.values == [3, 1]


def test_as_of_sequence_zero_is_a_point_in_time() -> None:
    query = builder().as_of_sequence(0).build()
    assert betterproto.which_one_of(query.temporal, "point_in_time") == ("as_of_sequence", 0)


@pytest.mark.parametrize(
    "when", ["2024-01-15T10:30:00Z", "2024-01-15T12:30:00+02:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)]
)
def test_as_of_time_takes_text_or_a_datetime(when: str | datetime) -> None:
    assert builder().as_of_time(when).build().temporal.as_of_time == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def test_the_last_selection_counts() -> None:
    assert selection(builder().as_of_sequence(10).range(5).build())[0] == "range"
    assert selection(builder().range(5).as_of_sequence(10).build())[0] == "temporal"


@pytest.mark.parametrize("when", ["yesterday", "", None, datetime(2024, 1, 15, 10, 30)])
def test_a_bad_time_is_refused_at_once_and_changes_nothing(when: object) -> None:
    built = builder().range(5)
    with pytest.raises(InvalidTimestampError) as raised:
        built.as_of_time(when)  # type: ignore[arg-type]
    assert raised.value.code == "INVALID_TIMESTAMP"
    assert selection(built.build())[0] == "range"


@pytest.mark.parametrize("sequence", [-1, 2**32, "1", None])
def test_an_impossible_sequence_is_refused(sequence: object) -> None:
    with pytest.raises(InvalidArgumentError):
        builder().range(sequence)  # type: ignore[arg-type]


def test_a_query_by_correlation_id_has_no_root() -> None:
    query = builder().by_correlation_id("corr").build()
    assert query.cover.correlation_id == "corr"
    assert not has_field(query.cover, "root")


def test_an_edition_is_named() -> None:
    assert builder().edition("what-if").build().cover.edition.name == "what-if"
    assert builder().with_edition("what-if").build().cover.edition.name == "what-if"
    assert not has_field(builder().edition("").build().cover, "edition")


def test_two_queries_of_one_builder_share_nothing() -> None:
    built = builder().range(1)
    first, second = built.build(), built.build()
    first.range.lower = 9
    assert second.range.lower == 1


def test_query_domain_has_no_root() -> None:
    assert not has_field(QueryClient.from_stub(Recording()).query_domain("player").build().cover, "root")


async def test_get_event_book_executes() -> None:
    stub = Recording(EventBook(next_sequence=4))
    assert (await builder(stub).range(1).get_event_book()).next_sequence == 4
    assert stub.last.range.lower == 1


async def test_get_events_executes() -> None:
    stub = Recording([EventBook(next_sequence=1), EventBook(next_sequence=2)])
    assert [book.next_sequence for book in await builder(stub).get_events()] == [1, 2]


async def test_get_pages_gives_the_books_pages() -> None:
    stub = Recording(EventBook(pages=[EventPage(no_commit=True)]))
    assert [page.no_commit for page in await builder(stub).get_pages()] == [True]
