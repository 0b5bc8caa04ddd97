"""The part of google.protobuf's descriptor messages that the command line reads.

betterproto's own classes do not tell an absent ``oneof_index`` from 0.
"""

from dataclasses import dataclass

import betterproto

# ruff: noqa: RUF009


@dataclass(eq=False, repr=False)
class FieldDescriptor(betterproto.Message):
    """One field."""

    name: str = betterproto.string_field(1)
    number: int = betterproto.int32_field(3)
    label: int = betterproto.int32_field(4)
    type: int = betterproto.int32_field(5)
    type_name: str = betterproto.string_field(6)
    oneof_index: "int | None" = betterproto.int32_field(9, optional=True)
    json_name: str = betterproto.string_field(10)
    proto3_optional: bool = betterproto.bool_field(17)


@dataclass(eq=False, repr=False)
class OneofDescriptor(betterproto.Message):
    """One oneof."""

    name: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class EnumValueDescriptor(betterproto.Message):
    """One value of an enum."""

    name: str = betterproto.string_field(1)
    number: int = betterproto.int32_field(2)


@dataclass(eq=False, repr=False)
class EnumDescriptor(betterproto.Message):
    """One enum."""

    name: str = betterproto.string_field(1)
    value: "list[EnumValueDescriptor]" = betterproto.message_field(2)


@dataclass(eq=False, repr=False)
class MessageOptions(betterproto.Message):
    """What is special about a message."""

    map_entry: bool = betterproto.bool_field(7)


@dataclass(eq=False, repr=False)
class MessageDescriptor(betterproto.Message):
    """One message."""

    name: str = betterproto.string_field(1)
    field: "list[FieldDescriptor]" = betterproto.message_field(2)
    nested_type: "list[MessageDescriptor]" = betterproto.message_field(3)
    enum_type: "list[EnumDescriptor]" = betterproto.message_field(4)
    options: "MessageOptions" = betterproto.message_field(7)
    oneof_decl: "list[OneofDescriptor]" = betterproto.message_field(8)


@dataclass(eq=False, repr=False)
class FileDescriptor(betterproto.Message):
    """One file."""

    name: str = betterproto.string_field(1)
    package: str = betterproto.string_field(2)
    message_type: "list[MessageDescriptor]" = betterproto.message_field(4)
    enum_type: "list[EnumDescriptor]" = betterproto.message_field(5)

    @property
    def prefix(self) -> str:
        """What full names of the file's declarations start with."""
        return f"{self.package}." if self.package else ""
