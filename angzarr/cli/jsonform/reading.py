"""JSON to messages."""

import difflib
import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import betterproto
from betterproto.lib.google import protobuf as wkt

from angzarr import codec
from angzarr.cli.jsonform.failures import JsonError
from angzarr.cli.jsonform.names import Named, Names
from angzarr.cli.jsonform.scalars import kind_of, read_scalar
from angzarr.cli.jsonform.special import READERS
from angzarr.cli.jsonform.times import read_duration, read_timestamp
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import message_class
from angzarr.messages.names import WELL_KNOWN_PACKAGE, name_for_url

M = TypeVar("M", bound=betterproto.Message)

_QUOTING = """write one JSON object, quoted for the shell, such as '{"name": "alice"}'"""


def loads(text: str) -> Any:
    """Parse JSON text, strictly: no duplicate keys, no NaN.

    Raises:
        JsonError: it is not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise JsonError(f"this is not JSON: {error.msg}", at, _QUOTING) from None
    except RecursionError:
        raise JsonError("nested too deeply", "$") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f"{key!r} is there twice", "$")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise JsonError(f'{text} is not JSON; write "{text}" in quotes', "$")


def read_message(cls: type[M], value: Any, names: Names, path: str = "$") -> M:
    """Make a message from parsed JSON.

    Args:
        cls: the message's class.
        value: what ``loads`` returned.
        names: what fields are called.
        path: where the value stands, for errors.

    Raises:
        JsonError: a field is unknown (the known ones are named), or a value is of the wrong type or out of range.
    """
    special = READERS.get(cls)
    if special is not None:
        return special(value, path)  # type: ignore[return-value]
    if cls is wkt.Any:
        return _read_any(value, names, path)  # type: ignore[return-value]
    if not isinstance(value, dict):
        raise JsonError(f"an object is expected, not {kind_of(value)}", path)
    fields = names.fields(cls)
    by_name = {name: field for field in fields for name in (field.json, field.proto)}
    given: dict[str, Any] = {}
    for key, item in value.items():
        named = by_name.get(key)
        if named is None:
            raise JsonError(_unknown_field(key, names.title(cls), fields), path)
        if item is None and not _takes_null(named):
            continue
        _require_alone(named, given, path)
        given[named.field.name] = _read_field(named, item, names, f"{path}.{key}")
    return cls(**given)


def _require_alone(named: Named, given: Mapping[str, Any], path: str) -> None:
    field = named.field
    if field.name in given:
        raise JsonError(f"{named.proto!r} is there twice, in two spellings", path)
    other = next((sibling for sibling in field.siblings if sibling in given), None)
    if other:
        raise JsonError(f"{other!r} and {field.name!r} exclude each other: give one", path)


def _unknown_field(key: str, title: str, fields: tuple[Named, ...]) -> str:
    known = [field.proto for field in fields]
    if not known:
        return f"{key!r} is no field of {title}, which has none"
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{key!r} is no field of {title}: {hint}its fields are {', '.join(known)}"


def _takes_null(named: Named) -> bool:
    element = named.field.element
    return named.field.singular and element.cls in (wkt.Value, wkt.NullValue)


def _read_field(named: Named, value: Any, names: Names, path: str) -> Any:
    field = named.field
    if field.key is not None:
        return _read_map(named, value, names, path)
    if field.repeated:
        if not isinstance(value, list):
            raise JsonError(f"a list is expected, not {kind_of(value)}", path)
        return [
            _read_item(field.element, item, names, named, f"{path}[{at}]") for at, item in enumerate(value)
        ]
    return _read_element(field.element, value, names, named, path)


def _read_map(named: Named, value: Any, names: Names, path: str) -> dict[Any, Any]:
    field = named.field
    assert field.key is not None
    if not isinstance(value, dict):
        raise JsonError(f"an object is expected, not {kind_of(value)}", path)
    found: dict[Any, Any] = {}
    for text, item in value.items():
        at = f"{path}[{text!r}]"
        key = _read_key(field.key, text, at)
        if key in found:
            raise JsonError(f"key {text!r} is there twice, in two spellings", at)
        found[key] = _read_item(field.element, item, names, named, at)
    return found


def _read_key(element: Element, text: str, path: str) -> Any:
    if element.kind == "bool":
        if text not in ("true", "false"):
            raise JsonError(f"the key must be true or false, not {text!r}", path)
        return text == "true"
    return read_scalar(element.kind, text, path)


def _read_item(element: Element, value: Any, names: Names, named: Named, path: str) -> Any:
    if value is None and element.cls not in (wkt.Value, wkt.NullValue):
        raise JsonError("null cannot stand in a list or map", path)
    return _read_element(element, value, names, named, path)


def _read_element(element: Element, value: Any, names: Names, named: Named, path: str) -> Any:
    if element.kind == MESSAGE:
        return read_message(element.message_class, value, names, path)
    if element.kind == ENUM:
        return _read_enum(element, value, named, path)
    if element.kind == TIMESTAMP:
        return read_timestamp(value, path)
    if element.kind == DURATION:
        return read_duration(value, path)
    return read_scalar(element.wraps if element.kind == WRAPPER else element.kind, value, path)


def _read_enum(element: Element, value: Any, named: Named, path: str) -> Any:
    enum: Any = element.cls
    if enum is wkt.NullValue and value is None:
        return wkt.NullValue(0)
    if isinstance(value, str):
        short = {name: int(member) for name, member in enum.__members__.items()}
        number = named.values.get(value, short.get(value))
        if number is None:
            raise JsonError(f"{value!r} is none of {', '.join(named.values)}", path)
        return enum.try_value(number)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JsonError(f"one of {', '.join(named.values)} is expected, not {kind_of(value)}", path)
    return enum.try_value(read_scalar("int32", value, path))


def _read_any(value: Any, names: Names, path: str) -> wkt.Any:
    if not isinstance(value, dict):
        raise JsonError(f"an object is expected, not {kind_of(value)}", path)
    if not value:
        return wkt.Any()
    url = value.get("@type")
    if not isinstance(url, str):
        raise JsonError('"@type" is missing, such as "type.googleapis.com/my.package.MyMessage"', path)
    cls = class_of_type(url, path)
    rest = {key: item for key, item in value.items() if key != "@type"}
    if cls in READERS or cls is wkt.Any:
        if set(rest) != {"value"}:
            raise JsonError(f'{cls.__name__} stands under "value" beside "@type"', path)
        rest = rest["value"]
    return wkt.Any(type_url=url, value=codec.encode(read_message(cls, rest, names, path)))


def class_of_type(url: str, path: str) -> type[betterproto.Message]:
    """The class of a type URL.

    Raises:
        JsonError: nobody registered it.
    """
    name = name_for_url(url)
    google = name.removeprefix(WELL_KNOWN_PACKAGE)
    found = getattr(wkt, google, None) if google != name else None
    if isinstance(found, type) and issubclass(found, betterproto.Message):
        return found
    try:
        return message_class(name)
    except UnregisteredMessageError:
        raise JsonError(f"the message {name!r} is not known", path) from None
