"""Generate ``angzarr/_gen`` from ``protos``; with ``--check`` only say whether it is what would be generated.

Run by `nox -s protos`.
"""

import argparse
import sys
from pathlib import Path

from angzarr.cli.compiler.framework import framework_tree
from angzarr.cli.compiler.trees import differences, with_packages, write_tree
from angzarr.cli.errors import CommandLineError

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
    check = parser.parse_args().check
    target = ROOT / "angzarr" / "_gen"
    try:
        tree = with_packages(framework_tree(ROOT / "protos"))
    except CommandLineError as error:
        sys.stderr.write(f"{error.message}\n{error.remedy}\n")
        return 1
    if check:
        found = differences(tree, target)
        sys.stderr.writelines(f"{path}: not what `nox -s protos` generates\n" for path in found)
        return 1 if found else 0
    write_tree(tree, target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
