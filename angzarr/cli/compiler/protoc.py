"""Run the protobuf compiler of grpcio-tools, as a process of its own."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from angzarr.cli.errors import CommandLineError

_NEEDED = {"grpc_tools": "grpcio-tools", "black": "black", "isort": "isort", "jinja2": "jinja2"}


def require_compiler() -> None:
    """Check that what the ``compiler`` extra brings is installed.

    Raises:
        CommandLineError: something is missing.
    """
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise CommandLineError(
            f"compiling protos needs {', '.join(missing)}, which is not installed",
            remedy='pip install "angzarr[compiler]"',
        )


def descriptor_set(includes: Sequence[Path], files: Sequence[str], *, source_info: bool) -> bytes:
    """Compile proto files to a serialized FileDescriptorSet that includes everything they import.

    Args:
        includes: include roots, first match wins; the well-known types come last by themselves.
        files: names relative to the roots.
        source_info: keep comments and positions.

    Raises:
        CommandLineError: the compiler refused; its own message is the text.
    """
    _require_nameable(includes, files)
    with tempfile.TemporaryDirectory(prefix="angzarr-protoc-") as directory:
        target = Path(directory, "set.binpb")
        arguments = Path(directory, "arguments")
        arguments.write_text("\n".join(_arguments(includes, files, target, source_info)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"@{arguments}"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd=directory,  # names are looked up below the roots and never beside whoever calls
        )
        if done.returncode != 0:
            raise CommandLineError(
                _as_given(done.stderr.strip(), includes) or f"protoc ended with {done.returncode}"
            )
        return target.read_bytes()


def _require_nameable(includes: Sequence[Path], files: Sequence[str]) -> None:
    roots = [str(include.resolve()) for include in includes]
    for name in (*roots, *files):
        if re.search(r"[\r\n\ud800-\udfff]", name):
            raise CommandLineError(
                f"{name!a} has characters that the compiler cannot be told",
                remedy="rename it; if it reads well elsewhere, set PYTHONUTF8=1",
            )
    for root in roots:
        if os.pathsep in root:
            raise CommandLineError(
                f"{root} has {os.pathsep!r} in its path, where the compiler begins another directory",
                remedy="move the protos to a directory without it",
            )


def _as_given(text: str, includes: Sequence[Path]) -> str:
    """The compiler's message, with paths as the caller wrote them."""
    for include in includes:
        text = text.replace(f"{include.resolve()}{os.sep}", f"{include}{os.sep}")
    return text


def _arguments(includes: Sequence[Path], files: Sequence[str], target: Path, source_info: bool) -> list[str]:
    return [
        *(f"--proto_path={include.resolve()}" for include in includes),
        "--include_imports",
        *(["--include_source_info"] if source_info else []),
        f"--descriptor_set_out={target}",
        *files,
    ]
