"""The command builder."""

import uuid
from datetime import UTC, datetime

import betterproto
import pytest

from angzarr.client import CommandBuilder, CommandHandlerClient
from angzarr.codec import encode, has_field
from angzarr.errors import InvalidArgumentError, UnregisteredMessageError
from angzarr.messages import (
    CascadeErrorMode,
    CommandResponse,
    Cover,
    EventBook,
    MergeStrategy,
    Query,
    SequenceRange,
    SyncMode,
)
from tests.client.stubs import Recording

ROOT = uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")
URL = "type.googleapis.com/example.Foo"


def builder(stub: object = None) -> CommandBuilder:
    return CommandHandlerClient.from_stub(stub or Recording()).command("player", ROOT)


def test_a_command_is_a_book_of_one_page() -> None:
    book = builder().with_command(URL, b"\x01").with_sequence(3).with_correlation_id("corr").build()
    assert book.cover.domain == "player"
    assert book.cover.root.value == ROOT.bytes
    assert book.cover.correlation_id == "corr"
    assert not has_field(book.cover, "edition")
    assert len(book.pages) == 1
    page = book.pages[0]
    assert page.header.sequence == 3
    assert page.merge_strategy is MergeStrategy.MERGE_COMMUTATIVE
    assert (page.command.type_url, page.command.value) == (URL, b"\x01")


def test_no_sequence_means_zero_and_says_so_on_the_wire() -> None:
    header = builder().with_command(URL, b"").build().pages[0].header
    assert header.sequence == 0
    assert betterproto.which_one_of(header, "sequence_type")[0] == "sequence"
    assert encode(header) == b"\x08\x00"


def test_a_message_alone_gives_the_type_url() -> None:
    command = builder().with_command(SequenceRange(lower=5)).build().pages[0].command
    assert command.type_url == "type.googleapis.com/angzarr_client.proto.angzarr.SequenceRange"
    assert command.value == b"\x08\x05"


def test_a_type_url_is_sent_as_it_is_given() -> None:
    command = builder().with_command("example.Foo", SequenceRange(lower=5)).build().pages[0].command
    assert (command.type_url, command.value) == ("example.Foo", b"\x08\x05")


def test_the_message_is_encoded_at_once() -> None:
    message = SequenceRange(lower=5)
    built = builder().with_command(message)
    message.lower = 6
    assert built.build().pages[0].command.value == b"\x08\x05"


def test_a_foreign_message_is_serialised_its_own_way() -> None:
    class Foreign:
        def SerializeToString(self) -> bytes:
            return b"foreign"

    assert builder().with_command(URL, Foreign()).build().pages[0].command.value == b"foreign"


@pytest.mark.parametrize("given", ["", None])
def test_an_empty_or_missing_correlation_id_becomes_a_fresh_uuid(given: str | None) -> None:
    built = builder().with_command(URL, b"")
    if given is not None:
        built.with_correlation_id(given)
    first, second = built.build(), built.build()
    assert uuid.UUID(first.cover.correlation_id).version == 4
    assert first.cover.correlation_id != second.cover.correlation_id


def test_the_last_setter_counts() -> None:
    built = builder().with_sequence(1).with_sequence(2).with_command(URL, b"1").with_command(URL, b"2")
    page = built.build().pages[0]
    assert (page.header.sequence, page.command.value) == (2, b"2")


def test_two_books_of_one_builder_share_nothing() -> None:
    built = builder().with_command(URL, b"")
    first, second = built.build(), built.build()
    first.pages[0].header.sequence = 9
    assert second.pages[0].header.sequence == 0


@pytest.mark.parametrize("url", [None, ""])
def test_a_missing_type_url_is_told_first(url: str | None) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^command type_url not set$") as raised:
        builder().with_command(url, None).build()
    assert raised.value.code == "COMMAND_TYPE_URL_MISSING"


def test_a_missing_payload_is_told() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^command payload not set$") as raised:
        builder().with_command(URL, None).build()
    assert raised.value.code == "COMMAND_PAYLOAD_MISSING"


def test_nothing_set_lacks_the_type_url() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        builder().build()
    assert raised.value.code == "COMMAND_TYPE_URL_MISSING"


