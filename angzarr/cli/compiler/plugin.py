"""betterproto's code generator: a FileDescriptorSet on stdin, a CodeGeneratorResponse on stdout.

It runs in a process of its own (``python -m angzarr.cli.compiler.plugin [--without-services]``), because the generator
patches betterproto's descriptor classes, and only with the patch do these survive being read and written. Beyond
betterproto's own entry point it looks types up by the packages that exist, where betterproto guesses from upper and
lower case, gives an underscore to classes and packages that are named like Python keywords, and lets comments hold
backslashes and quotes.
"""

import sys
from collections.abc import Callable, Collection, Iterable

import betterproto.compile.importing as importing
import betterproto.plugin.models as models
from betterproto.lib.google.protobuf import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from betterproto.lib.google.protobuf.compiler import CodeGeneratorRequest
from betterproto.plugin.parser import generate_code

from angzarr.cli.compiler.naming import python_class_name, python_package

# Annotations as strings in today's spelling: a message may be called List or Optional then.
_PARAMETER = "typing.310"

_COMMENT_OF = models.get_comment


def splitter(packages: Collection[str]) -> Callable[[str], tuple[str, str]]:
    """A function from a type name such as ``.my.package.Outer.Inner`` to its package and the name in it."""

    def split(type_name: str) -> tuple[str, str]:
        name = type_name.removeprefix(".")
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            package = ".".join(parts[:end])
            if package in packages:
                return package, ".".join(parts[end:])
        return "", name

    return split


def use_python_packages(files: Iterable[FileDescriptorProto]) -> None:
    """Rename packages that are no Python module paths, in their files and wherever their types are used."""
    split = splitter({file.package for file in files})

    def new_name(type_name: str) -> str:
        package, name = split(type_name)
        return f".{python_package(package)}.{name}" if package else type_name

    def rename(message: DescriptorProto) -> None:
        for field in message.field:
            if field.type_name:
                field.type_name = new_name(field.type_name)
        for inner in message.nested_type:
            rename(inner)

    for file in files:
        file.package = python_package(file.package)
        for message in file.message_type:
            rename(message)
        for method in (method for service in file.service for method in service.method):
            method.input_type, method.output_type = new_name(method.input_type), new_name(method.output_type)


def literal_docstring(docstring: str) -> str:
    """A docstring that reads as its comment does, whatever backslashes and quotes are in it."""
    opening, _, rest = docstring.partition('"""')
    comment = rest.removesuffix('"""').replace("\\", "\\\\").replace('"""', r"\"\"\"")
    return f'{opening}"""{comment}"""' if docstring else ""


def _get_comment(proto_file: FileDescriptorProto, path: list[int], indent: int = 4) -> str:
    return literal_docstring(_COMMENT_OF(proto_file, path, indent))


def main(*, services: bool) -> None:
    """Generate the modules of the files on stdin."""
    models.monkey_patch_oneof_index()  # type: ignore[no-untyped-call]
    files = FileDescriptorSet().parse(sys.stdin.buffer.read()).file
    use_python_packages(files)
    if not services:
        for file in files:
            file.service = []
    for module in (importing, models):
        module.parse_source_type_name = splitter({file.package for file in files})  # type: ignore[attr-defined]
        module.pythonize_class_name = python_class_name  # type: ignore[attr-defined]
    models.get_comment = _get_comment
    request = CodeGeneratorRequest([file.name for file in files], _PARAMETER, proto_file=files)
    sys.stdout.buffer.write(bytes(generate_code(request)))


if __name__ == "__main__":
    main(services="--without-services" not in sys.argv)
