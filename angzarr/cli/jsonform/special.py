"""The well-known types that have a JSON form of their own."""

import re
from collections.abc import Callable
from typing import Any, cast

import betterproto
from betterproto import which_one_of
from betterproto.lib.google import protobuf as wkt

from angzarr.cli.jsonform.failures import JsonError
from angzarr.cli.jsonform.scalars import kind_of, read_scalar, write_scalar
from angzarr.cli.jsonform.times import (
    exact_duration,
    exact_timestamp,
    read_duration,
    read_timestamp,
    write_duration,
    write_timestamp,
)

Message = betterproto.Message

_WRAPPERS: dict[type[Message], str] = {
    wkt.DoubleValue: "double",
    wkt.FloatValue: "float",
    wkt.Int64Value: "int64",
    wkt.UInt64Value: "uint64",
    wkt.Int32Value: "int32",
    wkt.UInt32Value: "uint32",
    wkt.BoolValue: "bool",
    wkt.StringValue: "string",
    wkt.BytesValue: "bytes",
}


def _read_value(value: Any, path: str) -> wkt.Value:
    if value is None:
        return wkt.Value(null_value=wkt.NullValue.try_value(0))
    if isinstance(value, bool):
        return wkt.Value(bool_value=value)
    if isinstance(value, int | float):
        return wkt.Value(number_value=read_scalar("double", value, path))
    if isinstance(value, str):
        return wkt.Value(string_value=read_scalar("string", value, path))
    if isinstance(value, list):
        return wkt.Value(list_value=_read_list(value, path))
    return wkt.Value(struct_value=_read_struct(value, path))


def _read_struct(value: Any, path: str) -> wkt.Struct:
    if not isinstance(value, dict):
        raise JsonError(f"an object is expected, not {kind_of(value)}", path)
    return wkt.Struct(fields={key: _read_value(item, f"{path}.{key}") for key, item in value.items()})


def _read_list(value: Any, path: str) -> wkt.ListValue:
    if not isinstance(value, list):
        raise JsonError(f"a list is expected, not {kind_of(value)}", path)
    return wkt.ListValue(values=[_read_value(item, f"{path}[{at}]") for at, item in enumerate(value)])


def _write_value(value: wkt.Value) -> Any:
    name, held = which_one_of(value, "kind")
    held = cast("Any", held)
    if name == "struct_value":
        return _write_struct(held)
    if name == "list_value":
        return _write_list(held)
    if name == "number_value":
        return write_scalar("double", held)
    return None if name in ("", "null_value") else held


def _write_struct(value: wkt.Struct) -> dict[str, Any]:
    return {key: _write_value(item) for key, item in value.fields.items()}


def _write_list(value: wkt.ListValue) -> list[Any]:
    return [_write_value(item) for item in value.values]


def _read_mask(value: Any, path: str) -> wkt.FieldMask:
    if not isinstance(value, str):
        raise JsonError(f"field names separated by commas are expected, not {kind_of(value)}", path)
    paths = [
        re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", part) for part in value.split(",") if part
    ]
    return wkt.FieldMask(paths=paths)


def _write_mask(value: wkt.FieldMask) -> str:
    return ",".join(re.sub("_([a-z])", lambda found: found[1].upper(), part) for part in value.paths)


def _wrapper_reader(cls: type[Message], kind: str) -> Callable[[Any, str], Message]:
    make: Callable[..., Message] = cls
    return lambda value, path: make(value=read_scalar(kind, value, path))


def _wrapper_writer(kind: str) -> Callable[[Any], Any]:
    return lambda message: write_scalar(kind, message.value)


READERS: dict[type[Message], Callable[[Any, str], Message]] = {
    **{cls: _wrapper_reader(cls, kind) for cls, kind in _WRAPPERS.items()},
    wkt.Value: _read_value,
    wkt.Struct: _read_struct,
    wkt.ListValue: _read_list,
    wkt.FieldMask: _read_mask,
    wkt.Timestamp: lambda value, path: exact_timestamp(read_timestamp(value, path)),
    wkt.Duration: lambda value, path: exact_duration(read_duration(value, path)),
}

WRITERS: dict[type[Message], Callable[[Any], Any]] = {
    **{cls: _wrapper_writer(kind) for cls, kind in _WRAPPERS.items()},
    wkt.Value: _write_value,
    wkt.Struct: _write_struct,
    wkt.ListValue: _write_list,
    wkt.FieldMask: _write_mask,
    wkt.Timestamp: write_timestamp,
    wkt.Duration: write_duration,
}
