"""How a client makes its calls: deadline, metadata, interceptors, retries, and what a failed command means."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import anyio
import grpclib
from grpclib.const import Status

from angzarr.arguments import is_number
from angzarr.client import failures
from angzarr.client.breaker import Breaker
from angzarr.client.config import ChannelConfig
from angzarr.client.metadata import checked_metadata, is_sendable
from angzarr.errors import ClientError, GRPCError
from angzarr.interceptors import Call, chain
from angzarr.messages import correlated_metadata
from angzarr.messages.services import Rpc, Service
from angzarr.retry import RetryBudget, RetryPolicy, default_retry_policy

R = TypeVar("R")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Method(Generic[R]):
    """An RPC as clients call it: its description, its name on stubs, the class of its answers."""

    rpc: Rpc
    name: str
    answer: type[R]

    @classmethod
    def of(cls, service: Service, rpc: str, answer: type[R]) -> "Method[R]":
        """The method of a service's RPC."""
        return cls(service.rpcs[rpc], service.rpcs[rpc].python_name, answer)


@dataclass(eq=False)
class Calls:
    """Makes the calls of one client, and of the clients that share its channel.

    Attributes:
        config: default timeout and metadata, interceptors.
        endpoint: the server, as the client was told; ``""`` in process.
        retry: how reads are retried; commands too, as far as ``retry_commands`` lets them.
        retry_commands: whether a command is retried although it may have been executed.
        closed: set when the client is closed.
    """

    config: ChannelConfig = field(default_factory=ChannelConfig)
    endpoint: str = ""
    retry: RetryPolicy = field(default_factory=default_retry_policy)
    retry_commands: bool = False
    closed: bool = False

    def __post_init__(self) -> None:
        config = self.config
        self.budget: RetryBudget = RetryBudget(config.retry_budget, config.retry_budget_ratio)
        self.breaker: Breaker | None = (
            Breaker(config.circuit_breaker, self.endpoint) if config.circuit_breaker else None
        )

    async def read(
        self, method: Method[R], stub: Any, request: Any, correlation_id: str, timeout: float | None
    ) -> R:
        """A call that changes nothing: retried on UNAVAILABLE and when the connection fails."""
        return cast("R", await self._unary(self._read, method, stub, request, correlation_id, timeout))

    async def write(
        self, method: Method[R], stub: Any, request: Any, correlation_id: str, timeout: float | None
    ) -> R:
        """A call that may change something: retried when the server certainly never saw it, or on request."""
        return cast("R", await self._unary(self._write, method, stub, request, correlation_id, timeout))

    def _unary(
        self,
        make: Callable[["_Attempts[Any]"], Awaitable[Any]],
        method: Method[Any],
        stub: Any,
        request: Any,
        correlation_id: str,
        timeout: float | None,
    ) -> Awaitable[Any]:
        if not self.config.interceptors and not callable(
            self.config.metadata
        ):  # as a rule; then nothing is awaited
            metadata = self._with_correlation(self.config.metadata, correlation_id)
            call = Call(method.rpc, request, metadata, self.timeout(timeout), endpoint=self.endpoint)
            return make(_Unary(self, getattr(stub, method.name), call))

        async def proceed(call: Call) -> Any:
            return await make(_Unary(self, getattr(stub, method.name), call))

        async def intercepted() -> Any:
            call = await self._call(method, request, correlation_id, timeout)
            return await chain(self.config.interceptors, proceed)(call)

        return intercepted()

    async def stream(
        self, method: Method[R], stub: Any, request: Any, correlation_id: str, timeout: float | None
    ) -> AsyncGenerator[R, None]:
        """A read with many answers; retried until the first one came in, and never after it.

        A call with many requests is not retried: they are gone.
        """
        call = await self._call(method, request, correlation_id, timeout)

        async def proceed(call: Call) -> Any:
            return self._stream(_Stream(self, getattr(stub, method.name), call))

        answers = await chain(self.config.interceptors, proceed)(call)
        try:
            async for answer in answers:
                yield answer
        finally:
            await answers.aclose()

    async def _call(
        self, method: Method[Any], request: Any, correlation_id: str, timeout: float | None
    ) -> Call:
        metadata = await self.metadata(correlation_id)
        return Call(method.rpc, request, metadata, self.timeout(timeout), endpoint=self.endpoint)

    async def _read(self, attempts: "_Attempts[A]") -> A:
        try:
            return await attempts.attempt()
        except ClientError as error:
            if not failures.is_retryable(error):
                raise
            return await self._again(attempts, error, failures.is_retryable)

    async def _write(self, attempts: "_Attempts[A]") -> A:
        unsure: ClientError | None = None  # an attempt that may have been executed

        def may_retry(error: ClientError) -> bool:
            nonlocal unsure
            if not self.retry_commands:
                return failures.certainly_never_reached(error)
            if failures.is_unsure(error):
                unsure = error
            return failures.is_retryable(error)

        try:
            try:
                return await attempts.attempt()
            except ClientError as error:
                if not may_retry(error):
                    raise
                return await self._again(attempts, error, may_retry)
        except ClientError as error:
            if unsure is None and not failures.is_unsure(error):
                raise
            raise failures.outcome_unknown(error) from error

    async def _stream(self, stream: "_Stream") -> AsyncIterator[Any]:
        try:
            once = stream.call.rpc.client_streaming
            more = await (stream.attempt() if once else self._read(stream))
            while more:
                yield stream.answer()
                more = await stream.next()
        finally:
            await stream.close()

    async def _again(
        self, attempts: "_Attempts[A]", error: ClientError, may_retry: Callable[[ClientError], bool]
    ) -> A:
        """Hand a failed first attempt to the retry policy, which then makes the others."""
        pending: ClientError | None = error

        async def attempt() -> "A | _Final":
            nonlocal pending
            failed, pending = pending, None
            try:
                if failed is not None:
                    raise failed
                return await attempts.attempt()
            except ClientError as error:
                if may_retry(error) and self.budget.take():
                    raise
                return _Final(error)

        # a policy of the user's own need not know deadlines while there is none
        limit = {} if attempts.deadline is None else {"deadline": attempts.deadline}
        result: A | _Final = await self.retry.execute(attempt, **limit)
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
        if not is_number(timeout) or timeout <= 0:
            raise failures.refused_argument(f"seconds above 0 expected, got {timeout!r}", "timeout")
        return timeout

    async def metadata(self, correlation_id: str) -> list[tuple[str, str | bytes]]:
        """The metadata of a call."""
        source = self.config.metadata
        if callable(source):
            self._require_open()
            source = checked_metadata(await source())
        return self._with_correlation(source, correlation_id)

    def _with_correlation(self, metadata: Any, correlation_id: str) -> list[tuple[str, str | bytes]]:
        """Metadata and a correlation id. One that no header can carry travels in the message alone."""
        self._require_open()
        if not correlation_id or not is_sendable(correlation_id):
            return list(metadata)
        return [*metadata, *correlated_metadata(correlation_id)]

    def _require_open(self) -> None:
        if self.closed:
            raise failures.closed()


