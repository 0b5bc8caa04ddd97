"""Generate the committed messages again; with ``--check`` only say whether they are what would be generated.

These are ``angzarr/_gen`` and the poker example's messages.
Run by `nox -s protos`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from angzarr.cli.compiler.framework import framework_tree
from angzarr.cli.compiler.trees import differences, with_packages, write_tree
from angzarr.cli.compiler.users import compile_protos
from angzarr.cli.errors import CommandLineError

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("examples/poker",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
    try:
        return check() if parser.parse_args().check else generate()
    except CommandLineError as error:
        sys.stderr.write(f"{error.message}\n{error.remedy}\n")
        return 1


def generate() -> int:
    write_tree(with_packages(framework_tree(ROOT / "protos")), ROOT / "angzarr" / "_gen")
    for package in PACKAGES:
        compile_protos([ROOT / package / "protos"], ROOT / package / "messages")
    return 0


def check() -> int:
    found = differences(with_packages(framework_tree(ROOT / "protos")), ROOT / "angzarr" / "_gen")
    for package in PACKAGES:
        found += _stale(ROOT / package)
    sys.stderr.writelines(f"{path}: not what `nox -s protos` generates\n" for path in found)
    return 1 if found else 0


def _stale(package: Path) -> list[Path]:
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory) / "messages"
        compile_protos([package / "protos"], fresh)
        tree = {path.relative_to(fresh): path.read_bytes() for path in fresh.rglob("*") if path.is_file()}
        return differences(tree, package / "messages")


if __name__ == "__main__":
    raise SystemExit(main())
