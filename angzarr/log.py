"""The library's own log: structlog events that end in stdlib loggers named after their modules.

Nothing is configured here. Without configuration the events obey stdlib logging's levels and handlers (warnings and
above reach stderr); ``configure_logging`` or the application's own structlog configuration decides how they look.
"""

import logging
from typing import cast

import structlog


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module.

    Args:
        name: the module's ``__name__``.
    """
    return cast("structlog.stdlib.BoundLogger", structlog.wrap_logger(logging.getLogger(name)))
