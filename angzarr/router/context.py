"""Domain, root and correlation id as structlog context variables, so that every log line of a handler has them."""

import contextvars
from contextlib import AbstractContextManager
from typing import TypeAlias

import structlog

from angzarr.messages import Cover

Tokens: TypeAlias = tuple[contextvars.Token[object], contextvars.Token[object], contextvars.Token[object]]

_KEYS = ("domain", "root", "correlation_id")


def _own_variables() -> tuple[contextvars.ContextVar[object], ...]:
    """structlog's own variables of those keys; they exist once something was bound."""
    tokens = structlog.contextvars.bind_contextvars(**dict.fromkeys(_KEYS, ""))
    return tuple(tokens[key].var for key in _KEYS)


_domain, _root, _correlation_id = contextvars.Context().run(_own_variables)


def bind(domain: str, root: bytes, correlation_id: str) -> Tokens:
    """Bind the three, until ``restore`` is given what this returns."""
    return _domain.set(domain), _root.set(root.hex()), _correlation_id.set(correlation_id)


def restore(tokens: Tokens) -> None:
    """Bring back what was bound before."""
    _correlation_id.reset(tokens[2])
    _root.reset(tokens[1])
    _domain.reset(tokens[0])


class _Bound:
    """Not a generator's context manager, which sets attributes of what is raised: some exceptions do not let it."""

    __slots__ = ("_cover", "_tokens")

    def __init__(self, cover: Cover) -> None:
        self._cover = cover

    def __enter__(self) -> None:
        cover = self._cover
        self._tokens = bind(cover.domain, cover.root.value, cover.correlation_id)

    def __exit__(self, *raised: object) -> None:
        restore(self._tokens)


def bound(cover: Cover) -> AbstractContextManager[None]:
    """Bind what a cover says for the time of a block."""
    return _Bound(cover)
