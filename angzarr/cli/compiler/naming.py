"""The Python names that betterproto's plugin gives to what a proto file declares.

The plugin flattens nested messages and re-cases names, so two protobuf names can end in one Python name, and the
later class would silently replace the earlier. That is found here, before anything is generated.
"""

import keyword
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from betterproto.compile.naming import pythonize_class_name, pythonize_enum_member_name
from betterproto.lib.google.protobuf import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from angzarr.cli.errors import CommandLineError


@dataclass(frozen=True, slots=True)
class Declaration:
    """A message or enum of a proto file.

    Attributes:
        full_name: protobuf name with its package.
        class_name: what the generated class is called.
        path: the names from the outermost message to this one.
        is_message: False for an enum.
    """

    full_name: str
    class_name: str
    path: tuple[str, ...]
    is_message: bool


def python_class_name(name: str) -> str:
    """The class for a protobuf name without its package (``Outer.Inner`` → ``OuterInner``, ``None`` → ``None_``)."""
    name = pythonize_class_name(name)
    return f"{name}_" if keyword.iskeyword(name) else name


def python_package(package: str) -> str:
    """The dotted module path for a protobuf package: parts that are Python keywords get an underscore."""
    return ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in package.split("."))


def declarations(file: FileDescriptorProto) -> list[Declaration]:
    """Messages and enums of a file, nested ones included, map entries left out."""
    return [*_enums(file.package, (), file.enum_type), *_messages(file.package, (), file.message_type)]


def _messages(
    package: str, outer: tuple[str, ...], messages: Iterable[DescriptorProto]
) -> Iterator[Declaration]:
    for message in messages:
        if message.options.map_entry:
            continue
        path = (*outer, message.name)
        yield _declaration(package, path, is_message=True)
        yield from _enums(package, path, message.enum_type)
        yield from _messages(package, path, message.nested_type)


def _enums(
    package: str, outer: tuple[str, ...], enums: Iterable[EnumDescriptorProto]
) -> Iterator[Declaration]:
    for enum in enums:
        yield _declaration(package, (*outer, enum.name), is_message=False)


def _declaration(package: str, path: tuple[str, ...], *, is_message: bool) -> Declaration:
    name = ".".join(path)
    return Declaration(
        full_name=f"{package}.{name}" if package else name,
        class_name=python_class_name("_" + "_".join(path)),
        path=path,
        is_message=is_message,
    )


def all_enums(file: FileDescriptorProto) -> Iterator[tuple[tuple[str, ...], EnumDescriptorProto]]:
    """Every enum of a file with the names of the messages around it and its own."""

    def nested(
        outer: tuple[str, ...], messages: Iterable[DescriptorProto]
    ) -> Iterator[tuple[tuple[str, ...], EnumDescriptorProto]]:
        for message in messages:
            path = (*outer, message.name)
            yield from (((*path, enum.name), enum) for enum in message.enum_type)
            yield from nested(path, message.nested_type)

    yield from (((enum.name,), enum) for enum in file.enum_type)
    yield from nested((), file.message_type)


def require_distinct(files: Iterable[FileDescriptorProto]) -> None:
    """Check that no two declarations of a package share a Python name.

    Raises:
        CommandLineError: two do.
    """
    classes: dict[tuple[str, str], str] = {}
    for file in files:
        for declared in declarations(file):
            _claim(classes, (file.package, declared.class_name), declared.full_name, "class")
        for path, enum in all_enums(file):
            _require_distinct_members(file, path, enum)


def _require_distinct_members(
    file: FileDescriptorProto, path: tuple[str, ...], enum: EnumDescriptorProto
) -> None:
    numbers = {value.name: value.number for value in enum.value}
    members: dict[tuple[str, str], str] = {}
    for value in enum.value:
        member = pythonize_enum_member_name(value.name, "_" + "_".join(path))
        _claim(
            members,
            (file.name, member),
            value.name,
            f"member of enum {'.'.join(path)}",
            same=lambda one, other: numbers[one] == numbers[other],
        )


def _claim(
    taken: dict[tuple[str, str], str],
    key: tuple[str, str],
    name: str,
    kind: str,
    same: Callable[[str, str], bool] = lambda one, other: False,
) -> None:
    other = taken.setdefault(key, name)
    if other != name and not same(other, name):
        raise CommandLineError(
            f"{other} and {name} would both become the Python {kind} {key[1]!r}",
            remedy="rename one of them: Python names keep neither dots nor underscores nor case",
        )
