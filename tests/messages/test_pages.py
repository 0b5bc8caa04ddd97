from betterproto.lib.google.protobuf import Any

import angzarr.messages as m

EVENT = m.pack(m.Target(domain="player"))
EVENT_PAGE = m.EventPage(header=m.PageHeader(sequence=3), event=EVENT)
COMMAND_PAGE = m.CommandPage(
    header=m.PageHeader(sequence=4), merge_strategy=m.MergeStrategy.MERGE_STRICT, command=EVENT
)
DEFERRED: list[m.EventPage | m.CommandPage] = [
    m.EventPage(header=m.PageHeader(external_deferred=m.ExternalDeferredSequence(external_id="x"))),
    m.CommandPage(header=m.PageHeader(angzarr_deferred=m.AngzarrDeferredSequence(source_seq=9))),
]


def test_a_page_has_its_explicit_sequence() -> None:
    assert m.sequence_of(EVENT_PAGE) == 3
    assert m.sequence_of(COMMAND_PAGE) == 4


def test_a_page_without_explicit_sequence_is_at_zero() -> None:
    assert [m.sequence_of(page) for page in (m.EventPage(), *DEFERRED)] == [0, 0, 0]


def test_deferred_headers_are_recognised() -> None:
    assert [m.is_deferred(page) for page in (EVENT_PAGE, m.EventPage(), *DEFERRED)] == [
        False,
        False,
        True,
        True,
    ]


def test_a_page_tells_its_payload() -> None:
    assert m.type_url_of(EVENT_PAGE) == "type.googleapis.com/angzarr_client.proto.angzarr.Target"
    assert m.payload_of(EVENT_PAGE) == b"\x0a\x06player"
    assert m.decode_page(EVENT_PAGE, m.Target) == m.Target(domain="player")
    assert m.decode_page(COMMAND_PAGE, m.Target) == m.Target(domain="player")


def test_an_external_payload_is_not_inline() -> None:
    page = m.EventPage(external=m.PayloadReference(uri="s3://x"))
    assert (m.type_url_of(page), m.payload_of(page), m.decode_page(page, m.Target)) == (None, None, None)


def test_a_page_of_another_type_is_not_decoded() -> None:
    assert m.decode_page(EVENT_PAGE, m.Cover) is None


def test_a_page_that_cannot_be_decoded_is_none() -> None:
    broken = m.EventPage(event=Any(type_url=m.full_type_url(m.Target), value=b"\x0a\x06pl"))
    assert m.decode_page(broken, m.Target) is None
    assert m.decode_event(broken, "angzarr_client.proto.angzarr.Target", m.Target) is None


def test_an_event_is_decoded_by_exact_name() -> None:
    assert m.decode_event(EVENT_PAGE, "angzarr_client.proto.angzarr.Target", m.Target) == m.Target(
        domain="player"
    )
    assert m.decode_event(EVENT_PAGE, "Target", m.Target) is None


def test_a_no_op_page_holds_a_place() -> None:
    assert m.is_no_op(m.EventPage(event=Any(type_url="type.angzarr.io/angzarr.NoOp")))
    assert not m.is_no_op(EVENT_PAGE)
    assert not m.is_no_op(m.EventPage())


def test_a_book_tells_its_ends() -> None:
    book = m.EventBook(pages=[EVENT_PAGE, m.EventPage()], next_sequence=5)
    assert (m.first_page(book), m.last_page(book)) == (EVENT_PAGE, m.EventPage())
    assert (m.next_sequence_of(book), m.is_empty(book)) == (5, False)


def test_an_empty_book_has_no_ends() -> None:
    assert (m.first_page(m.EventBook()), m.last_page(m.EventBook()), m.first_command(m.CommandBook())) == (
        None,
        None,
        None,
    )
    assert m.is_empty(m.CommandBook())
    assert m.next_sequence_of(m.EventBook()) == 0


def test_a_command_book_speaks_for_its_first_page() -> None:
    book = m.CommandBook(pages=[COMMAND_PAGE, m.CommandPage()])
    assert m.first_command(book) == COMMAND_PAGE
    assert m.command_sequence_of(book) == 4
    assert m.merge_strategy_of(book) is m.MergeStrategy.MERGE_STRICT
    assert m.merge_strategy_of(m.CommandPage()) is m.MergeStrategy.MERGE_COMMUTATIVE


def test_an_empty_command_book_is_commutative_at_zero() -> None:
    assert m.command_sequence_of(m.CommandBook()) == 0
    assert m.merge_strategy_of(m.CommandBook()) is m.MergeStrategy.MERGE_COMMUTATIVE


def test_a_response_lists_its_events() -> None:
    assert m.events_of(m.CommandResponse(events=m.EventBook(pages=[EVENT_PAGE]))) == [EVENT_PAGE]
    assert m.events_of(m.CommandResponse()) == []
    assert m.events_of(None) == []


def test_enum_members_go_by_both_names() -> None:
    simple: m.SyncMode = m.SyncMode.SIMPLE
    assert m.SyncMode.SYNC_MODE_SIMPLE is simple
    assert {mode.name for mode in m.SyncMode} == {"ASYNC", "SIMPLE", "CASCADE", "DECISION", "ISOLATED"}
    assert m.SnapshotRetention.RETENTION_PERSIST.value == 1
    assert m.CascadeErrorMode.CASCADE_ERROR_DEAD_LETTER.value == 3
    assert m.PayloadStorageType.PAYLOAD_STORAGE_TYPE_S3.value == 3
