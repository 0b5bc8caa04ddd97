"""Books with wrong bytes in requests that are well-formed around them: both paths do the same."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr.codec.wire import write_varint
from angzarr.messages import encode
from tests.bank.messages import (
    AccountOpened,
    AccountViewed,
    Deposit,
    Deposited,
    OnboardingDeposit,
    OnboardingStarted,
    Withdraw,
)
from tests.router import test_bytes, test_event_bytes, test_process_bytes
from tests.router.helpers import book, command, mutated
from tests.router.paths import both

HISTORY = encode(book(AccountOpened(owner="a"), Deposited(amount=1, balance=300), AccountViewed(viewer="v")))
PROCESS = encode(book(OnboardingStarted(), OnboardingDeposit(), of=test_process_bytes.PROCESS))
COMMAND = encode(command(Deposit(amount=1), Withdraw(amount=2)))
TRIGGER = encode(book(Deposited(amount=3)))
CALLS = test_event_bytes.calls


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + write_varint(len(data)) + data


def torn(*origins: bytes) -> st.SearchStrategy[bytes]:
    return mutated(st.sampled_from(origins) | test_event_bytes.books().map(encode))


async def check(routers: Iterable[Any], *requests: bytes) -> None:
    """Both paths of the routers do the same with every request."""
    for router in routers:
        for data in requests:
            over_messages, over_bytes = await both(router, data, CALLS)
            assert over_bytes == over_messages


@given(history=torn(HISTORY))
@settings(max_examples=200, deadline=None)
@example(history=b"\x30")
@example(history=HISTORY[:-1])
@example(history=HISTORY + b"\x30")
@example(history=encode(book()).partition(b"\x1a\x06corr-1")[0])
async def test_a_torn_history_of_a_command(history: bytes) -> None:
    await check(test_bytes.ROUTERS, field(1, history) + field(2, COMMAND))


@given(command_book=mutated(st.just(COMMAND)))
@settings(max_examples=200, deadline=None)
async def test_a_torn_command_book(command_book: bytes) -> None:
    await check(test_bytes.ROUTERS, field(1, HISTORY) + field(2, command_book))


@given(state=torn(PROCESS))
@settings(max_examples=100, deadline=None)
@example(state=PROCESS[:-1])
async def test_a_torn_state_of_a_process(state: bytes) -> None:
    await check(test_process_bytes.ROUTERS, field(1, TRIGGER) + field(2, state))


@given(trigger=torn(TRIGGER))
@settings(max_examples=100, deadline=None)
@example(trigger=TRIGGER[:-1])
async def test_a_torn_trigger_of_a_process(trigger: bytes) -> None:
    await check(test_process_bytes.ROUTERS, field(1, trigger) + field(2, PROCESS))


@given(source=torn(TRIGGER))
@settings(max_examples=200, deadline=None)
@example(source=TRIGGER[:-1])
async def test_a_torn_source_of_a_saga(source: bytes) -> None:
    await check([test_event_bytes.SAGAS], field(1, source))


@pytest.mark.long
@given(torn_book=torn(HISTORY, PROCESS, TRIGGER), torn_command=mutated(st.just(COMMAND)))
@settings(max_examples=2_000, deadline=None)
async def test_very_many_torn_books(torn_book: bytes, torn_command: bytes) -> None:
    of_command = field(1, torn_book) + field(2, COMMAND), field(1, HISTORY) + field(2, torn_command)
    of_process = field(1, TRIGGER) + field(2, torn_book), field(1, torn_book) + field(2, PROCESS)
    await check(test_bytes.ROUTERS[:1], *of_command)
    await check(test_process_bytes.ROUTERS[:1], *of_process)
    await check([test_event_bytes.SAGAS], field(1, torn_book))
    await check([test_event_bytes.PROJECTORS], torn_book)
