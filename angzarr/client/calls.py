"""How a client makes its calls: deadline, metadata, retries, and what a failed command means."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio
import grpclib
from grpclib.const import Status

from angzarr.client import failures
from angzarr.client.config import ChannelConfig
from angzarr.client.metadata import Metadata, checked_metadata, is_sendable
from angzarr.errors import ClientError, GRPCError
from angzarr.messages import correlated_metadata
from angzarr.retry import RetryBudget, RetryPolicy, default_retry_policy

R = TypeVar("R")
A = TypeVar("A")
R_co = TypeVar("R_co", covariant=True)


class UnaryMethod(Protocol[R_co]):
    """A stub's method of a unary RPC."""

    def __call__(self, request: Any, *, timeout: float | None, metadata: Metadata) -> Awaitable[R_co]:
        """Call it."""


class StreamingMethod(Protocol[R_co]):
    """A stub's method of an RPC that streams answers."""

    def __call__(self, request: Any, *, timeout: float | None, metadata: Metadata) -> AsyncIterator[R_co]:
        """Call it."""


@dataclass(eq=False)
class Calls:
    """Makes the calls of one client, and of the clients that share its channel.

    Attributes:
        config: default timeout and metadata.
        retry: how reads are retried; commands too, as far as ``retry_commands`` lets them.
        retry_commands: whether a command is retried although it may have been executed.
        budget: what keeps retries a fraction of the traffic.
        closed: set when the client is closed.
    """

    config: ChannelConfig = field(default_factory=ChannelConfig)
    retry: RetryPolicy = field(default_factory=default_retry_policy)
    retry_commands: bool = False
    budget: RetryBudget = field(default_factory=RetryBudget)
    closed: bool = False

    async def read(
        self, method: UnaryMethod[R], request: Any, correlation_id: str, timeout: float | None
    ) -> R:
        """A call that changes nothing: retried on UNAVAILABLE and when the connection fails."""
        call = _Unary[R](self, method, request, await self.metadata(correlation_id), self.timeout(timeout))
        try:
            return await call.attempt()
        except ClientError as error:
            if not failures.is_retryable(error):
                raise
            return await self._again(call, error, failures.is_retryable)

    async def write(
        self, method: UnaryMethod[R], request: Any, correlation_id: str, timeout: float | None
    ) -> R:
        """A call that may change something: retried when the server certainly never saw it, or on request."""
        call = _Unary[R](self, method, request, await self.metadata(correlation_id), self.timeout(timeout))
        may_retry = failures.is_retryable if self.retry_commands else failures.certainly_never_reached
        try:
            try:
                return await call.attempt()
            except ClientError as error:
                if not may_retry(error):
                    raise
                return await self._again(call, error, may_retry)
        except ClientError as error:
            unknown = failures.outcome_unknown(error)
            if unknown is None:
                raise
            raise unknown from error

    async def stream(
        self, method: StreamingMethod[R], request: Any, correlation_id: str, timeout: float | None
    ) -> AsyncGenerator[R, None]:
        """A read with many answers; retried until the first one came in, and never after it."""
        call = _Stream[R](self, method, request, await self.metadata(correlation_id), self.timeout(timeout))
        try:
            try:
                more = await call.attempt()
            except ClientError as error:
                if not failures.is_retryable(error):
                    raise
                more = await self._again(call, error, failures.is_retryable)
            while more:
                yield call.answer()
                more = await call.next()
        finally:
            await call.close()

    async def exchange(
        self, method: StreamingMethod[R], requests: Any, timeout: float | None
    ) -> AsyncGenerator[R, None]:
        """A call with many requests and many answers. It is not retried: the requests are gone."""
        call = _Stream[R](self, method, requests, await self.metadata(""), self.timeout(timeout))
        try:
            more = await call.attempt()
            while more:
                yield call.answer()
                more = await call.next()
        finally:
            await call.close()

    async def _again(
        self, call: "_Attempts[A]", error: ClientError, may_retry: Callable[[ClientError], bool]
    ) -> A:
        """Hand a failed first attempt to the retry policy, which then makes the others."""
        pending: ClientError | None = error

        async def attempt() -> "A | _Final":
            nonlocal pending
            failed, pending = pending, None
            try:
                if failed is not None:
                    raise failed
                return await call.attempt()
            except ClientError as error:
                if may_retry(error) and self.budget.take():
                    raise
                return _Final(error)

        result: A | _Final = await self.retry.execute(attempt, deadline=call.deadline)
        if isinstance(result, _Final):
            raise result.error
        return result

    def timeout(self, timeout: float | None) -> float | None:
        """The timeout of a call that was given this one.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, it is not a number above 0.
        """
        if timeout is None:
            return self.config.timeout
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, int | float)
            or not 0 < timeout < float("inf")
        ):
            raise failures.refused_argument(f"seconds above 0 expected, got {timeout!r}", "timeout")
        return timeout

    async def metadata(self, correlation_id: str) -> Metadata:
        """The metadata of a call. A correlation id that no header can carry travels in the message alone."""
        if self.closed:
            raise failures.closed()
        source = self.config.metadata
        own = checked_metadata(await source()) if callable(source) else cast("Metadata", source)
        if not correlation_id or not is_sendable(correlation_id):
            return own
        return [*own, *correlated_metadata(correlation_id)]


