"""Messages of classes that have not been prepared, whose values betterproto keeps its own way.

Their ``__dict__`` holds a placeholder for every field without a value, the chosen member of each oneof
beside stale ones, and a default for everything that was read.
"""

from typing import TYPE_CHECKING, Any

import betterproto

from angzarr.codec import wellknown
from angzarr.codec.fields import DURATION, TIMESTAMP
from angzarr.codec.general import UNKNOWN
from angzarr.codec.parse import PRESENT

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["GROUPS", "complete", "reduced"]

GROUPS = "_group_current"
"""Where betterproto keeps which member of each oneof is chosen."""


def reduced(schema: "Schema", values: dict[str, Any]) -> dict[str, Any]:
    """Only what is present, as prepared classes keep it."""
    chosen = values.get(GROUPS, {})
    out = {key: values[key] for key in (PRESENT, UNKNOWN) if values.get(key) not in (None, b"")}
    for field in schema.fields:
        value = values.get(field.name, betterproto.PLACEHOLDER)
        if value is betterproto.PLACEHOLDER or value is None:
            continue
        if field.group and chosen.get(field.group) != field.name:
            continue
        default = (
            wellknown.DEFAULTS.get(field.element.kind) if field.singular and not field.explicit else None
        )
        if default is None or getattr(value, "raw", None) is not None or value != default:
            out[field.name] = value
    return out


def complete(schema: "Schema", values: dict[str, Any]) -> None:
    """Add what betterproto expects to values as decoded."""
    values.setdefault(UNKNOWN, b"")
    values[GROUPS] = dict.fromkeys(schema.groups)
    for field in schema.fields:
        if field.name not in values:
            continue
        if field.group:
            values[GROUPS][field.group] = field.name
        if field.singular and field.element.kind in (TIMESTAMP, DURATION):
            value = values[field.name]
            if type(value) is list:
                value = wellknown.resolve_or_keep(field.element.kind, value, keep_default=not field.explicit)
                values[field.name] = value
