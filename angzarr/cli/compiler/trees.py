"""Directories of generated files: what goes in, and how it gets onto the disk without ever being there by half."""

import ast
import keyword
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from betterproto.lib.google.protobuf import FileDescriptorProto, FileDescriptorSet

from angzarr import codec
from angzarr.cli.compiler.naming import declarations
from angzarr.cli.errors import CommandLineError

Tree: TypeAlias = dict[Path, bytes]

DESCRIPTORS = "descriptors.binpb"
REGISTRY = "_registry"

_MARKS = (b"Written by `angzarr protos compile`", b"# This file has been @generated")


def proto_files(root: Path) -> list[str]:
    """Every ``*.proto`` file below a directory, relative to it, in the order of their names."""
    return sorted(found.relative_to(root).as_posix() for found in root.rglob("*.proto"))


def name_table(files: Iterable[FileDescriptorProto]) -> dict[str, dict[str, str]]:
    """Protobuf package → full message name → class name, sorted."""
    table: dict[str, dict[str, str]] = {}
    for file in files:
        names = table.setdefault(file.package, {})
        names.update({found.full_name: found.class_name for found in declarations(file) if found.is_message})
    return {package: dict(sorted(table[package].items())) for package in sorted(table)}


def literal(table: Mapping[str, Mapping[str, str]]) -> str:
    """Python source of a table of names."""
    rows: list[str] = []
    for package, names in table.items():
        rows += [
            f'    "{package}": {{\n',
            *(f'        "{full}": "{cls}",\n' for full, cls in names.items()),
            "    },\n",
        ]
    return "".join(["{\n", *rows, "}"])


def with_packages(tree: Tree) -> Tree:
    """The tree with an empty ``__init__.py`` in every directory that has none."""
    parents = {parent for path in tree for parent in path.parents}
    return {**{parent / "__init__.py": b"" for parent in parents}, **tree}


def require_package_path(target: Path) -> None:
    """Check that a directory's name can be imported.

    Raises:
        CommandLineError: it cannot.
    """
    name = target.resolve().name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise CommandLineError(
            f"{target} cannot be a Python package: {name!r} is not an importable name",
            remedy="choose a name such as 'messages'",
        )


def require_ours(target: Path) -> None:
    """Check that replacing a directory loses nothing but generated files.

    Raises:
        CommandLineError: it holds others.
    """
    if target.exists() and not target.is_dir():
        raise CommandLineError(f"{target} is a file", remedy="give a directory")
    for found in sorted(target.rglob("*")):
        if found.is_file() and not _is_generated(found):
            raise CommandLineError(
                f"{target} holds {found.relative_to(target)}, which was not generated",
                remedy="give --out a directory of its own; everything in it is replaced each time",
            )


def _is_generated(path: Path) -> bool:
    if "__pycache__" in path.parts or path.name == DESCRIPTORS:
        return True
    if path.suffix != ".py":
        return False
    content = path.read_bytes()
    return not content.strip() or any(mark in content for mark in _MARKS)


def write_tree(tree: Tree, target: Path, check: Callable[[Path], None] = lambda fresh: None) -> None:
    """Make a directory hold exactly these files; it is replaced as a whole, or left alone.

    Args:
        tree: content by relative path.
        target: the directory; replaced if it is there.
        check: called with the new directory before it takes the place of the old one; what it raises stops it.

    Raises:
        CommandLineError: the directory cannot be written.
    """
    try:
        _write_tree(tree, target, check)
    except OSError as error:
        raise CommandLineError(
            f"{target} cannot be written: {error.strerror or error}",
            remedy="choose a directory of yours, on a disk with space left",
        ) from None


def _write_tree(tree: Tree, target: Path, check: Callable[[Path], None]) -> None:
    home = next(parent for parent in target.resolve().parents if parent.is_dir())
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=home) as directory:
        fresh = Path(directory, "generated_anew", target.resolve().name)
        for path, content in tree.items():
            file = fresh / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        check(fresh)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(Path(directory, "old"))
        fresh.rename(target)


def differences(tree: Tree, target: Path) -> list[Path]:
    """Files of a directory that are missing, left over, or other than the tree says.

    Python files are compared by what they say and not by their layout, and descriptors without the well-known files, so
    that the versions of formatter and compiler do not matter.
    """
    present = {found.relative_to(target) for found in target.rglob("*") if _is_content(found)}
    changed = {
        path for path in present & set(tree) if not _equal(path, (target / path).read_bytes(), tree[path])
    }
    return sorted((present ^ set(tree)) | changed)


def _is_content(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _equal(path: Path, one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    if path.name == DESCRIPTORS:
        return _own_files(one) == _own_files(other)
    return path.suffix == ".py" and ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))


def _own_files(descriptors: bytes) -> dict[str, bytes]:
    """The files of a descriptor set without the well-known ones, which differ between versions of the compiler."""
    files = codec.decode(FileDescriptorSet, descriptors).file
    return {file.name: codec.encode(file) for file in files if not file.name.startswith("google/protobuf/")}
