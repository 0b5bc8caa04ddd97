import uuid

import pytest

import angzarr.messages as m
from angzarr import codec

ROOT = uuid.UUID("8e415de5-42f6-5dbc-9369-4846af13f94b")
COVER = m.Cover(
    domain="player", root=m.UUID(value=ROOT.bytes), correlation_id="corr-1", edition=m.Edition(name="what-if")
)
BEARERS: list[m.CoverBearer] = [
    COVER,
    m.EventBook(cover=COVER),
    m.CommandBook(cover=COVER),
    m.Query(cover=COVER),
    m.Projection(cover=COVER),
    m.Notification(cover=COVER),
]
EMPTY: list[m.CoverBearer] = [
    m.Cover(),
    m.EventBook(),
    m.CommandBook(),
    m.Query(),
    m.Projection(),
    m.Notification(),
]


@pytest.mark.parametrize("bearer", BEARERS, ids=lambda b: type(b).__name__)
def test_every_bearer_says_what_its_cover_says(bearer: m.CoverBearer) -> None:
    assert m.domain_of(bearer) == "player"
    assert m.routing_key(bearer) == "player"
    assert m.correlation_id_of(bearer) == "corr-1"
    assert m.has_correlation_id(bearer) is True
    assert m.root_uuid_of(bearer) == ROOT
    assert m.root_hex_of(bearer) == "8e415de542f65dbc93694846af13f94b"
    assert m.edition_of(bearer) == "what-if"
    assert m.cache_key(bearer) == "what-if:player:8e415de542f65dbc93694846af13f94b"


@pytest.mark.parametrize("bearer", EMPTY, ids=lambda b: type(b).__name__)
def test_what_is_missing_has_its_neutral_answer(bearer: m.CoverBearer) -> None:
    assert m.domain_of(bearer) == "unknown"
    assert m.correlation_id_of(bearer) == ""
    assert m.has_correlation_id(bearer) is False
    assert m.root_uuid_of(bearer) is None
    assert m.root_hex_of(bearer) == ""
    assert m.edition_of(bearer) is None
    assert m.cache_key(bearer) == ":unknown:"


def test_asking_does_not_make_a_cover() -> None:
    book = m.EventBook()
    m.cache_key(book)
    assert not codec.has_field(book, "cover")
    assert codec.encode(book) == b""


def test_a_root_of_another_length_has_hex_but_no_uuid() -> None:
    cover = m.Cover(root=m.UUID(value=b"\x01\x02"))
    assert m.root_uuid_of(cover) is None
    assert m.root_hex_of(cover) == "0102"


def test_a_correlation_id_becomes_metadata() -> None:
    assert m.correlated_metadata("corr-1") == [("x-correlation-id", "corr-1")]


def test_no_correlation_id_becomes_no_metadata() -> None:
    assert m.correlated_metadata("") == []


def test_destinations_are_found_by_root() -> None:
    first, second = m.EventBook(cover=COVER, next_sequence=1), m.EventBook(cover=COVER, next_sequence=2)
    rootless = m.EventBook(cover=m.Cover(domain="player"))
    assert m.destination_map([first, rootless, m.EventBook(), second]) == {
        "8e415de542f65dbc93694846af13f94b": second
    }


def test_a_new_cover_takes_a_uuid_or_bytes() -> None:
    assert m.new_cover("player", ROOT) == m.new_cover("player", ROOT.bytes)
    assert m.new_cover("player", ROOT, "corr-1", "what-if") == COVER


def test_an_implicit_edition_has_no_divergences() -> None:
    assert m.implicit_edition("what-if") == m.Edition(name="what-if")


def test_the_first_divergence_of_a_domain_counts() -> None:
    edition = m.Edition(
        name="what-if",
        divergences=[
            m.DomainDivergence(domain="table", sequence=3),
            m.DomainDivergence(domain="player", sequence=5),
            m.DomainDivergence(domain="player", sequence=9),
        ],
    )
    assert m.divergence_for(edition, "player") == 5
    assert m.divergence_for(edition, "hand") is None
    assert m.divergence_for(None, "player") is None


def test_an_idempotency_key_names_the_source() -> None:
    deferred = m.AngzarrDeferredSequence(source=COVER, source_seq=7)
    assert m.idempotency_key(deferred) == "what-if:player:8e415de542f65dbc93694846af13f94b:7"


def test_without_a_source_there_is_no_idempotency_key() -> None:
    assert m.idempotency_key(m.AngzarrDeferredSequence(source_seq=7)) is None
