import uuid
from datetime import UTC, datetime

import pytest

from angzarr.messages import Cover, EventPage, MergeStrategy, NoOp, frozen, has_field
from angzarr.testing import (
    DEFAULT_TEST_NAMESPACE,
    make_command_book,
    make_command_page,
    make_cover,
    make_event_book,
    make_event_page,
    make_timestamp,
    pack_event,
    testing_pack_event,
    uuid_for,
    uuid_obj_for,
    uuid_str_for,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROOTS = {
    "alice": "8e415de542f65dbc93694846af13f94b",
    "player-1": "6d9f1c70074953cf8330ccfdf16aa72f",
    "table-1": "de2b7ae84b68570ba3e61cc8610dcfea",
    "order-42": "bf1cb62ec5f35fd986552136859f9b17",
    "empty-str": "209192ada8d65340b7f90f0af561b918",
    "": "3639b375977956168e43a967e6cdf609",
    "test-root": "1596515c79c357278c0e26e3ccf145c6",
    "player-alice": "a4ddc753b7f25facb7c5ea441ec6c4fb",
}


def test_the_test_namespace_is_the_reference_clients() -> None:
    assert uuid.UUID("a1b2c3d4-e5f6-7890-abcd-ef1234567890") == DEFAULT_TEST_NAMESPACE


@pytest.mark.parametrize(("name", "root"), ROOTS.items())
def test_a_name_always_gets_the_same_root(name: str, root: str) -> None:
    assert uuid_for(name).hex() == root


def test_the_three_forms_of_a_root_agree() -> None:
    assert uuid_str_for("alice") == "8e415de5-42f6-5dbc-9369-4846af13f94b"
    assert uuid_obj_for("alice") == uuid.UUID("8e415de542f65dbc93694846af13f94b")


def test_another_namespace_gives_another_root() -> None:
    assert uuid_for("alice", uuid.NAMESPACE_DNS).hex() == "c2ef90b902bc5d5393cd92652b6e1b41"
    assert uuid_str_for("alice", uuid.NAMESPACE_DNS) == "c2ef90b9-02bc-5d53-93cd-92652b6e1b41"


def test_the_timestamp_obeys_the_frozen_clock() -> None:
    with frozen(NOON):
        assert make_timestamp() == NOON


def test_an_event_is_packed_under_its_full_name() -> None:
    packed = pack_event(NoOp(original_sequence=3))
    assert packed.type_url == "type.googleapis.com/angzarr_client.proto.angzarr.NoOp"
    assert packed.value == b"\x08\x03"
    assert testing_pack_event is pack_event


def test_a_cover_has_domain_root_and_correlation_id() -> None:
    cover = make_cover("player", b"r" * 16, "corr")
    assert (cover.domain, cover.root.value, cover.correlation_id) == ("player", b"r" * 16, "corr")
    assert not has_field(cover, "edition")


def test_a_covers_root_is_present_even_when_empty() -> None:
    assert has_field(make_cover("player", b""), "root")


def test_an_event_page_has_an_explicit_sequence_and_is_created_now() -> None:
    event = pack_event(NoOp())
    with frozen(NOON):
        page = make_event_page(0, event)
    assert has_field(page.header, "sequence")
    assert (page.header.sequence, page.event, page.created_at) == (0, event, NOON)


def test_a_book_counts_its_pages() -> None:
    book = make_event_book(Cover(domain="d"), [EventPage(), EventPage()])
    assert (book.cover.domain, len(book.pages), book.next_sequence) == ("d", 2, 2)


def test_a_book_has_no_pages_by_default() -> None:
    book = make_event_book(Cover(domain="d"))
    assert (book.pages, book.next_sequence) == ([], 0)


def test_an_explicit_next_sequence_of_zero_is_kept() -> None:
    assert make_event_book(Cover(), [EventPage()], next_sequence=0).next_sequence == 0


def test_a_command_page_has_an_explicit_sequence_and_is_commutative() -> None:
    page = make_command_page(4, pack_event(NoOp()))
    assert (page.header.sequence, page.merge_strategy) == (4, MergeStrategy.MERGE_COMMUTATIVE)


def test_a_command_book_has_one_page_at_sequence_zero() -> None:
    command = pack_event(NoOp())
    book = make_command_book(Cover(domain="d"), command)
    (page,) = book.pages
    assert (book.cover.domain, page.command, page.header.sequence) == ("d", command, 0)
    assert has_field(page.header, "sequence")


def test_a_command_book_takes_the_sequence_it_is_given() -> None:
    assert make_command_book(Cover(), pack_event(NoOp()), 7).pages[0].header.sequence == 7
