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
# what structlog.testing.capture_logs leaves behind counts as configured, and is not
_BUILT_IN = None if structlog.is_configured() else list(structlog.get_config()["processors"])
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
    processors = structlog.get_config()["processors"]
    if structlog.is_configured() and processors != _BUILT_IN:
        result: Any = event
        for processor in processors:
            result = processor(logger, method, result)
        return result
    if not logger.isEnabledFor(_LEVELS.get(method.upper(), logging.ERROR)):
        raise structlog.DropEvent
    error = event.pop("exc_info", None)
    text = str(_as_text(logger, method, event)).replace("event=", "", 1)
    return (text,), {"exc_info": error}
