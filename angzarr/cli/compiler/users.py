"""``angzarr protos compile``: generate a package from users' proto files."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from betterproto.lib.google.protobuf import FileDescriptorProto, FileDescriptorSet

from angzarr import codec
from angzarr.cli.compiler.generate import modules
from angzarr.cli.compiler.naming import python_package, require_distinct
from angzarr.cli.compiler.protoc import descriptor_set, require_compiler
from angzarr.cli.compiler.shipped import FRAMEWORK_PACKAGE, include_root, shipped_files
from angzarr.cli.compiler.trees import (
    DESCRIPTORS,
    REGISTRY,
    Tree,
    literal,
    name_table,
    proto_files,
    require_ours,
    require_package_path,
    with_packages,
    write_tree,
)
from angzarr.cli.errors import CommandLineError

_WELL_KNOWN = "google.protobuf"

_REGISTRY_SOURCE = '''"""The protobuf names of the messages here. Written by `angzarr protos compile`; do not edit."""

from importlib import import_module
from pathlib import Path

from angzarr.messages.descriptors import register_descriptors
from angzarr.messages.names import register_names

NAMES: dict[str, dict[str, str]] = {table}

_modules = {{name: import_module(f"{{__package__}}.{{name}}".rstrip(".")) for name in NAMES}}
for _name, _module in _modules.items():
    register_names(_module, NAMES[_name])
register_descriptors(Path(__file__).with_name("{descriptors}"))
'''

_SHIM = '''"""The messages of {package}, which angzarr brings. Written by `angzarr protos compile`; do not edit."""

from angzarr._gen.{package} import *  # noqa: F403
'''

_ROOT = '''"""Messages generated from proto files. Written by `angzarr protos compile`; do not edit."""
'''

_REGISTER = f"\nfrom . import {REGISTRY} as {REGISTRY}  # noqa: E402\n"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compilation wrote.

    Attributes:
        files: how many proto files were compiled.
        messages: full message names by protobuf package.
    """

    files: int
    messages: Mapping[str, Sequence[str]]


def compile_protos(sources: Sequence[Path], out: Path) -> Compiled:
    """Generate Python for every proto file below some include roots.

    Args:
        sources: the include roots.
        out: the package directory to write; everything in it is replaced, and nothing is touched when something fails.

    Raises:
        CommandLineError: the compiler extra is missing, a root or the target is unusable, or the protos do not
            compile; then the text is the compiler's own.
    """
    require_compiler()
    require_package_path(out)
    require_ours(out)
    names = _input_names(sources)
    with include_root() as framework:
        includes = [framework, *sources]
        documented = descriptor_set(includes, names, source_info=True)
        plain = descriptor_set(includes, names, source_info=False)
    described = codec.decode(FileDescriptorSet, plain).file
    own = [file for file in described if file.name in names and file.package != _WELL_KNOWN]
    _require_supported(own)
    require_distinct(own)
    table = name_table(own)
    tree = _tree(modules(documented, table), table, plain, foreign=_foreign(described, own))
    write_tree(tree, out, check=lambda fresh: _require_importable(fresh, table))
    return Compiled(len(own), {package: tuple(found) for package, found in table.items()})


def _input_names(sources: Sequence[Path]) -> list[str]:
    roots: dict[str, Path] = {}
    for source in sources:
        if not source.is_dir():
            is_file = source.is_file()
            raise CommandLineError(
                f"{source} is a file" if is_file else f"{source} is not there",
                remedy="give the directory that import statements start from"
                + (f", such as {source.parent}" if is_file else ""),
            )
        for name in proto_files(source):
            if roots.setdefault(name, source) != source:
                raise CommandLineError(
                    f"{name} is in {roots[name]} and in {source}", remedy="rename one or leave one root out"
                )
    names = sorted(roots.keys() - shipped_files())
    if not names:
        raise CommandLineError(
            f"there is no proto file in {', '.join(map(str, sources))}",
            remedy="give the directory that holds your *.proto files",
        )
    return names


def _require_supported(files: Iterable[FileDescriptorProto]) -> None:
    for file in files:
        if file.syntax != "proto3":
            raise CommandLineError(
                f"{file.name} is {file.syntax or 'proto2'}, and only proto3 can be generated",
                remedy='start the file with: syntax = "proto3";',
            )
        if file.package == FRAMEWORK_PACKAGE:
            raise CommandLineError(
                f"{file.name} declares the package {FRAMEWORK_PACKAGE}, which is angzarr's own",
                remedy="give the file a package of its own",
            )


def _foreign(described: Iterable[FileDescriptorProto], own: Iterable[FileDescriptorProto]) -> set[str]:
    return {file.package for file in described} - {file.package for file in own} - {_WELL_KNOWN}


def _tree(
    generated: Mapping[str, str],
    table: Mapping[str, Mapping[str, str]],
    descriptors: bytes,
    *,
    foreign: Collection[str],
) -> Tree:
    by_module = {python_package(package): names for package, names in table.items()}
    registry = _REGISTRY_SOURCE.format(table=literal(by_module), descriptors=DESCRIPTORS)
    tree: Tree = {
        **{_module_path(package): _SHIM.format(package=package).encode() for package in foreign},
        **{_module_path(module): source.encode() for module, source in generated.items()},
        Path(f"{REGISTRY}.py"): registry.encode(),
        Path(DESCRIPTORS): descriptors,
    }
    root = generated.get("", _ROOT)
    return with_packages({**tree, Path("__init__.py"): (root + _REGISTER).encode()})


def _module_path(module: str) -> Path:
    return Path(*module.split("."), "__init__.py") if module else Path("__init__.py")


def _require_importable(package: Path, table: Mapping[str, Mapping[str, str]]) -> None:
    """Import the generated package in a fresh interpreter, before it takes the place of the old one."""
    expected = [name for names in table.values() for name in names]
    script = (
        f"import {package.parent.name}.{package.name}\n"
        "from angzarr.messages import message_class\n"
        f"for name in {expected!r}: message_class(name)()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, [package.parent.parent.resolve(), *sys.path])),
        },
    )
    if done.returncode != 0:
        raise CommandLineError(
            f"the generated code does not work: {done.stderr.strip().rpartition(chr(10))[2]}",
            remedy="a name in the protos gets in the way of Python's; rename it, or tell us about it",
        )