@dataclass(frozen=True, slots=True)
class _Final:
    """An error that must not be retried, carried past the retry policy."""

    error: ClientError


class _Attempts(Generic[A]):
    """One call, which can be attempted several times before its deadline."""

    def __init__(
        self, calls: Calls, method: Any, request: Any, metadata: Metadata, timeout: float | None
    ) -> None:
        self._calls = calls
        self._method = method
        self._request = request
        self._metadata = metadata
        self._timeout = timeout
        self._bounded = timeout is not None and not _enforces_timeouts(method)
        self.deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def attempt(self) -> A:
        """Make the call once more."""
        raise NotImplementedError

    def remaining(self) -> float | None:
        """Seconds until the deadline.

        Raises:
            NotSentError: DEADLINE_EXCEEDED, there are none left.
        """
        if self.deadline is None:
            return None
        remaining = self.deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise self._exceeded(failures.not_sent)
        return remaining

    async def within(self, operation: Awaitable[R]) -> R:
        """Await something before the deadline, where the stub does not see to that itself."""
        try:
            if not self._bounded:
                return await operation
            with anyio.move_on_after(self.remaining() or 0):
                return await operation
        except grpclib.GRPCError as error:
            raise failures.from_status(error) from error
        raise self._exceeded(failures.no_answer)

    def _exceeded(self, make: Callable[[Status, str], GRPCError]) -> GRPCError:
        return make(Status.DEADLINE_EXCEEDED, f"no answer within {self._timeout:g} s")


class _Unary(_Attempts[R]):
    async def attempt(self) -> R:
        call = self._method(self._request, timeout=self.remaining(), metadata=self._metadata)
        answer: R = await self.within(call)
        self._calls.budget.succeeded()
        return answer


class _Stream(_Attempts[bool], Generic[R]):
    """A call with many answers; ``attempt`` and ``next`` say whether there is one more."""

    def __init__(
        self, calls: Calls, method: Any, request: Any, metadata: Metadata, timeout: float | None
    ) -> None:
        super().__init__(calls, method, request, metadata, timeout)
        self._answers: AsyncIterator[R] | None = None
        self._answer: list[R] = []

    async def attempt(self) -> bool:
        await self.close()
        self._answers = self._method(self._request, timeout=self.remaining(), metadata=self._metadata)
        more = await self.next()
        self._calls.budget.succeeded()
        return more

    async def next(self) -> bool:
        assert self._answers is not None
        try:
            self._answer = [await self.within(anext(self._answers))]
        except StopAsyncIteration:
            return False
        return True

    def answer(self) -> R:
        return self._answer.pop()

    async def close(self) -> None:
        answers, self._answers = self._answers, None
        aclose = getattr(answers, "aclose", None)
        if aclose is not None:
            await aclose()


def _enforces_timeouts(method: Any) -> bool:
    """Whether a stub's method keeps the deadline itself, as those over a channel do."""
    return getattr(getattr(method, "__self__", None), "enforces_timeouts", False) is True
