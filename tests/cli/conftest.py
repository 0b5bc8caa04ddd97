"""Generated code of the protos beside this file, compiled once."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from angzarr.cli.compiler.users import compile_protos

PROTOS = Path(__file__).with_name("protos")


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that ``cli_messages`` can be imported from."""
    home = tmp_path_factory.mktemp("generated")
    compile_protos([PROTOS], home / "cli_messages")
    return home


@pytest.fixture(scope="session")
def kinds(generated: Path) -> Iterator[ModuleType]:
    """The generated module of the package ``kinds``."""
    sys.path.insert(0, str(generated))
    yield import_module("cli_messages.kinds")
    sys.path.remove(str(generated))
