"""Retry policies."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.errors import InvalidArgumentError
from angzarr.retry import ExponentialBackoffRetry, RetryBudget, RetryPolicy, default_retry_policy


class Clock:
    """Records what a policy sleeps, and lets the time pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        monkeypatch.setattr("anyio.sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def failing(times: int, error: Exception | None = None) -> Callable[[], str]:
    left = times

    def operation() -> str:
        nonlocal left
        if left:
            left -= 1
            raise error or OSError(f"{left} failures left")
        return "done"

    return operation


async def test_the_default_policy_has_the_documented_numbers() -> None:
    policy = default_retry_policy()
    assert isinstance(policy, ExponentialBackoffRetry)
    assert (policy.min_delay, policy.max_delay, policy.max_attempts, policy.jitter, policy.on_retry) == (
        0.1,
        5.0,
        10,
        True,
        None,
    )


async def test_a_first_success_sleeps_nothing_and_enters_no_retry_machinery(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tenacity.AsyncRetrying")
    assert await ExponentialBackoffRetry().execute(lambda: "done") == "done"
    assert clock.slept == []


async def test_an_async_operation_is_awaited() -> None:
    async def operation() -> int:
        return 7

    assert await ExponentialBackoffRetry().execute(operation) == 7


async def test_delays_double_up_to_the_maximum(clock: Clock) -> None:
    policy = ExponentialBackoffRetry(jitter=False)
    with pytest.raises(OSError, match="0 failures left"):
        await policy.execute(failing(10))
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


async def test_the_last_exception_is_raised_as_it_is(clock: Clock) -> None:
    error = OSError("gone")
    with pytest.raises(OSError, match="gone") as raised:
        await ExponentialBackoffRetry(max_attempts=3).execute(failing(3, error))
    assert raised.value is error
    assert len(clock.slept) == 2


async def test_on_retry_hears_of_every_failure_but_the_last_before_the_sleep(clock: Clock) -> None:
    heard: list[tuple[int, str, int]] = []
    policy = ExponentialBackoffRetry(
        max_attempts=4, on_retry=lambda index, error: heard.append((index, str(error), len(clock.slept)))
    )
    with pytest.raises(OSError, match="0 failures left"):
        await policy.execute(failing(4))
    assert heard == [(0, "3 failures left", 0), (1, "2 failures left", 1), (2, "1 failures left", 2)]


@settings(deadline=None)
@given(attempt=st.integers(min_value=0, max_value=5000))
def test_jitter_keeps_between_half_and_whole_of_the_delay(attempt: int) -> None:
    whole = ExponentialBackoffRetry(jitter=False).delay(attempt)
    assert 0.5 * whole <= ExponentialBackoffRetry().delay(attempt) <= whole <= 5.0


async def test_no_attempt_begins_after_the_deadline(clock: Clock) -> None:
    deadline = asyncio.get_running_loop().time() + 1.0
    with pytest.raises(OSError, match="failures left"):
        await ExponentialBackoffRetry(min_delay=0.4, jitter=False).execute(failing(99), deadline=deadline)
    assert clock.slept == [0.4, 0.8]


async def test_a_deadline_that_has_passed_allows_the_first_attempt_only(clock: Clock) -> None:
    deadline = asyncio.get_running_loop().time() - 1.0
    with pytest.raises(OSError, match="98 failures left"):
        await ExponentialBackoffRetry().execute(failing(99), deadline=deadline)
    assert clock.slept == []


async def test_the_servers_wish_for_a_longer_delay_is_honoured(clock: Clock) -> None:
    class Busy(Exception):
        retry_delay = timedelta(seconds=3)

    assert await ExponentialBackoffRetry().execute(failing(1, Busy())) == "done"
    assert clock.slept == [3.0]


async def test_cancellation_is_not_retried(clock: Clock) -> None:
    calls = 0

    async def operation() -> None:
        nonlocal calls
        calls += 1
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ExponentialBackoffRetry().execute(operation)
    assert calls == 1


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("min_delay", {"min_delay": -1}),
        ("min_delay", {"min_delay": float("nan")}),
        ("max_delay", {"min_delay": 2, "max_delay": 1}),
        ("max_delay", {"max_delay": float("inf")}),
        ("max_attempts", {"max_attempts": 0}),
        ("max_attempts", {"max_attempts": 2.5}),
        ("max_attempts", {"max_attempts": True}),
        ("on_retry", {"on_retry": "loudly"}),
    ],
)
def test_a_policy_that_makes_no_sense_names_the_field(field: str, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ExponentialBackoffRetry(**arguments)  # type: ignore[arg-type]
    assert raised.value.details["field"] == field


def test_a_policy_of_ones_own_needs_execute_alone() -> None:
    with pytest.raises(TypeError):
        RetryPolicy()  # type: ignore[abstract]


def test_a_budget_allows_as_many_retries_as_it_has_tokens() -> None:
    budget = RetryBudget(max_tokens=2)
    assert [budget.take(), budget.take(), budget.take()] == [True, True, False]


def test_successes_fill_the_budget_slowly() -> None:
    budget = RetryBudget(max_tokens=1, ratio=0.5)
    assert budget.take()
    budget.succeeded()
    assert not budget.take()
    budget.succeeded()
    assert budget.take()


def test_a_budget_is_never_fuller_than_full() -> None:
    budget = RetryBudget(max_tokens=1, ratio=0.7)
    budget.succeeded()
    assert budget.tokens == 1


@pytest.mark.parametrize(("field", "arguments"), [("max_tokens", {"max_tokens": 0}), ("ratio", {"ratio": 0})])
def test_a_budget_that_makes_no_sense_names_the_field(field: str, arguments: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        RetryBudget(**arguments)
    assert raised.value.details["field"] == field
