"""How an application that has no opinion of its own logs: JSON lines for machines, colours for people."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from angzarr.errors import InvalidArgumentError


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("this handler follows sys.stderr")


def configure_logging(json: bool | None = None, level: int | str | None = None) -> None:
    """Configure structlog and the standard library's logging, together, for the whole process.

    Both end up on stderr in the same form: one JSON object a line, or coloured text. Context bound with
    ``structlog.contextvars`` is part of every line. Calling it again replaces the configuration.

    Args:
        json: whether to write JSON; by default when stderr is not a terminal.
        level: lowest level that is written, a name such as ``"DEBUG"`` or a number; INFO by default.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, there is no such level.
    """
    threshold = _level(level)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    as_json = not sys.stderr.isatty() if json is None else json
    _install(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_final(as_json)), threshold
    )


def _final(as_json: bool) -> list[Processor]:
    without_meta: Processor = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if not as_json:
        plain = structlog.dev.plain_traceback  # the prettier ones read source files, and print secrets
        return [without_meta, structlog.dev.ConsoleRenderer(colors=True, exception_formatter=plain)]
    return [without_meta, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _install(formatter: logging.Formatter, threshold: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Stderr)]:
        root.removeHandler(handler)
    handler = _Stderr()
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(threshold)


def _level(level: int | str | None) -> int:
    if level is None:
        return logging.INFO
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise InvalidArgumentError(f"no such log level: {level!r}; one of {', '.join(known)}")
    return known[level.upper()]
