"""Books with wrong bytes in requests that are well-formed around them: both paths do the same."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angzarr.codec.wire import write_varint
from angzarr.messages import Projection, SagaResponse, encode
from tests.bank.messages import (
    AccountOpened,
    AccountViewed,
    Deposit,
    Deposited,
    OnboardingDeposit,
    OnboardingStarted,
    Withdraw,
)
from tests.router import test_bytes, test_process_bytes
from tests.router.helpers import book, command, mutated
from tests.router.test_event_bytes import PROJECTORS, SAGAS, books, both

HISTORY = encode(book(AccountOpened(owner="a"), Deposited(amount=1, balance=300), AccountViewed(viewer="v")))
PROCESS = encode(book(OnboardingStarted(), OnboardingDeposit(), of=test_process_bytes.PROCESS))
COMMAND = encode(command(Deposit(amount=1), Withdraw(amount=2)))
TRIGGER = encode(book(Deposited(amount=3)))


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + write_varint(len(data)) + data


def torn(*origins: bytes) -> st.SearchStrategy[bytes]:
    return mutated(st.sampled_from(origins) | books().map(encode))


@given(history=torn(HISTORY))
@settings(max_examples=200, deadline=None)
@example(history=b"\x30")
@example(history=HISTORY[:-1])
@example(history=HISTORY + b"\x30")
@example(history=encode(book()).partition(b"\x1a\x06corr-1")[0])
async def test_a_torn_history_of_a_command(history: bytes) -> None:
    data = field(1, history) + field(2, COMMAND)
    for router in test_bytes.ROUTERS:
        over_messages, over_bytes = await test_bytes.both(router, data)
        assert over_bytes == over_messages


@given(command_book=mutated(st.just(COMMAND)))
@settings(max_examples=200, deadline=None)
async def test_a_torn_command_book(command_book: bytes) -> None:
    data = field(1, HISTORY) + field(2, command_book)
    for router in test_bytes.ROUTERS:
        over_messages, over_bytes = await test_bytes.both(router, data)
        assert over_bytes == over_messages


@given(state=torn(PROCESS))
@settings(max_examples=100, deadline=None)
@example(state=PROCESS[:-1])
async def test_a_torn_state_of_a_process(state: bytes) -> None:
    data = field(1, TRIGGER) + field(2, state)
    for router in test_process_bytes.ROUTERS:
        over_messages, over_bytes = await test_process_bytes.both(router, data)
        assert over_bytes == over_messages


@given(source=torn(TRIGGER))
@settings(max_examples=200, deadline=None)
@example(source=TRIGGER[:-1])
async def test_a_torn_source_of_a_saga(source: bytes) -> None:
    paths: list[Any] = await both(SAGAS, SagaResponse, field(1, source))
    assert paths[1] == paths[0]


@pytest.mark.long
@given(torn_book=torn(HISTORY, PROCESS, TRIGGER), torn_command=mutated(st.just(COMMAND)))
@settings(max_examples=2_000, deadline=None)
async def test_very_many_torn_books(torn_book: bytes, torn_command: bytes) -> None:
    of_commands = [field(1, torn_book) + field(2, COMMAND), field(1, HISTORY) + field(2, torn_command)]
    for data in of_commands:
        over_messages, over_bytes = await test_bytes.both(test_bytes.ROUTERS[0], data)
        assert over_bytes == over_messages
    process = field(1, TRIGGER) + field(2, torn_book)
    over_messages, over_bytes = await test_process_bytes.both(test_process_bytes.ROUTERS[0], process)
    assert over_bytes == over_messages
    for router, response, data in (
        (SAGAS, SagaResponse, field(1, torn_book)),
        (PROJECTORS, Projection, torn_book),
    ):
        paths: list[Any] = await both(router, response, data)
        assert paths[1] == paths[0]
