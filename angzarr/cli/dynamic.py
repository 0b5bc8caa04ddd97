"""Message classes made from descriptors at run time, as the code generator would write them."""

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import betterproto
from betterproto.compile.naming import pythonize_field_name

from angzarr import codec
from angzarr.cli.descriptors import EnumDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor
from angzarr.messages import message_class, register, registered_names

_MODULE = "angzarr.cli._dynamic_messages"
_REPEATED = 3
_KINDS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    11: "message",
    12: "bytes",
    13: "uint32",
    14: "enum",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}
_PYTHON = {"double": "float", "float": "float", "bool": "bool", "string": "str", "bytes": "bytes"}
_TIMES = {".google.protobuf.Timestamp": "datetime", ".google.protobuf.Duration": "timedelta"}
_WRAPPERS = {
    ".google.protobuf.DoubleValue": ("float", "double"),
    ".google.protobuf.FloatValue": ("float", "float"),
    ".google.protobuf.Int64Value": ("int", "int64"),
    ".google.protobuf.UInt64Value": ("int", "uint64"),
    ".google.protobuf.Int32Value": ("int", "int32"),
    ".google.protobuf.UInt32Value": ("int", "uint32"),
    ".google.protobuf.BoolValue": ("bool", "bool"),
    ".google.protobuf.StringValue": ("str", "string"),
    ".google.protobuf.BytesValue": ("bytes", "bytes"),
}


def register_described(files: Mapping[str, bytes]) -> None:
    """Make a class for every message that nobody has registered yet, and register it.

    Args:
        files: serialized FileDescriptorProtos by file name, everything they import included.
    """
    known = set(registered_names())
    parsed = [codec.decode(FileDescriptor, content) for content in files.values()]
    module = sys.modules.setdefault(_MODULE, ModuleType(_MODULE))
    vars(module).update(_basics())
    messages = dict(found for file in parsed for found in _messages(file.prefix, file.message_type))
    enums = dict(found for file in parsed for found in _enums_of(file))
    for name, enum in enums.items():
        setattr(module, _identifier(name), _enum_class(_identifier(name), enum))
    ours = {name: message for name, message in messages.items() if name not in known}
    for name in messages.keys() - ours.keys():
        setattr(module, _identifier(name), message_class(name))
    for name, message in ours.items():
        setattr(module, _identifier(name), _message_class(name, message))
    for name in ours:
        register(getattr(module, _identifier(name)), name)


def _basics() -> dict[str, Any]:
    import datetime

    import betterproto.lib.google.protobuf as wkt

    return {"datetime": datetime.datetime, "timedelta": datetime.timedelta, "wkt": wkt}


def _identifier(full_name: str) -> str:
    return "M_" + full_name.replace("_", "__").replace(".", "_")


def _messages(prefix: str, messages: Iterable[MessageDescriptor]) -> Iterator[tuple[str, MessageDescriptor]]:
    if prefix == "google.protobuf.":
        return
    for message in messages:
        if not message.options.map_entry:
            yield prefix + message.name, message
            yield from _messages(f"{prefix}{message.name}.", message.nested_type)


def _enums_of(file: FileDescriptor) -> Iterator[tuple[str, EnumDescriptor]]:
    if file.package == "google.protobuf":
        return
    yield from ((file.prefix + enum.name, enum) for enum in file.enum_type)
    for name, message in _messages(file.prefix, file.message_type):
        yield from ((f"{name}.{enum.name}", enum) for enum in message.enum_type)


def _enum_class(name: str, enum: EnumDescriptor) -> type:
    members = {f"V_{value.name}": value.number for value in enum.value}
    make: Any = type(betterproto.Enum)
    made: type = make(name, (betterproto.Enum,), {"__module__": _MODULE, **members})
    return made


def _message_class(name: str, message: MessageDescriptor) -> type[betterproto.Message]:
    entries = {f".{name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    fields = [
        _map_field(field, entries[field.type_name])
        if field.type_name in entries
        else _field(field, _oneof_of(field, message))
        for field in message.field
    ]
    body = {
        "__module__": _MODULE,
        "__annotations__": {python_name: hint for python_name, hint, _ in fields},
        **{python_name: declared for python_name, _, declared in fields},
    }
    made = type(_identifier(name), (betterproto.Message,), body)
    return dataclasses.dataclass(eq=False, repr=False)(made)


def _oneof_of(field: FieldDescriptor, message: MessageDescriptor) -> str | None:
    if field.proto3_optional or field.oneof_index is None:
        return None
    return message.oneof_decl[field.oneof_index].name


def _hint(field: FieldDescriptor) -> tuple[str, str | None]:
    """The annotation of a single value, and what it wraps."""
    kind = _KINDS[field.type]
    if field.type_name in _TIMES:
        return _TIMES[field.type_name], None
    if field.type_name in _WRAPPERS:
        python, wraps = _WRAPPERS[field.type_name]
        return f"{python} | None", wraps
    if field.type_name.startswith(".google.protobuf."):
        return f"wkt.{field.type_name.rpartition('.')[2]}", None
    if kind in ("message", "enum"):
        return _identifier(field.type_name.removeprefix(".")), None
    return _PYTHON.get(kind, "int"), None


def _field(field: FieldDescriptor, group: str | None) -> tuple[str, str, Any]:
    hint, wraps = _hint(field)
    declare = getattr(betterproto, f"{_KINDS[field.type]}_field")
    options: dict[str, Any] = {"optional": True} if field.proto3_optional else {}
    if group is not None:
        options["group"] = group
    if wraps is not None:
        options["wraps"] = wraps
    if field.label == _REPEATED:
        hint = f"list[{hint}]"
    elif field.proto3_optional:
        hint = f"{hint} | None"
    return pythonize_field_name(field.name), hint, declare(field.number, **options)


def _map_field(field: FieldDescriptor, entry: MessageDescriptor) -> tuple[str, str, Any]:
    key, value = entry.field
    hint = f"dict[{_hint(key)[0]}, {_hint(value)[0]}]"
    kinds = (_KINDS[key.type], _KINDS[value.type])
    return pythonize_field_name(field.name), hint, betterproto.map_field(field.number, *kinds)
