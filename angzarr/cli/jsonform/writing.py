"""Messages to JSON."""

from typing import Any

import betterproto
from betterproto.lib.google import protobuf as wkt

from angzarr import codec
from angzarr.cli.jsonform.failures import JsonError
from angzarr.cli.jsonform.names import Named, Names
from angzarr.cli.jsonform.reading import class_of_type
from angzarr.cli.jsonform.scalars import write_scalar
from angzarr.cli.jsonform.special import WRITERS
from angzarr.cli.jsonform.times import exact_duration, exact_timestamp, write_duration, write_timestamp
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element
from angzarr.errors import DecodeError


def write_message(message: betterproto.Message, names: Names, *, original_names: bool = False) -> Any:
    """The JSON form of a message, ready for ``json.dumps``; fields that are not present are left out.

    Args:
        message: any message; what an Any holds is written out when its type is known, and as base64 when not.
        names: what fields are called.
        original_names: write ``snake_case`` names as in the proto file and not ``lowerCamelCase`` ones.
    """
    special = WRITERS.get(type(message))
    if special is not None:
        return special(message)
    if isinstance(message, wkt.Any):
        return _write_any(message, names, original_names)
    return {
        named.proto if original_names else named.json: _write_field(
            named, getattr(message, named.field.name), names, original_names
        )
        for named in names.fields(type(message))
        if codec.has_field(message, named.field.name)
    }


def _write_field(named: Named, value: Any, names: Names, original_names: bool) -> Any:
    field = named.field

    def write(item: Any) -> Any:
        return _write_element(field.element, item, names, named, original_names)

    if field.key is not None:
        return {_write_key(key): write(item) for key, item in value.items()}
    return [write(item) for item in value] if field.repeated else write(value)


def _write_key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _write_element(element: Element, value: Any, names: Names, named: Named, original_names: bool) -> Any:
    if element.kind == MESSAGE:
        return write_message(value, names, original_names=original_names)
    if element.kind == ENUM:
        return _write_enum(element, int(value), named)
    if element.kind == TIMESTAMP:
        return write_timestamp(exact_timestamp(value))
    if element.kind == DURATION:
        return write_duration(exact_duration(value))
    return write_scalar(element.wraps if element.kind == WRAPPER else element.kind, value)


def _write_enum(element: Element, number: int, named: Named) -> Any:
    if element.cls is wkt.NullValue:
        return None
    return next((name for name, value in named.values.items() if value == number), number)


def _write_any(message: wkt.Any, names: Names, original_names: bool) -> dict[str, Any]:
    if not message.type_url:
        return {}
    try:
        cls = class_of_type(message.type_url, "$")
        held = codec.decode(cls, message.value)
    except (JsonError, DecodeError):
        return {"@type": message.type_url, "value": write_scalar("bytes", message.value)}
    content = write_message(held, names, original_names=original_names)
    if cls in WRITERS or cls is wkt.Any:
        return {"@type": message.type_url, "value": content}
    return {"@type": message.type_url, **content}
