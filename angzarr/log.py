"""The library's own log: structlog events that end in stdlib loggers named after their modules.

Nothing is configured here. Without configuration an event becomes one line of text for the standard library's logging,
whose levels and handlers decide about it (warnings and above reach stderr); ``configure_logging`` or the application's
own structlog configuration decides how events look otherwise.
"""

import logging
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

_LEVELS = logging.getLevelNamesMapping()
_as_text = structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module.

    Args:
        name: the module's ``__name__``.
    """
    logger = structlog.wrap_logger(
        logging.getLogger(name), processors=[_render], wrapper_class=structlog.stdlib.BoundLogger
    )
    return cast("structlog.stdlib.BoundLogger", logger)


def _render(logger: logging.Logger, method: str, event: MutableMapping[str, Any]) -> Any:
    if structlog.is_configured():
        result: Any = event
        for processor in structlog.get_config()["processors"]:
            result = processor(logger, method, result)
        return result
    if not logger.isEnabledFor(_LEVELS.get(method.upper(), logging.ERROR)):
        raise structlog.DropEvent
    error = event.pop("exc_info", None)
    text = str(_as_text(logger, method, event)).replace("event=", "", 1)
    return (text,), {"exc_info": error}
