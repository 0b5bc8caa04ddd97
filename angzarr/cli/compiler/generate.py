"""From descriptors to Python source, one module a protobuf package."""

import re
import subprocess
import sys
from collections.abc import Collection

from betterproto.lib.google.protobuf.compiler import CodeGeneratorResponse

from angzarr.cli.compiler.naming import python_package
from angzarr.cli.errors import CommandLineError


def modules(descriptors: bytes, wanted: Collection[str], *, services: bool = True) -> dict[str, str]:
    """Generate the modules of some packages.

    Args:
        descriptors: serialized FileDescriptorSet of all files involved, imported ones too, with source info.
        wanted: the packages to generate.
        services: generate stubs and bases for services as well.

    Returns:
        Source text by dotted module path, ``""`` for the messages of files without a package.

    Raises:
        CommandLineError: the generator failed; its own message is the text.
    """
    done = subprocess.run(
        [sys.executable, "-m", "angzarr.cli.compiler.plugin", *([] if services else ["--without-services"])],
        input=descriptors,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CommandLineError(f"betterproto's code generator failed: {last or done.stdout.decode()}")
    written = {
        _module_of(file.name): file.content for file in CodeGeneratorResponse().parse(done.stdout).file
    }
    return {
        python_package(name): _with_routes_of(name, _robust(written[python_package(name)])) for name in wanted
    }


def _module_of(path: str) -> str:
    return path.replace("\\", "/").removesuffix("__init__.py").strip("/").replace("/", ".")


def _robust(source: str) -> str:
    """Let fields be called like the types that annotations name, and type checkers see enums as enums."""
    source, enums = re.subn(r"^(class \w+)\(betterproto\.Enum\):", r"\1(_Enum):", source, flags=re.MULTILINE)
    lines = source.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    imports = ["from __future__ import annotations\n"]
    if re.search(r"\bbuiltins\.", source) and "import builtins\n" not in lines:
        imports.append("\nimport builtins\n")
    if enums:
        imports.append("\nfrom angzarr._gen.enums import Enum as _Enum\n")
    return "".join([*lines[:start], "\n", *imports, *lines[start:]])


def _with_routes_of(package: str, source: str) -> str:
    """Paths of RPCs carry the package's protobuf name, whatever its Python name is."""
    if python_package(package) == package:
        return source
    return source.replace(f'"/{python_package(package)}.', f'"/{package}.')
