"""The bytes path answers what the message path answers, whatever it is given."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr.errors import DecodeError
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
    CommandBook,
    CommandPage,
    ContextualCommand,
    Cover,
    Edition,
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    NoOp,
    PageHeader,
    PayloadReference,
    Snapshot,
    decode,
    encode,
    pack,
)
from angzarr.messages import Any as PackedAny
from angzarr.messages.timestamps import frozen
from angzarr.router import applies, command_handler, handles
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountOpened,
    AccountViewed,
    AuditAccount,
    CloseAccount,
    Deposit,
    Deposited,
    OpenAccount,
    RequestTransfer,
    Withdraw,
    Withdrawn,
)
from tests.router.helpers import (
    T0,
    book,
    command,
    command_router,
    cover,
    mutated,
    notification,
    page,
    request,
)
from tests.router.paths import both


@command_handler(domain="account", state=Account, snapshot_every=3)
class Noting:
    """Its state depends on every event and on their order; it has appliers of both forms."""

    @applies(AccountOpened)
    def opened(self, account: Account, event: AccountOpened) -> Account:
        return Account(owner=account.owner + event.owner, events_seen=account.events_seen + 1)

    @applies(Deposited)
    def deposited(self, account: Account, event: Deposited) -> None:
        account.balance = 31 * account.balance % 1_000_003 + event.amount

    @applies(Withdrawn)
    def withdrawn(self, account: Account) -> None:
        account.events_seen += 1

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account, sequence: int) -> list[Any]:
        told = f"{account.owner} {account.balance} {account.events_seen} {sequence}"
        return [AccountOpened(owner=told, opened_at=T0), Deposited(amount=command.amount)]

    @handles(Withdraw)
    def withdraw(self, command: Withdraw, cover: Cover) -> EventBook:
        made = EventPage(event=pack(Withdrawn(amount=len(encode(cover)))), cascade_id="c")
        return EventBook(pages=[made])


ROUTERS = (command_router(Noting), command_router(Accounts))


texts = st.text(max_size=4)
sequences = st.one_of(st.integers(0, 5), st.sampled_from([127, 128, 300, 2**14, 2**21, 2**28, 2**32 - 1]))
times = st.one_of(
    st.none(),
    st.just(T0),
    st.just(datetime(1970, 1, 1, tzinfo=UTC)),
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 999_999).map(lambda micros: T0 + timedelta(microseconds=micros)),
)
prefixes = st.sampled_from(["type.googleapis.com/", "", "x.example/", "a/b/"])
covers = st.builds(
    Cover,
    domain=st.sampled_from(["account", "account", "account", "table", ""]),
    correlation_id=st.sampled_from(["", "corr", "c" * 130]),
    root=st.sampled_from([cover().root, Cover().root, type(cover().root)(value=b"short")]),
    edition=st.sampled_from([None, None, Edition(), Edition(name="what-if")]),
)
events = st.one_of(
    st.builds(AccountOpened, owner=texts, opened_at=st.just(T0)),
    st.builds(Deposited, amount=st.integers(-5, 10**9), balance=st.integers(0, 300)),
    st.builds(Withdrawn, amount=st.integers(0, 3)),
    st.builds(AccountViewed, viewer=st.text(max_size=200)),
    st.builds(NoOp, reason=texts),
)
commands = st.one_of(
    st.builds(Deposit, amount=st.integers(-1, 10)),
    st.builds(Withdraw, amount=st.integers(0, 10)),
    st.builds(OpenAccount, owner=texts),
    st.builds(RequestTransfer, to=st.binary(max_size=16), amount=st.just(1)),
    st.builds(CloseAccount),
    st.builds(AuditAccount),
    st.just(notification(command(Deposit(), of=cover(domain="x")))),
)
headers = st.one_of(
    st.none(),
    st.builds(PageHeader, sequence=sequences),
    st.builds(PageHeader, sequence=sequences, sync_mode=st.just(0)),
    st.just(PageHeader()),
    st.just(PageHeader(external_deferred=ExternalDeferredSequence(external_id="x"))),
    st.just(PageHeader(angzarr_deferred=AngzarrDeferredSequence(source_seq=3, source=cover()))),
)


@st.composite
def packed(draw: st.DrawFn, messages: Any) -> PackedAny:
    made = pack(draw(messages))
    made.type_url = draw(prefixes) + made.type_url.rpartition("/")[2]
    if draw(st.integers(0, 19)) == 0:
        made.value = draw(st.binary(max_size=4))
    return made


@st.composite
def pages(draw: st.DrawFn, kind: Any, arm: str, messages: Any) -> Any:
    made = kind()
    header, at = draw(headers), draw(times)
    if header is not None:
        made.header = header
    if at is not None and kind is EventPage:
        made.created_at = at
    shape = draw(st.integers(0, 19))
    if shape == 0:
        made.external = PayloadReference(uri="s3://x")
    elif shape > 1:
        setattr(made, arm, draw(packed(messages)))
    if kind is EventPage and shape > 17:
        made.no_commit, made.cascade_id = True, "cascade"
    return made


@st.composite
def requests(draw: st.DrawFn) -> ContextualCommand:
    made = ContextualCommand()
    if draw(st.booleans()):
        made.events = EventBook(
            pages=draw(st.lists(pages(EventPage, "event", events), max_size=6)),
            next_sequence=draw(sequences),
        )
        if draw(st.booleans()):
            made.events.cover = draw(covers)
        if draw(st.integers(0, 3)) == 0:
            state = draw(st.sampled_from([pack(Account(owner="S")), pack(Account()), pack(Deposit()), None]))
            made.events.snapshot = Snapshot(sequence=draw(sequences))
            if state is not None:
                made.events.snapshot.state = state
    if draw(st.integers(0, 19)):
        made.command = CommandBook(pages=draw(st.lists(pages(CommandPage, "command", commands), max_size=3)))
        if draw(st.integers(0, 9)):
            made.command.cover = draw(covers)
    return made


@given(asked=requests())
@settings(max_examples=300, deadline=None)
async def test_both_paths_answer_the_same(asked: ContextualCommand) -> None:
    data = encode(asked)
    for router in ROUTERS:
        over_messages, over_bytes = await both(router, data)
        assert over_bytes == over_messages


@pytest.mark.parametrize("asked", [Deposit(), Withdraw()])
async def test_an_aggregate_whose_sequences_are_used_up_is_an_error(asked: Any) -> None:
    data = encode(request(asked, after=EventBook(next_sequence=2**32 - 1)))
    over_messages, over_bytes = await both(ROUTERS[0], data)
    assert over_bytes == over_messages
    assert over_bytes[0][:2] == ("unencodable", "EventBook.next_sequence")


def plausible() -> bytes:
    history = book(AccountOpened(owner="a", opened_at=T0), Deposited(amount=1, balance=300), AccountViewed())
    history.pages.append(page(Withdrawn(amount=1), 200))
    history.snapshot = Snapshot(sequence=0, state=pack(Account(owner="S")))
    return encode(request(Deposit(amount=1), Withdraw(amount=2), after=history))


def mutations() -> st.SearchStrategy[bytes]:
    return mutated(st.one_of(st.just(plausible()), requests().map(encode)))


@given(data=mutations())
@settings(max_examples=500, deadline=None)
@example(data=b"")
@example(data=b"\x0a")
@example(data=b"\x0a\x00\x12\x00")
@example(data=b"\x0a\x02\x1a\x00")
@example(data=b"\x12\x7f")
async def test_both_paths_fail_the_same_on_mutated_bytes(data: bytes) -> None:
    for router in ROUTERS:
        over_messages, over_bytes = await both(router, data)
        assert over_bytes == over_messages


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
async def test_both_paths_agree_on_very_many_mutations(seed: int) -> None:
    chance = random.Random(seed)
    origin = plausible()
    for _ in range(5_000):
        data = bytearray(origin)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 8, 10, 18, 26, 127, 128, 255))
        over_messages, over_bytes = await both(ROUTERS[0], bytes(data))
        assert over_bytes == over_messages, bytes(data).hex()


async def test_every_single_byte_of_a_request_may_be_wrong() -> None:
    origin = plausible()
    for index in range(len(origin)):
        for value in (0, origin[index] ^ 0x80, origin[index] ^ 1, 255):
            data = origin[:index] + bytes([value]) + origin[index + 1 :]
            over_messages, over_bytes = await both(ROUTERS[0], data)
            assert over_bytes == over_messages, (index, value)


async def test_every_truncation_of_a_request_is_an_error_or_means_the_same() -> None:
    origin = plausible()
    for end in range(len(origin)):
        over_messages, over_bytes = await both(ROUTERS[0], origin[:end])
        assert over_bytes == over_messages, end


async def test_large_payloads_and_many_pages_mean_the_same() -> None:
    history = book(
        AccountOpened(owner="x" * 200), AccountOpened(owner="y" * 20_000), AccountViewed(viewer="z" * 300)
    )
    history.pages += [page(Deposited(amount=1), sequence) for sequence in range(3, 20_000)]
    asked = encode(request(Deposit(), after=history))
    over_messages, over_bytes = await both(ROUTERS[0], asked)
    assert over_messages[0][0] == "answer"
    assert over_bytes == over_messages


async def test_a_malformed_history_is_named_even_when_the_command_has_no_handler() -> None:
    asked = encode(request(AuditAccount(), after=book(Deposited())))
    broken = asked.replace(
        b"type.googleapis.com/bank.Deposited", b"type.googleapis.com/bank.Deposi\xff\xff\xff"
    )
    with pytest.raises(DecodeError) as caught:
        await ROUTERS[0].dispatch_bytes(broken)
    assert caught.value.path == "events.pages[0].event.type_url"


async def test_unknown_fields_of_the_cover_come_back() -> None:
    asked = request(Deposit())
    data = encode(asked)
    unknown = b"\xfa\x06\x03new"
    raw = encode(asked.command.cover) + unknown
    rest = encode(CommandBook(pages=asked.command.pages))
    body = b"\x0a" + bytes([len(raw)]) + raw + rest
    answer = await ROUTERS[0].dispatch_bytes(b"\x12" + bytes([len(body)]) + body)
    assert unknown in answer
    assert unknown not in await ROUTERS[0].dispatch_bytes(data)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        *(
            T0.replace(microsecond=micros)
            for micros in (0, 1, 127, 16, 2_097, 2_098, 268_435, 268_436, 999_999)
        ),
        T0 + timedelta(days=1),
        T0 - timedelta(seconds=1),
    ],
)
async def test_times_are_written_as_the_codec_writes_them(at: datetime) -> None:
    data = encode(request(Deposit(amount=1)))
    with frozen(at):
        answer = await ROUTERS[0].dispatch_bytes(data)
        message = await ROUTERS[0].dispatch(request(Deposit(amount=1)))
    assert decode(BusinessResponse, answer).events.pages[0].created_at == at
    assert answer == encode(message)
