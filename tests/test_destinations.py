import hashlib
import uuid

import pytest

import angzarr.messages as m
from angzarr import codec
from angzarr.destinations import Destinations
from angzarr.errors import InvalidArgumentError

ROOT = uuid.UUID("8e415de5-42f6-5dbc-9369-4846af13f94b")
SOURCE = m.Cover(
    domain="player", root=m.UUID(value=ROOT.bytes), correlation_id="corr-1", edition=m.Edition(name="what-if")
)


def golden_command() -> m.CommandBook:
    return m.CommandBook(
        cover=m.Cover(domain="saga-x", root=m.UUID(value=bytes(range(16))), correlation_id="corr-1"),
        pages=[
            m.CommandPage(
                command=m.Any(type_url="type.googleapis.com/example.Foo", value=bytes.fromhex("01020304"))
            )
        ],
    )


def test_a_stamped_command_has_the_bytes_every_client_language_writes() -> None:
    stamped = Destinations({"inventory": 5}).stamp_command(golden_command(), "inventory")
    data = codec.encode(stamped)
    assert data.hex() == (
        "0a240a120a10000102030405060708090a0b0c0d0e0f1206736167612d781a06636f72722d31122d0a0208051a270a1f"
        "747970652e676f6f676c65617069732e636f6d2f6578616d706c652e466f6f120401020304"
    )
    assert (
        hashlib.sha256(data).hexdigest() == "8a6da2dfa422553d73fcd840f6ad501c91ac6ffcac2f591183146ab6c042ace9"
    )


def test_stamping_replaces_a_deferred_header_and_returns_the_same_book() -> None:
    command = golden_command()
    command.pages[0].header = Destinations.deferred_header(SOURCE, 3)
    assert Destinations({"inventory": 0}).stamp_command(command, "inventory") is command
    assert m.sequence_of(command.pages[0]) == 0
    assert not m.is_deferred(command.pages[0])


def test_stamping_for_an_unknown_domain_names_it() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Destinations({"inventory": 5}).stamp_command(golden_command(), "table")
    assert (caught.value.code, caught.value.details) == ("MISSING_DESTINATION_SEQUENCE", {"domain": "table"})
    assert str(caught.value) == "no sequence for destination domain"


def test_zero_is_a_sequence_and_none_is_not() -> None:
    destinations = Destinations({"table": 0})
    assert destinations.sequence_for("table") == 0
    assert destinations.sequence_for("hand") is None
    assert destinations.has_domain("table")
    assert not destinations.has_domain("")


def test_domains_keep_their_order() -> None:
    assert Destinations({"table": 1, "hand": 2}).domains == ["table", "hand"]


def test_the_given_sequences_are_kept_and_the_wire_map_is_copied() -> None:
    sequences = {"table": 1}
    assert Destinations(sequences).sequences is sequences
    assert Destinations.from_proto(sequences).sequences is not sequences


def test_a_deferred_header_holds_a_copy_of_its_source() -> None:
    header = Destinations.deferred_header(SOURCE, 3)
    assert header.angzarr_deferred == m.AngzarrDeferredSequence(source=SOURCE, source_seq=3)
    assert header.angzarr_deferred.source is not SOURCE


def test_a_command_for_another_aggregate_belongs_to_the_trigger() -> None:
    destinations = Destinations({}, source=SOURCE, source_seq=3)
    book = destinations.command_for("table", ROOT, m.Target(domain="x"))
    assert book.cover == m.Cover(
        domain="table",
        root=m.UUID(value=ROOT.bytes),
        correlation_id="corr-1",
        edition=m.Edition(name="what-if"),
    )
    [page] = book.pages
    assert page.header.angzarr_deferred == m.AngzarrDeferredSequence(source=SOURCE, source_seq=3)
    assert page.merge_strategy is m.MergeStrategy.MERGE_COMMUTATIVE
    assert m.decode_page(page, m.Target) == m.Target(domain="x")


def test_an_explicit_sequence_replaces_the_deferred_header() -> None:
    book = Destinations({}, source=SOURCE).command_for(
        "table",
        ROOT.bytes,
        m.Target(),
        sequence=0,
        merge_strategy=m.MergeStrategy.MERGE_STRICT,
        sync_mode=m.SyncMode.SIMPLE,
    )
    [page] = book.pages
    assert codec.has_field(page.header, "sequence")
    assert page.header.sync_mode is m.SyncMode.SIMPLE
    assert page.merge_strategy is m.MergeStrategy.MERGE_STRICT


def test_a_root_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="got 3 bytes") as caught:
        Destinations({}).command_for("table", b"abc", m.Target())
    assert caught.value.details == {"field": "root"}
