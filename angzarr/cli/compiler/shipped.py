"""The proto files of the wire contract, as users' protos import them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

FRAMEWORK_PACKAGE = "angzarr_client.proto.angzarr"
_TOP = "angzarr_client"


@cache
def proto_root() -> Path:
    """The directory below which ``angzarr_client/proto/angzarr/*.proto`` lie."""
    package = Path(str(files("angzarr")))
    installed = package / "_protos"
    return installed if installed.is_dir() else package.parent / "protos"


@cache
def shipped_files() -> frozenset[str]:
    """Names of the files of the wire contract, as import statements write them."""
    root = proto_root()
    return frozenset(found.relative_to(root).as_posix() for found in (root / _TOP).rglob("*.proto"))


@contextmanager
def include_root() -> Iterator[Path]:
    """A directory with nothing but the wire contract, so that it hides no other file of the user's."""
    with tempfile.TemporaryDirectory(prefix="angzarr-include-") as directory:
        for name in shipped_files():
            target = Path(directory, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(proto_root() / name, target)
        yield Path(directory)
