"""The bytes paths of sagas and projectors call what the message paths call and answer what they answer."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr import codec
from angzarr.destinations import Destinations
from angzarr.errors import DecodeError
from angzarr.messages import (
    AngzarrDeferredSequence,
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    PageHeader,
    PayloadReference,
    SagaHandleRequest,
    Snapshot,
    encode,
    pack,
)
from angzarr.messages import Any as PackedAny
from angzarr.router import handles, projector, rejected, saga
from tests.bank.messages import Account, AccountViewed, Deposit, Deposited, SendWelcome, Statement, Withdrawn
from tests.router.helpers import (
    OTHER,
    book,
    command,
    cover,
    mutated,
    notification,
    page,
    projector_router,
    saga_router,
)
from tests.router.paths import both

calls: list[tuple[Any, ...]] = []
"""What the handlers were called with."""


@saga(name="telling", source="account", target="mail")
class Telling:
    @handles(Deposited)
    def deposited(
        self, event: Deposited, destinations: Destinations, source_seq: int, source_cover: Cover | None
    ) -> CommandBook:
        calls.append(("deposited", event.amount, source_seq, destinations.sequences, source_cover))
        return destinations.command_for("mail", OTHER, SendWelcome(deposits=event.amount))

    @handles(Withdrawn)
    async def withdrawn(self, event: Withdrawn) -> EventBook:
        calls.append(("withdrawn", event.amount))
        return EventBook(cover=cover("mail", correlation_id=""), pages=[page(event)])

    @rejected("mail", "Deposit")
    def refused(self, notification: Any, source_seq: int) -> None:
        calls.append(("refused", source_seq))


@saga(name="elsewhere", source="x", target="mail")
class Elsewhere:
    @handles(Deposited)
    def deposited(self, event: Deposited, destinations: Destinations) -> None:
        calls.append(("elsewhere", event.amount))


@projector(name="one", domains=["account"])
class One:
    @handles(Deposited)
    def deposited(self, event: Deposited, cover: Cover, correlation_id: str) -> Statement:
        calls.append(("one", event.amount, cover, correlation_id))
        return Statement()

    @handles(Withdrawn)
    def withdrawn(self, event: Withdrawn) -> None:
        calls.append(("one", event.amount))


@projector(name="all", domains=["*"])
class All:
    @handles(Deposited)
    async def deposited(self, event: Deposited, speculative: bool) -> None:
        calls.append(("all", event.amount, speculative))


SAGAS = saga_router(Telling, Elsewhere)
PROJECTORS = projector_router(One, All)


async def same(data: bytes, book_data: bytes) -> None:
    for router, asked in ((SAGAS, data), (PROJECTORS, book_data)):
        over_messages, over_bytes = await both(router, asked, calls)
        assert over_bytes == over_messages


events = st.sampled_from(
    [
        Deposited(amount=3),
        Deposited(amount=300, balance=7),
        Deposited(),
        Withdrawn(amount=1),
        AccountViewed(viewer="x"),
        AccountViewed(viewer="y" * 200),
        notification(command(Deposit(), of=cover(domain="mail"))),
    ]
)
ODD = (
    EventPage(),
    EventPage(external=PayloadReference(uri="s3://x")),
    EventPage(event=PackedAny(value=b"x")),
    EventPage(event=PackedAny(type_url="type.googleapis.com/")),
    EventPage(event=PackedAny(type_url="bank.Deposited", value=b"\x08\x05")),
    EventPage(event=PackedAny(type_url="type.googleapis.com/bank.Deposited", value=b"\x08")),
    EventPage(event=pack(Deposited(amount=9)), no_commit=True, cascade_id="c"),
    EventPage(
        header=PageHeader(angzarr_deferred=AngzarrDeferredSequence(source=cover("order"), source_seq=41)),
        event=pack(Deposited(amount=9)),
    ),
)


@st.composite
def books(draw: st.DrawFn) -> EventBook:
    start = draw(st.sampled_from([0, 0, 5, 126, 2**14, 2**28 - 2, 2**32 - 40]))
    made = book(*draw(st.lists(events, max_size=6)), start=start)
    made.cover = cover(domain=draw(st.sampled_from(["account", "account", "x", "y", ""])))
    for odd in draw(st.lists(st.sampled_from(ODD), max_size=2)) if draw(st.integers(0, 3)) == 0 else ():
        made.pages.insert(draw(st.integers(0, len(made.pages))), odd)
    if draw(st.integers(0, 4)) == 0:
        made = EventBook(pages=made.pages, next_sequence=made.next_sequence)
    if draw(st.integers(0, 4)) == 0:
        made.snapshot = Snapshot(sequence=2, state=pack(Account(owner="o")))
    return made


def asked(source: EventBook | None, sequences: dict[str, int] | None = None) -> bytes:
    made = SagaHandleRequest(destination_sequences=sequences or {})
    if source is not None:
        made.source = source
    return encode(made)


@given(source=books(), sequences=st.sampled_from([{}, {"mail": 0}, {"mail": 3, "x": 300}]))
@settings(max_examples=150, deadline=None)
async def test_both_paths_do_the_same(source: EventBook, sequences: dict[str, int]) -> None:
    await same(asked(source, sequences), encode(source))


@given(
    data=mutated(books().map(lambda source: asked(source, {"mail": 3}))),
    book_data=mutated(books().map(encode)),
)
@settings(max_examples=150, deadline=None)
@example(data=b"", book_data=b"")
@example(data=b"\x0a", book_data=b"\x0a")
@example(data=b"\x0a\x00", book_data=b"\x1a\x00")
@example(data=b"\x0a\x80\x80\x80\x80", book_data=b"\x1a\x80")
@example(data=b"\x0a\x00\x0a\x02\x1a\x00", book_data=b"\x30\x01\x1a\x00")
@example(data=b"\x0a\xff\xff\xff\x7f", book_data=b"\x1a\xff\xff\xff\x7f")
@example(data=b"\x0a\x01\x30\x22\x00", book_data=b"\x30")
async def test_both_paths_do_the_same_with_mutated_bytes(data: bytes, book_data: bytes) -> None:
    await same(data, book_data)


async def test_every_single_byte_may_be_wrong() -> None:
    source = book(Deposited(amount=300), AccountViewed(viewer="v"), Withdrawn(amount=1), start=130)
    source.snapshot = Snapshot(sequence=1, state=pack(Account(owner="o")))
    origin, plain = asked(source, {"mail": 300}), encode(source)
    for index in range(len(origin)):
        for bit in (0x80, 1, 8):
            data = bytearray(origin)
            data[index] ^= bit
            book_data = bytearray(plain)
            book_data[index % len(plain)] ^= bit
            await same(bytes(data), bytes(book_data))


async def test_nothing_is_handled_of_a_book_whose_end_is_malformed() -> None:
    source = encode(book(Deposited(amount=1), Deposited(amount=2)))[:-1]
    calls.clear()
    with pytest.raises(DecodeError):
        await PROJECTORS.dispatch_bytes(source + b"\xff")
    assert calls == []


@pytest.mark.parametrize("unhandled", [0, 30])
async def test_only_events_with_a_handler_are_decoded(
    unhandled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    original = codec.parser_for

    def noting(cls: Any) -> Any:
        parsed.append(cls.__name__)
        return original(cls)

    pages = [AccountViewed(viewer="v")] * unhandled
    data = encode(book(Deposited(amount=1), *pages))
    await PROJECTORS.dispatch_bytes(data)
    monkeypatch.setattr(codec, "parser_for", noting)
    await PROJECTORS.dispatch_bytes(data)
    assert parsed == ["Cover"]
