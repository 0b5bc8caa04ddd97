"""The descriptors of everything that was generated: what server reflection and tools answer from.

Generated packages register the descriptor set that lies beside their code; it is read when somebody asks.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import betterproto

from angzarr import _gen, codec


@dataclass(eq=False, repr=False)
class _Set(betterproto.Message):
    file: list[bytes] = betterproto.bytes_field(1)  # noqa: RUF009


@dataclass(eq=False, repr=False)
class _File(betterproto.Message):
    name: str = betterproto.string_field(1)


_paths: dict[Path, None] = {}


def register_descriptors(path: str | Path) -> None:
    """Make a descriptor set known; generated packages do so when they are imported.

    Args:
        path: file with a serialized google.protobuf.FileDescriptorSet that includes its imports.
    """
    _paths[Path(path)] = None


def descriptor_files() -> dict[str, bytes]:
    """Every known file: its name, and its serialized google.protobuf.FileDescriptorProto.

    The framework's own files come first, and win over a user's files of the same name.

    Raises:
        DecodeError: a registered file is not a descriptor set.
        OSError: a registered file cannot be read.
    """
    files: dict[str, bytes] = {}
    for found in (_files_of(_gen.descriptor_set()), *(_files_of(path.read_bytes()) for path in _paths)):
        for name, content in found.items():
            files.setdefault(name, content)
    return files


@cache
def _files_of(serialized: bytes) -> dict[str, bytes]:
    return {codec.decode(_File, file).name: file for file in codec.decode(_Set, serialized).file}