@dataclass(frozen=True, slots=True)
class _Final:
    """An error that must not be retried, carried past the retry policy."""

    error: ClientError


class _Attempts(ABC, Generic[A]):
    """One call, which can be attempted several times before its deadline."""

    def __init__(self, calls: Calls, method: Any, call: Call) -> None:
        self._calls = calls
        self._method = method
        self.call = call
        self._begun = False
        timeout = call.timeout
        self._bounded = timeout is not None and not _enforces_timeouts(method)
        self.deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def attempt(self) -> A:
        """Make the call once more, unless the circuit breaker forbids it."""
        breaker = self._calls.breaker
        if breaker is None:
            answer = await self._attempt()
        else:
            loop = asyncio.get_running_loop()
            breaker.check(loop.time())
            try:
                answer = await self._attempt()
            except ClientError as error:
                breaker.failed(error, loop.time())
                raise
            breaker.succeeded()
        self._calls.budget.succeeded()
        return answer

    @abstractmethod
    async def _attempt(self) -> A:
        """Make the call."""

    def begin(self) -> Any:
        """What the stub's method returns."""
        return self._method(self.call.request, timeout=self._told(), metadata=self.call.metadata)

    def _told(self) -> float | None:
        """What the stub is told: the caller's own number the first time, later what is left of it."""
        if self._begun:
            return self.remaining()
        self._begun = True
        return self.call.timeout

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
        return make(Status.DEADLINE_EXCEEDED, f"no answer within {self.call.timeout:g} s")


class _Unary(_Attempts[Any]):
    async def attempt(self) -> Any:
        if self._bounded or self._calls.breaker is not None:
            return await super().attempt()
        try:
            answer = await self._method(self.call.request, timeout=self._told(), metadata=self.call.metadata)
        except grpclib.GRPCError as error:
            raise failures.from_status(error) from error
        self._calls.budget.succeeded()
        return answer

    async def _attempt(self) -> Any:
        return await self.within(self.begin())


class _Stream(_Attempts[bool]):
    """A call with many answers; ``attempt`` and ``next`` say whether there is one more."""

    _answers: AsyncIterator[Any] | None = None
    _answer: Any = None

    async def _attempt(self) -> bool:
        await self.close()
        self._answers = self.begin()
        return await self.next()

    async def next(self) -> bool:
        assert self._answers is not None
        try:
            self._answer = await self.within(anext(self._answers))
        except StopAsyncIteration:
            return False
        return True

    def answer(self) -> Any:
        return self._answer

    async def close(self) -> None:
        answers, self._answers = self._answers, None
        aclose = getattr(answers, "aclose", None)
        if aclose is not None:
            await aclose()


def _enforces_timeouts(method: Any) -> bool:
    """Whether a stub's method keeps the deadline itself, as those over a channel do."""
    return getattr(getattr(method, "__self__", None), "enforces_timeouts", False) is True
