"""What is committed under angzarr/_gen is what the proto files give."""

from pathlib import Path

import pytest
from betterproto.lib.google.protobuf import FileDescriptorProto, FileDescriptorSet

from angzarr.cli.compiler.framework import framework_tree
from angzarr.cli.compiler.trees import Tree, differences, with_packages, write_tree
from angzarr.codec import encode

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]


def _tree() -> Tree:
    return with_packages(framework_tree(ROOT / "protos"))


def test_the_committed_code_is_what_is_generated() -> None:
    assert differences(_tree(), ROOT / "angzarr" / "_gen") == []


def test_a_changed_a_missing_and_a_left_over_file_are_found(tmp_path: Path) -> None:
    tree: Tree = {Path("a.py"): b"x = 1\n", Path("b.py"): b"y = 2\n"}
    write_tree(tree, tmp_path / "gen")
    (tmp_path / "gen" / "a.py").write_text("x = 2\n")
    (tmp_path / "gen" / "b.py").unlink()
    (tmp_path / "gen" / "c.py").write_text("")

    assert differences(tree, tmp_path / "gen") == [Path("a.py"), Path("b.py"), Path("c.py")]


def test_another_version_of_the_well_known_files_does_not_count(tmp_path: Path) -> None:
    def descriptors(**packages: str) -> bytes:
        files = [
            FileDescriptorProto(name=f"{name}.proto", package=package) for name, package in packages.items()
        ]
        files.append(FileDescriptorProto(name="google/protobuf/any.proto", package=packages["a"]))
        return encode(FileDescriptorSet(file=files))

    write_tree({Path("descriptors.binpb"): descriptors(a="1", b="2")}, tmp_path / "gen")
    (tmp_path / "gen" / "descriptors.binpb").write_bytes(
        descriptors(b="2", a="1").replace(b"any.proto\x12\x011", b"any.proto\x12\x012")
    )

    assert differences({Path("descriptors.binpb"): descriptors(a="1", b="2")}, tmp_path / "gen") == []
    assert differences({Path("descriptors.binpb"): descriptors(a="9", b="2")}, tmp_path / "gen") != []


def test_the_layout_of_the_code_does_not_count(tmp_path: Path) -> None:
    write_tree({Path("a.py"): b"x = [1, 2]\n"}, tmp_path / "gen")

    assert differences({Path("a.py"): b"x = [\n    1,\n    2,\n]\n"}, tmp_path / "gen") == []
