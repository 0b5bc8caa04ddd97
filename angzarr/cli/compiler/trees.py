"""Directories of generated files: what goes in, and how it gets onto the disk without ever being there by half."""

import ast
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from betterproto.lib.google.protobuf import FileDescriptorProto

from angzarr.cli.compiler.naming import declarations

Tree: TypeAlias = dict[Path, bytes]


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


def with_packages(tree: Tree) -> Tree:
    """The tree with an empty ``__init__.py`` in every directory that has none."""
    parents = {parent for path in tree for parent in path.parents}
    return {**{parent / "__init__.py": b"" for parent in parents}, **tree}


def write_tree(tree: Tree, target: Path) -> None:
    """Make a directory hold exactly these files; it is replaced as a whole.

    Args:
        tree: content by relative path.
        target: the directory; replaced if it is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as directory:
        fresh = Path(directory, "new")
        for path, content in tree.items():
            file = fresh / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if target.exists():
            target.rename(Path(directory, "old"))
        fresh.rename(target)


def differences(tree: Tree, target: Path) -> list[Path]:
    """Files of a directory that are missing, left over, or other than the tree says.

    Python files are compared by what they say and not by their layout, so that the version of the code formatter does not
    matter.
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
    return path.suffix == ".py" and ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
