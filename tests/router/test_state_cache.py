"""``state_cache``: a longer history of the same aggregate goes on from the state of the shorter one."""

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from angzarr.messages import BusinessResponse, EventBook, Snapshot, decode, encode, pack
from angzarr.router import CommandHandlerRouter, applies, command_handler, handles
from angzarr.router.raw.cache import StateCache, copy_of
from tests.bank.messages import Account, AccountClosed, AccountOpened, Deposit, Deposited
from tests.router.helpers import OTHER, book, command_router, cover, request

MIB = 1 << 20


@dataclass
class Seen:
    amounts: list[int] = field(default_factory=list)


def watching(applied: list[int], state_cache: int | None = MIB) -> CommandHandlerRouter:
    """A router whose applier notes each amount it is called with, and whose handler tells and spoils the state."""

    @command_handler(domain="account", state=Seen)
    class Watching:
        @applies(Deposited)
        def deposited(self, seen: Seen, event: Deposited) -> None:
            applied.append(event.amount)
            seen.amounts.append(event.amount)

        @handles(Deposit)
        def deposit(self, command: Deposit, seen: Seen) -> AccountClosed:
            told = " ".join(map(str, seen.amounts))
            seen.amounts.append(-1)
            return AccountClosed(reason=told)

    return command_router(Watching, state_cache=state_cache)


async def told(router: CommandHandlerRouter, history: EventBook | None) -> str:
    answer = decode(BusinessResponse, await router.dispatch_bytes(encode(request(Deposit(), after=history))))
    return decode(AccountClosed, answer.events.pages[0].event.value).reason


def history(*amounts: int, root: bytes = OTHER) -> EventBook:
    return book(*[Deposited(amount=amount) for amount in amounts], of=cover(root=root, correlation_id=""))


async def test_only_the_new_pages_are_applied() -> None:
    applied: list[int] = []
    router = watching(applied)
    assert await told(router, history(1, 2)) == "1 2"
    assert await told(router, history(1, 2, 3)) == "1 2 3"
    assert await told(router, history(1, 2, 3)) == "1 2 3"
    assert applied == [1, 2, 3]


async def test_off_by_default() -> None:
    applied: list[int] = []
    router = watching(applied, state_cache=None)
    await told(router, history(1))
    await told(router, history(1))
    assert applied == [1, 1]


async def test_another_history_is_folded_from_the_beginning() -> None:
    applied: list[int] = []
    router = watching(applied)
    await told(router, history(1, 2, 3))
    assert await told(router, history(1, 2)) == "1 2"
    assert await told(router, history(1, 9, 3)) == "1 9 3"
    assert await told(router, history()) == ""
    assert await told(router, None) == ""


async def test_aggregates_do_not_share_states() -> None:
    applied: list[int] = []
    router = watching(applied)
    await told(router, history(1, 2))
    assert await told(router, history(1, 2, root=b"another root 16B")) == "1 2"
    assert applied == [1, 2, 1, 2]


async def test_a_handler_that_changes_its_state_does_not_change_the_cache() -> None:
    router = watching([])
    for _ in range(3):
        assert await told(router, history(4)) == "4"


@command_handler(domain="account", state=Account, snapshot_every=4)
class Noting:
    @applies(AccountOpened)
    def opened(self, account: Account, event: AccountOpened) -> None:
        account.owner += event.owner

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account) -> AccountOpened:
        return AccountOpened(owner=account.owner)


@given(
    texts=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
async def test_a_router_with_a_cache_answers_what_one_without_answers(
    texts: list[str], steps: list[tuple[int, int, bool]]
) -> None:
    cached = command_router(Noting, state_cache=4 * 1024)
    plain = command_router(Noting)
    for end, snapshot_at, changed in steps:
        pages = [AccountOpened(owner=text) for text in texts[:end]]
        if changed and pages:
            pages[0] = AccountOpened(owner="z")
        found = book(*pages)
        if snapshot_at < end:
            found.snapshot = Snapshot(sequence=snapshot_at, state=pack(Account(owner=f"S{snapshot_at}")))
        data = encode(request(Deposit(), after=found))
        answers = [decode(BusinessResponse, await router.dispatch_bytes(data)) for router in (cached, plain)]
        first, second = (
            (encode(answer.events.pages[0].event), encode(answer.events.snapshot)) for answer in answers
        )
        assert first == second


async def test_a_malformed_longer_history_is_an_error_and_the_next_one_is_right() -> None:
    router = watching([])
    await told(router, history(1))
    data = encode(request(Deposit(), after=history(1, 2)))
    broken = data.replace(b"\x12\x02\x08\x02", b"\x12\x02\x08\xff")
    assert broken != data
    with pytest.raises(Exception, match="decode"):
        await router.dispatch_bytes(broken)
    assert await told(router, history(1, 2)) == "1 2"


async def test_the_cache_is_bounded_and_drops_the_least_recently_used() -> None:
    applied: list[int] = []
    router = watching(applied, state_cache=3 * 1300)
    roots = [bytes([number]) * 16 for number in range(4)]
    for root in (roots[0], roots[1], roots[2], roots[0], roots[3]):
        await told(router, history(1, root=root))
    applied.clear()
    await told(router, history(1, root=roots[0]))
    assert applied == []
    await told(router, history(1, root=roots[1]))
    assert applied == [1]


def test_a_history_above_the_limit_is_not_kept() -> None:
    cache = StateCache(2000)
    fold: Any = object()
    assert cache.keep((fold, b""), b"x" * 3000, {"a": 1}) == {"a": 1}
    assert (len(cache), cache.size) == (0, 0)


def test_taking_out_gives_the_bytes_back() -> None:
    cache = StateCache(10_000)
    fold: Any = object()
    cache.keep((fold, b"head"), b"pages", [1])
    assert cache.take((fold, b"head")) == (b"pages", [1])
    assert cache.take((fold, b"head")) is None
    assert (len(cache), cache.size) == (0, 0)


def test_states_that_cannot_be_copied_are_not_kept_and_the_log_says_so_once() -> None:
    cache = StateCache(10_000)
    fold: Any = object()
    lock = threading.Lock()
    with capture_logs() as logs:
        assert cache.keep((fold, b""), b"", lock) is lock
        assert cache.keep((fold, b""), b"", lock) is lock
    assert len(cache) == 0
    assert [line["event"] for line in logs] == ["state_not_cached"]


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Custom:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: Any) -> "Custom":
        return Custom("copied")


@dataclass
class Plain:
    number: int
    text: str
    amount: Decimal


def test_copies_are_deep() -> None:
    plain = Plain(1, "a", Decimal("1.5"))
    assert copy_of(plain) == plain
    assert copy_of(plain) is not plain
    nested = Seen([1])
    copied = copy_of(nested)
    nested.amounts.append(2)
    assert copied.amounts == [1]
    slotted = Slotted([1])
    assert copy_of(slotted).value is not slotted.value
    assert copy_of(Custom(1)).value == "copied"
    account = Account(held={"a": 1})
    other = copy_of(account)
    account.held["b"] = 2
    assert other.held == {"a": 1}
    assert copy_of({"a": [1]}) == {"a": [1]}
