"""What fields and enum values are called in JSON: as the descriptors say, else as the Python names suggest."""

import keyword
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import betterproto

from angzarr import codec
from angzarr.cli.descriptors import EnumDescriptor, FileDescriptor, MessageDescriptor
from angzarr.codec.fields import Field
from angzarr.codec.schema import schema_of
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import full_name


@dataclass(frozen=True, slots=True)
class Named:
    """A field with its names.

    Attributes:
        field: how the codec sees it.
        proto: its name in the proto file.
        json: its name in JSON.
        values: of an enum: number by value name.
    """

    field: Field
    proto: str
    json: str
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Described:
    proto: str
    json: str
    enum: str


class Names:
    """The names of fields and enum values of every message.

    Args:
        files: serialized FileDescriptorProtos by file name, as ``angzarr.messages.descriptors.descriptor_files`` has
            them; messages that are not in there are named after their Python classes.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._fields: dict[type[betterproto.Message], tuple[Named, ...]] = {}

    def fields(self, cls: type[betterproto.Message]) -> tuple[Named, ...]:
        """The fields of a class, in the order of their numbers."""
        found = self._fields.get(cls)
        if found is None:
            found = self._fields[cls] = tuple(self._named(cls))
        return found

    def title(self, cls: type[betterproto.Message]) -> str:
        """What to call a class in messages to people: its protobuf name where it has one."""
        return _name_of(cls) or cls.__name__

    def _named(self, cls: type[betterproto.Message]) -> Iterator[Named]:
        described = self._messages.get(_name_of(cls), {})
        for field in schema_of(cls).fields:
            known = described.get(field.number)
            proto = known.proto if known else _without_underscore(field.name)
            values = self._enums.get(known.enum) if known else None
            yield Named(
                field=field,
                proto=proto,
                json=known.json if known else _camel(proto),
                values=values if values is not None else _member_values(field),
            )

    @cached_property
    def _messages(self) -> Mapping[str, Mapping[int, _Described]]:
        return dict(_messages(self._decoded))

    @cached_property
    def _enums(self) -> Mapping[str, Mapping[str, int]]:
        return dict(_enums(self._decoded))

    @cached_property
    def _decoded(self) -> list[FileDescriptor]:
        return [codec.decode(FileDescriptor, content) for content in self._files.values()]


def _name_of(cls: type[betterproto.Message]) -> str:
    if cls.__module__.startswith("betterproto.lib.") and cls.__module__.endswith("google.protobuf"):
        return f"google.protobuf.{cls.__name__}"
    try:
        return full_name(cls)
    except UnregisteredMessageError:
        return ""


def _messages(files: Iterable[FileDescriptor]) -> Iterator[tuple[str, Mapping[int, _Described]]]:
    def walk(
        prefix: str, messages: Iterable[MessageDescriptor]
    ) -> Iterator[tuple[str, Mapping[int, _Described]]]:
        for message in messages:
            name = prefix + message.name
            yield name, dict(_described(message))
            yield from walk(f"{name}.", message.nested_type)

    for file in files:
        yield from walk(file.prefix, file.message_type)


def _described(message: MessageDescriptor) -> Iterator[tuple[int, _Described]]:
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for field in message.field:
        entry = entries.get(field.type_name.rpartition(".")[2])
        value = entry.field[1] if entry else field
        yield field.number, _Described(field.name, field.json_name, value.type_name.removeprefix("."))


def _enums(files: Iterable[FileDescriptor]) -> Iterator[tuple[str, Mapping[str, int]]]:
    def own(prefix: str, enums: Iterable[EnumDescriptor]) -> Iterator[tuple[str, Mapping[str, int]]]:
        for enum in enums:
            yield prefix + enum.name, {value.name: value.number for value in enum.value}

    def walk(prefix: str, messages: Iterable[MessageDescriptor]) -> Iterator[tuple[str, Mapping[str, int]]]:
        for message in messages:
            inner = f"{prefix}{message.name}."
            yield from own(inner, message.enum_type)
            yield from walk(inner, message.nested_type)

    for file in files:
        prefix = file.prefix
        yield from own(prefix, file.enum_type)
        yield from walk(prefix, file.message_type)


def _without_underscore(name: str) -> str:
    bare = name[:-1]
    return bare if name.endswith("_") and keyword.iskeyword(bare) else name


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _member_values(field: Field) -> Mapping[str, int]:
    enum: Any = field.element.cls
    if not (isinstance(enum, type) and issubclass(enum, betterproto.Enum)):
        return {}
    return {name: int(member) for name, member in enum.__members__.items()}
