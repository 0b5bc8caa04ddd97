"""Retry policies: what is tried again, how often and when. tenacity does the work, and only after a first failure."""

import asyncio
import inspect
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast, overload

import anyio
import tenacity
from tenacity.stop import stop_base

from angzarr.arguments import is_number, is_whole, require
from angzarr.log import get_logger

__all__ = ["ExponentialBackoffRetry", "RetryBudget", "RetryPolicy", "default_retry_policy"]

T = TypeVar("T")

Operation = Callable[[], T | Awaitable[T]]
OnRetry = Callable[[int, Exception], None]

_log = get_logger(__name__)


class RetryPolicy(ABC):
    """Strategy for retrying an operation that fails."""

    @overload
    @abstractmethod
    async def execute(self, operation: Callable[[], Awaitable[T]], *, deadline: float | None = None) -> T: ...

    @overload
    @abstractmethod
    async def execute(self, operation: Callable[[], T], *, deadline: float | None = None) -> T: ...

    @abstractmethod
    async def execute(self, operation: Callable[[], Any], *, deadline: float | None = None) -> Any:
        """Run an operation, again if need be.

        Args:
            operation: called without arguments, once per attempt; a function or a coroutine function.
            deadline: loop time (``asyncio.get_running_loop().time()``) after which no attempt begins; None for none.

        Returns:
            What the first successful attempt returned.

        Raises:
            Exception: what the last attempt raised.
        """


class ExponentialBackoffRetry(RetryPolicy):
    """Retries every exception, with delays that double.

    The delay after attempt n (from 0) is ``min(min_delay * 2**n, max_delay)``, with jitter times a random factor from
    [0.5, 1.0). An exception with a ``retry_delay`` (the server's wish, google.rpc.RetryInfo) is waited for at least as
    long.

    Args:
        min_delay: seconds before the first retry.
        max_delay: seconds that no delay exceeds, the server's wish aside.
        max_attempts: attempts in all, the first included.
        jitter: whether delays are randomised, so that many clients do not come back at once.
        on_retry: called before each sleep with the attempt's index (from 0) and its exception.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; details ``field`` names the argument that makes no sense.
    """

    def __init__(
        self,
        min_delay: float = 0.1,
        max_delay: float = 5.0,
        max_attempts: int = 10,
        jitter: bool = True,
        on_retry: OnRetry | None = None,
    ) -> None:
        require(is_number(min_delay) and min_delay >= 0, "min_delay", min_delay, "seconds, 0 or more")
        require(
            is_number(max_delay) and max_delay >= min_delay,
            "max_delay",
            max_delay,
            "seconds, min_delay or more",
        )
        require(
            is_whole(max_attempts) and max_attempts >= 1,
            "max_attempts",
            max_attempts,
            "a whole number, 1 or more",
        )
        require(on_retry is None or callable(on_retry), "on_retry", on_retry, "a callable or None")
        self.min_delay = min_delay
        self.max_delay = max_delay
        self.max_attempts = max_attempts
        self.jitter = jitter
        self.on_retry = on_retry

    def delay(self, attempt: int) -> float:
        """Seconds to wait after an attempt (from 0)."""
        delay = self.max_delay if attempt > 63 else min(self.min_delay * 2.0**attempt, self.max_delay)
        return delay * random.uniform(0.5, 1.0) if self.jitter else delay

    @overload
    async def execute(self, operation: Callable[[], Awaitable[T]], *, deadline: float | None = None) -> T: ...

    @overload
    async def execute(self, operation: Callable[[], T], *, deadline: float | None = None) -> T: ...

    async def execute(self, operation: Callable[[], Any], *, deadline: float | None = None) -> Any:
        try:
            return await _outcome(operation)
        except Exception as error:
            first = error
        return await self._again(_Resumed(operation, first), deadline)

    async def _again(self, resumed: "_Resumed[T]", deadline: float | None) -> T:
        retrying = tenacity.AsyncRetrying(
            sleep=anyio.sleep,
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self.max_attempts), _Past(deadline)),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(Exception),
            before_sleep=self._before_sleep,
            reraise=True,
        )
        return cast("T", await retrying(resumed.attempt))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        wish = getattr(_error_of(state), "retry_delay", None)
        asked = wish.total_seconds() if isinstance(wish, timedelta) else 0.0
        return max(self.delay(state.attempt_number - 1), asked)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = _error_of(state)
        _log.info(
            "retrying",
            attempt=state.attempt_number,
            of=self.max_attempts,
            delay=round(state.upcoming_sleep, 4),
            error=str(error),
            error_type=type(error).__name__,
        )
        if self.on_retry is not None:
            self.on_retry(state.attempt_number - 1, error)


def default_retry_policy() -> RetryPolicy:
    """Ten attempts, 0.1 s doubling to 5 s, with jitter."""
    return ExponentialBackoffRetry()


class RetryBudget:
    """A token bucket that keeps retries a fraction of the traffic, so that they cannot multiply an outage.

    Every failure that could be retried takes one token, every success gives ``ratio`` of one back. Without a whole
    token nothing is retried.

    Args:
        max_tokens: how many failures may follow each other, without a success between them, before retries end.
        ratio: tokens a success gives back: 0.1 lets retries be a tenth of the calls in the long run.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; details ``field`` names the argument that makes no sense.
    """

    def __init__(self, max_tokens: float = 100.0, ratio: float = 0.1) -> None:
        require(is_number(max_tokens) and max_tokens >= 1, "max_tokens", max_tokens, "1 or more")
        require(is_number(ratio) and ratio > 0, "ratio", ratio, "more than 0")
        self.max_tokens = max_tokens
        self.ratio = ratio
        self.tokens: float = float(max_tokens)

    def succeeded(self) -> None:
        """A call succeeded."""
        if self.tokens < self.max_tokens:
            self.tokens = min(self.max_tokens, self.tokens + self.ratio)

    def take(self) -> bool:
        """Take a token for a retry; False when there is none."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class _Resumed(Generic[T]):
    """An operation whose first attempt was already made: tenacity sees its failure as attempt one."""

    def __init__(self, operation: Operation[T], first: Exception) -> None:
        self._operation = operation
        self._first: Exception | None = first

    async def attempt(self) -> T:
        if self._first is not None:
            first, self._first = self._first, None
            raise first
        return await _outcome(self._operation)


async def _outcome(operation: Operation[T]) -> T:
    result = operation()
    if inspect.isawaitable(result):
        return await result
    return result


def _error_of(state: tenacity.RetryCallState) -> Exception:
    assert state.outcome is not None
    return cast("Exception", state.outcome.exception())


class _Past(stop_base):
    """Stops when the next attempt would begin after the deadline."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        if self._deadline is None:
            return False
        return asyncio.get_running_loop().time() + state.upcoming_sleep >= self._deadline