@pytest.mark.parametrize("sequence", [-1, 2**32, 1.5, "1", True, None])
def test_an_impossible_sequence_is_refused(sequence: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        builder().with_sequence(sequence)  # type: ignore[arg-type]
    assert raised.value.details["field"] == "sequence"


def test_a_class_without_a_name_is_refused_with_the_remedy() -> None:
    class Unknown(betterproto.Message):
        pass

    with pytest.raises(UnregisteredMessageError, match="register_package"):
        builder().with_command(Unknown())


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        builder().with_command(URL, datetime.now(UTC))
    assert raised.value.details["field"] == "message"


async def test_execute_sends_the_command_asynchronously_by_default() -> None:
    stub = Recording(CommandResponse(events=EventBook(next_sequence=1)))
    response = await builder(stub).with_command(URL, b"").with_correlation_id("corr").execute()
    assert response.events.next_sequence == 1
    assert stub.names == ["handle_command"]
    assert stub.last.sync_mode is SyncMode.ASYNC
    assert stub.last.cascade_error_mode is CascadeErrorMode.CASCADE_ERROR_FAIL_FAST
    assert stub.last.cascade_id is None
    assert stub.calls[0][2:] == (None, [("x-correlation-id", "corr")])


async def test_execute_takes_modes_and_timeout() -> None:
    stub = Recording(CommandResponse())
    await (
        builder(stub)
        .with_command(URL, b"")
        .execute(SyncMode.CASCADE, 2.0, CascadeErrorMode.CASCADE_ERROR_COMPENSATE)
    )
    assert stub.last.sync_mode is SyncMode.CASCADE
    assert stub.last.cascade_error_mode is CascadeErrorMode.CASCADE_ERROR_COMPENSATE
    assert 1.9 < (stub.calls[0][2] or 0) <= 2.0


async def test_execute_builds_first_and_sends_nothing_incomplete() -> None:
    stub = Recording()
    with pytest.raises(InvalidArgumentError):
        await builder(stub).execute()
    assert stub.calls == []


def asking(queries: Recording) -> CommandBuilder:
    client = CommandHandlerClient.from_stub(queries)
    return client.command("player", ROOT).with_command(URL, b"")


async def test_at_current_sequence_reads_the_aggregates_next_one_and_no_event() -> None:
    queries = Recording(EventBook(next_sequence=12))
    built = await asking(queries).at_current_sequence()
    assert built.build().pages[0].header.sequence == 12
    assert queries.names == ["get_event_book"]
    assert queries.last == Query(
        cover=Cover(domain="player", root=built.build().cover.root), range=SequenceRange(lower=2**32 - 1)
    )


@pytest.mark.parametrize(
    ("tail", "history", "expected"),
    [
        (EventBook(), EventBook(), 0),
        (EventBook(), EventBook(next_sequence=7), 7),
        (EventBook(next_sequence=2**32 - 1), EventBook(next_sequence=7), 7),
    ],
)
async def test_at_current_sequence_reads_the_history_of_coordinators_that_do_not_say(
    tail: EventBook, history: EventBook, expected: int
) -> None:
    queries = Recording(tail, history)
    built = await asking(queries).at_current_sequence()
    assert built.build().pages[0].header.sequence == expected
    assert queries.last == Query(cover=Cover(domain="player", root=built.build().cover.root))


async def test_at_current_sequence_needs_somebody_to_ask() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        await builder(object()).at_current_sequence()
    assert "DomainClient" in raised.value.details["cause"]


def test_command_new_makes_a_fresh_root() -> None:
    client = CommandHandlerClient.from_stub(Recording())
    one = client.command_new("player").with_command(URL, b"").build()
    two = client.command_new("player").with_command(URL, b"").build()
    assert uuid.UUID(bytes=one.cover.root.value).version == 4
    assert one.cover.root.value != two.cover.root.value


def test_a_root_is_required() -> None:
    with pytest.raises(TypeError):
        CommandBuilder(CommandHandlerClient.from_stub(Recording()), "player")  # type: ignore[call-arg]
