"""Domain, root and correlation id as structlog context variables, so that every log line of a handler has them."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import structlog

from angzarr.messages import Cover

Tokens: TypeAlias = tuple[contextvars.Token[object], contextvars.Token[object], contextvars.Token[object]]

_KEYS = ("domain", "root", "correlation_id")


@cache
def _variables() -> tuple[contextvars.ContextVar[object], ...]:
    """structlog's own variables of those keys; they exist once something was bound."""

    def bind() -> tuple[contextvars.ContextVar[object], ...]:
        tokens = structlog.contextvars.bind_contextvars(**dict.fromkeys(_KEYS, ""))
        return tuple(tokens[key].var for key in _KEYS)

    return contextvars.Context().run(bind)


def bind(domain: str, root: bytes, correlation_id: str) -> Tokens:
    """Bind the three, until ``restore`` is given what this returns."""
    domain_var, root_var, correlation_var = _variables()
    return domain_var.set(domain), root_var.set(root.hex()), correlation_var.set(correlation_id)


def restore(tokens: Tokens) -> None:
    """Bring back what was bound before."""
    domain_var, root_var, correlation_var = _variables()
    correlation_var.reset(tokens[2])
    root_var.reset(tokens[1])
    domain_var.reset(tokens[0])


@contextmanager
def bound(cover: Cover) -> Iterator[None]:
    """Bind what a cover says for the time of a block."""
    tokens = bind(cover.domain, cover.root.value, cover.correlation_id)
    try:
        yield
    finally:
        restore(tokens)
