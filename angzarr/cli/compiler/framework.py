"""Generate ``angzarr._gen``, the messages that angzarr itself speaks, from the proto files of the checkout."""

import ast
from collections.abc import Iterable
from pathlib import Path

from betterproto.compile.naming import pythonize_enum_member_name
from betterproto.lib.google.protobuf import FileDescriptorSet

from angzarr.cli.compiler.generate import modules
from angzarr.cli.compiler.naming import all_enums, python_class_name, require_distinct
from angzarr.cli.compiler.protoc import descriptor_set, require_compiler
from angzarr.cli.compiler.shipped import FRAMEWORK_PACKAGE
from angzarr.cli.compiler.trees import DESCRIPTORS, Tree, literal, name_table, proto_files

_ROOT = '''"""The messages that angzarr speaks on the wire. Written by `nox -s protos`; do not edit."""

from pathlib import Path


def descriptor_set() -> bytes:
    """The serialized FileDescriptorSet of everything here, with all imports."""
    return Path(__file__).with_name("descriptors.binpb").read_bytes()
'''

_ENUMS = '''"""The base of generated enums: betterproto's. Written by `nox -s protos`; do not edit."""

from typing import TYPE_CHECKING

import betterproto

if TYPE_CHECKING:
    from enum import IntEnum
    from typing import Self

    class Enum(IntEnum):
        """As type checkers have to see it; they cannot follow betterproto's own definition."""

        @classmethod
        def try_value(cls, value: int = 0) -> Self: ...
        @classmethod
        def from_string(cls, name: str) -> Self: ...

else:
    Enum = betterproto.Enum
'''

_NAMES = '''"""Full protobuf names of the generated classes. Written by `nox -s protos`; do not edit."""

PACKAGES: dict[str, dict[str, str]] = {table}

NAMES = PACKAGES["{own}"]
'''


def framework_tree(protos: Path) -> Tree:
    """Generate the files of ``angzarr/_gen``.

    Args:
        protos: the checkout's ``protos`` directory.

    Returns:
        Content by path relative to ``angzarr/_gen``.

    Raises:
        CommandLineError: the compiler extra is missing, or a file does not compile.
    """
    require_compiler()
    names = proto_files(protos)
    descriptors = descriptor_set([protos], names, source_info=True)
    own = [file for file in FileDescriptorSet().parse(descriptors).file if file.name in names]
    require_distinct(own)
    aliases = {
        (file.package, python_class_name("_" + "_".join(path))): _aliases(path, [v.name for v in enum.value])
        for file in own
        for path, enum in all_enums(file)
    }
    table = name_table(own)
    tree: Tree = {
        Path("__init__.py"): _ROOT.encode(),
        Path("enums.py"): _ENUMS.encode(),
        Path("names.py"): _NAMES.format(table=literal(table), own=FRAMEWORK_PACKAGE).encode(),
        Path(DESCRIPTORS): descriptor_set([protos], names, source_info=False),
    }
    for module, source in modules(descriptors, table, services=False).items():
        text = _with_aliases(
            source, {name: found for (package, name), found in aliases.items() if package == module}
        )
        tree[Path(*module.split("."), "__init__.py")] = text.encode()
    return tree


def _aliases(path: tuple[str, ...], values: Iterable[str]) -> dict[str, str]:
    """Full proto value names by the short member names that betterproto gives, where they differ."""
    members = {pythonize_enum_member_name(value, "_" + "_".join(path)): value for value in values}
    return {member: value for member, value in members.items() if member != value}


def _with_aliases(source: str, enums: dict[str, dict[str, str]]) -> str:
    """Add the full proto value names to enum classes; betterproto makes members of equal value aliases."""
    lines = source.splitlines()
    classes = [
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and enums.get(node.name)
    ]
    for node in reversed(classes):
        end = node.end_lineno or node.lineno
        lines[end:end] = ["", *(f"    {full} = {short}" for short, full in enums[node.name].items())]
    return "\n".join(lines) + "\n"
