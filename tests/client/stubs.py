"""Stubs that record what they are asked and answer from a list."""

from collections.abc import AsyncIterator, Callable
from typing import Any


class Recording:
    """A stub with every method there is.

    Args:
        answers: what the calls answer, in order: messages, exceptions to raise, lists for streams.
    """

    def __init__(self, *answers: Any) -> None:
        self.calls: list[tuple[str, Any, float | None, list[tuple[str, Any]]]] = []
        self._answers = list(answers)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        streams = name in ("get_events", "synchronize", "get_aggregate_roots", "subscribe")
        method = self._stream if streams else self._unary

        def call(request: Any, *, timeout: float | None = None, metadata: Any = ()) -> Any:
            self.calls.append((name, request, timeout, list(metadata)))
            return method(self._answers.pop(0))

        return call

    async def _unary(self, answer: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def _stream(self, answers: Any) -> AsyncIterator[Any]:
        if isinstance(answers, BaseException):
            raise answers
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    @property
    def names(self) -> list[str]:
        """The methods called, in order."""
        return [name for name, _, _, _ in self.calls]

    @property
    def last(self) -> Any:
        """The last request."""
        return self.calls[-1][1]
