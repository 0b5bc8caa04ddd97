"""Messages of classes that have not been prepared, whose values betterproto keeps its own way.

Their ``__dict__`` holds a placeholder for every field without a value, the chosen member of each oneof
beside stale ones, and a default for everything that was read.
"""

from typing import TYPE_CHECKING, Any

import betterproto

from angzarr.codec import wellknown
from angzarr.codec.fields import DURATION, MESSAGE, TIMESTAMP, Field
from angzarr.codec.layout import GROUPS, MARK, ON_WIRE, UNKNOWN

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["brought_over", "complete", "given", "reduced"]


def reduced(schema: "Schema", values: dict[str, Any]) -> dict[str, Any]:
    """Only what is present, as prepared classes keep it."""
    chosen = values.get(GROUPS, {})
    out = {MARK: values.get(ON_WIRE, True)}
    if values.get(UNKNOWN):
        out[UNKNOWN] = values[UNKNOWN]
    for field in schema.fields:
        value = values.get(field.name, betterproto.PLACEHOLDER)
        if value is betterproto.PLACEHOLDER or value is None:
            continue
        if field.group and chosen.get(field.group) != field.name:
            continue
        if field.singular and not field.explicit and _only_read(field, value):
            continue
        out[field.name] = value
    return out


def given(schema: "Schema", values: dict[str, Any]) -> dict[str, Any]:
    """What a constructor was given, before betterproto has noted anything; of a oneof's members the last one."""
    chosen: dict[str, str] = {}
    out = {
        key: value
        for key, value in values.items()
        if key not in schema.by_name and value is not betterproto.PLACEHOLDER
    }
    for field in schema.fields:
        value = values.get(field.name, betterproto.PLACEHOLDER)
        if value is betterproto.PLACEHOLDER or (value is None and field.optional):
            continue
        if field.group:
            out.pop(chosen.get(field.group, ""), None)
            chosen[field.group] = field.name
        out[field.name] = value
    return out


def brought_over(schema: "Schema", values: dict[str, Any]) -> dict[str, Any]:
    """What a message of a class that is being prepared keeps, however far its making has come."""
    return reduced(schema, values) if GROUPS in values else given(schema, values)


def _only_read(field: Field, value: Any) -> bool:
    """Whether betterproto would leave a value out because it is what an absent field reads as."""
    kind = field.element.kind
    if kind == MESSAGE:
        return isinstance(value, betterproto.Message) and not (value._serialized_on_wire or value)
    if kind in (TIMESTAMP, DURATION):
        return getattr(value, "raw", None) is None and bool(value == wellknown.DEFAULTS[kind])
    return False


def complete(schema: "Schema", values: dict[str, Any]) -> None:
    """Add what betterproto expects to values as decoded."""
    values[ON_WIRE] = values.pop(MARK, True)
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
