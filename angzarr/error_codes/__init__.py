"""What can go wrong, as data: ``codes`` identify, ``messages`` say it, ``keys`` name the details.

Use: ``raise InvalidArgumentError(messages.VALUE_EMPTY, code=codes.VALUE_EMPTY, details={keys.FIELD: "name"})``.
"""

from angzarr.error_codes import codes, keys, messages

__all__ = ["codes", "keys", "messages"]
