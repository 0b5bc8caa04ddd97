"""Domain, root and correlation id as structlog context variables, so that every log line of a handler has them."""

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import structlog

from angzarr.messages import Cover

_KEYS = ("domain", "root", "correlation_id")


@cache
def _variables() -> tuple[contextvars.ContextVar[object], ...]:
    """structlog's own variables of those keys; they exist once something was bound."""

    def bind() -> tuple[contextvars.ContextVar[object], ...]:
        tokens = structlog.contextvars.bind_contextvars(**dict.fromkeys(_KEYS, ""))
        return tuple(tokens[key].var for key in _KEYS)

    return contextvars.Context().run(bind)


def bind(domain: str, root: bytes, correlation_id: str) -> Callable[[], None]:
    """Bind the three; the callable that is returned restores what was there."""
    domain_var, root_var, correlation_var = _variables()
    first = domain_var.set(domain)
    second = root_var.set(root.hex())
    third = correlation_var.set(correlation_id)

    def restore() -> None:
        correlation_var.reset(third)
        root_var.reset(second)
        domain_var.reset(first)

    return restore


@contextmanager
def bound(cover: Cover) -> Iterator[None]:
    """Bind what a cover says for the time of a block."""
    restore = bind(cover.domain, cover.root.value, cover.correlation_id)
    try:
        yield
    finally:
        restore()
