"""What `angzarr protos compile` writes."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from angzarr._gen.angzarr_client.proto.angzarr import Cover
from angzarr.cli.compiler import protoc
from angzarr.cli.compiler.users import compile_protos
from angzarr.cli.errors import CommandLineError
from angzarr.messages import decode, encode, full_name, message_class, pack, unpack_any
from angzarr.messages.descriptors import descriptor_files

pytestmark = pytest.mark.once

HEAD = 'syntax = "proto3";\n'


def _write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / f"{name.replace('__', '/')}.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + dedent(content))
    return root


def _python(home: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), *sys.path])},
    )


def _refusal(sources: list[Path], out: Path) -> CommandLineError:
    with pytest.raises(CommandLineError) as raised:
        compile_protos(sources, out)
    return raised.value


# What is written


def test_each_package_is_a_module_below_the_directory(generated: Path) -> None:
    files = sorted(
        path.relative_to(generated / "cli_messages").as_posix()
        for path in (generated / "cli_messages").rglob("*.*")
        if "__pycache__" not in path.parts
    )

    assert files == [
        "__init__.py",
        "_registry.py",
        "angzarr_client/__init__.py",
        "angzarr_client/proto/__init__.py",
        "angzarr_client/proto/angzarr/__init__.py",
        "descriptors.binpb",
        "import_/__init__.py",
        "import_/class_/__init__.py",
        "kinds/__init__.py",
        "kinds/more/__init__.py",
        "shop/__init__.py",
        "shop/player/__init__.py",
        "shop/table/__init__.py",
    ]


def test_importing_any_module_registers_every_message(generated: Path) -> None:
    done = _python(
        generated,
        """
        import cli_messages.kinds.more
        from angzarr.messages import message_class
        names = ["Lonely", "Lonely.company", "import.class.Keyword", "kinds.Everything.Inner.Innermost", "kinds.None"]
        print([message_class(name).__name__ for name in names])
        """,
    )

    assert done.stderr == ""
    assert done.stdout == "['Lonely', 'LonelyCompany', 'Keyword', 'EverythingInnerInnermost', 'None_']\n"


def test_a_nested_message_keeps_its_full_name(kinds: ModuleType) -> None:
    assert full_name(kinds.EverythingInner) == "kinds.Everything.Inner"


def test_a_message_without_a_package_is_in_the_root(kinds: ModuleType) -> None:
    assert message_class("Lonely").__module__ == "cli_messages"


def test_a_message_of_another_package_is_that_package_s_class(kinds: ModuleType) -> None:
    message = kinds.Everything(far=message_class("kinds.more.Far")())

    assert type(decode(kinds.Everything, encode(message)).far) is message_class("kinds.more.Far")


def test_a_framework_message_is_angzarr_s_own_class(kinds: ModuleType) -> None:
    message = kinds.Everything(cover=Cover(domain="player"))

    assert type(decode(kinds.Everything, encode(message)).cover) is Cover


def _far(**fields: object) -> Any:
    cls: Any = message_class("kinds.more.Far")
    return cls(**fields)


def test_a_field_of_a_package_named_like_a_keyword_works(kinds: ModuleType) -> None:
    keyword = importlib.import_module("cli_messages.import_.class_")
    message = kinds.Everything(far=_far(keyword=keyword.Keyword(kind=keyword.KeywordLambda.def_)))

    assert decode(kinds.Everything, encode(message)).far.keyword.kind == 1


def test_an_rpc_of_such_a_package_keeps_its_path(generated: Path) -> None:
    source = (generated / "cli_messages" / "import_" / "class_" / "__init__.py").read_text()

    assert '"/import.class.Words/Get"' in source
    assert "import_.class_.Words" not in source


def test_messages_named_like_typing_constructs_do_not_hide_them(kinds: ModuleType) -> None:
    message = kinds.Optional(dict=[kinds.List(list=["a"])], optional="b")

    assert decode(kinds.Optional, encode(message)) == message


def test_fields_named_like_their_types_keep_them(kinds: ModuleType) -> None:
    message = kinds.Everything(str=b"\xff", int=3)

    assert decode(kinds.Everything, encode(message)).str == b"\xff"


def test_a_service_gets_stub_and_base(kinds: ModuleType) -> None:
    assert sorted(name for name in vars(kinds) if name.startswith("Kinds")) == ["KindsBase", "KindsStub"]


def test_a_generated_message_travels_as_any(kinds: ModuleType) -> None:
    packed = pack(kinds.EverythingInner(colour=kinds.EverythingColour.COLOUR_RED))

    assert packed.type_url == "type.googleapis.com/kinds.Everything.Inner"
    assert unpack_any(packed) == kinds.EverythingInner(colour=kinds.EverythingColour.COLOUR_RED)


def test_the_descriptors_beside_the_code_are_complete(generated: Path) -> None:
    content = (generated / "cli_messages" / "descriptors.binpb").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(content).file

    assert {"kinds/kinds.proto", "lonely.proto", "google/protobuf/any.proto"} <= {file.name for file in files}
    assert not any(file.HasField("source_code_info") for file in files)


def test_an_import_makes_the_descriptors_known(kinds: ModuleType) -> None:
    assert {"kinds/kinds.proto", "import/class/keyword.proto"} <= descriptor_files().keys()


def test_the_code_is_the_same_every_time(generated: Path, tmp_path: Path) -> None:
    compile_protos([Path(__file__).with_name("protos")], tmp_path / "cli_messages")

    one, other = (
        {
            path.relative_to(home): path.read_bytes()
            for path in (home / "cli_messages").rglob("*.*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        for home in (generated, tmp_path)
    )
    assert one == other


def test_comments_may_hold_backslashes_and_quotes(tmp_path: Path) -> None:
    comments = [
        "reads C:\\users\\new",
        "ends so: \\",
        'a """ b',
        'ends so: """',
        '"quoted"',
        r'\N{x} \x \"""',
    ]
    source = "package doc;\n" + "".join(
        f"// {comment}\nmessage M{at} {{\n  // {comment}\n  int32 x = 1; }}\n/* {comment}\n   and {comment} */\n"
        f"enum E{at} {{ ZERO{at} = 0; }}\n"
        for at, comment in enumerate(comments)
    )
    compile_protos([_write(tmp_path / "protos", doc=source)], tmp_path / "spoken")
    found = _python(
        tmp_path, "import spoken.doc as d\nfor at in range(6): print(getattr(d, f'M{at}').__doc__)"
    )
    assert found.stderr == ""
    assert found.stdout.splitlines() == [comment.strip('"').rstrip() for comment in comments]


def test_the_code_works_below_another_package(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="package a; message A {}")
    compile_protos([protos], tmp_path / "shop" / "messages")

    done = _python(
        tmp_path, "import shop.messages.a as a; from angzarr import full_name; print(full_name(a.A))"
    )

    assert done.stdout == "a.A\n", done.stderr


def test_the_directory_may_be_called_like_a_module_of_python(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="package a; message A {}")
    compile_protos([protos], tmp_path / "shop" / "types")

    done = _python(tmp_path, "import shop.types.a as a; from angzarr import full_name; print(full_name(a.A))")

    assert done.stdout == "a.A\n", done.stderr


def test_packages_may_import_each_other(tmp_path: Path) -> None:
    protos = _write(
        tmp_path / "protos",
        a__one='package a; import "b/two.proto"; message One { b.Two two = 1; }',
        b__two='package b; import "a/three.proto"; message Two { a.Three three = 1; }',
        a__three="package a; message Three { string name = 1; }",
    )
    compile_protos([protos], tmp_path / "cyclic")

    done = _python(
        tmp_path,
        """
        import cyclic.b as b, cyclic.a as a
        from angzarr.codec import encode
        print(encode(a.One(two=b.Two(three=a.Three(name="x")))))
        """,
    )

    assert done.stdout == r"b'\n\x05\n\x03\n\x01x'" + "\n", done.stderr


def test_several_roots_are_compiled_together(tmp_path: Path) -> None:
    one = _write(tmp_path / "one", a="package a; message A {}")
    two = _write(tmp_path / "two", b='package b; import "a.proto"; message B { a.A a = 1; }')

    compiled = compile_protos([one, two], tmp_path / "both")

    assert compiled.messages == {"a": ("a.A",), "b": ("b.B",)}


def test_a_type_is_looked_up_by_package_and_not_by_its_letters(tmp_path: Path) -> None:
    protos = _write(
        tmp_path / "protos",
        a="package Acme.API; message lower { message inner { int32 x = 1; } inner one = 1; }",
        b='package other; import "a.proto"; message Uses { Acme.API.lower.inner inner = 1; }',
    )
    compile_protos([protos], tmp_path / "letters")

    done = _python(
        tmp_path,
        """
        import letters.other as other
        from angzarr.messages import full_name
        print(full_name(type(other.Uses().inner)))
        """,
    )

    assert done.stdout == "Acme.API.lower.inner\n", done.stderr


def test_calls_of_generated_code_pass_mypy_strict(generated: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        dedent("""
        from datetime import UTC, datetime

        from angzarr.messages import full_name
        from cli_messages.kinds import Everything, EverythingColour, EverythingInner

        def make() -> Everything:
            return Everything(
                a_string="x",
                colour=EverythingColour.COLOUR_RED,
                inner=EverythingInner(colour=EverythingColour.COLOUR_BLUE),
                inners=[EverythingInner()],
                by_name={"a": 1},
                at=datetime(2026, 1, 1, tzinfo=UTC),
                wrapped=3,
            )

        number: int = make().an_int64
        text: str = make().inner.deep.text
        names: list[str] = [full_name(type(inner)) for inner in make().inners]
        """)
    )
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-cli_messages.*]\nfollow_imports = silent\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "app.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(generated)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "Success: no issues found in 1 source file\n"


# What is refused, and what is left as it was


def test_a_syntax_error_is_told_in_the_compiler_s_own_words(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", shop__bad="package shop;\nmessage A { string name = }")

    error = _refusal([protos], tmp_path / "out")

    assert error.message == f"{protos}/shop/bad.proto:3:27: Expected field number."
    assert error.exit_code == 1


def test_nothing_is_written_when_something_is_wrong(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", good="message Good {}", bad="message Bad { Missing x = 1; }")

    _refusal([protos], tmp_path / "deep" / "out")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["protos"]


def test_the_old_code_stays_when_the_new_does_not_compile(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="message A {}")
    compile_protos([protos], tmp_path / "out")
    before = (tmp_path / "out" / "__init__.py").read_text()
    _write(protos, a="message B {")

    _refusal([protos], tmp_path / "out")

    assert (tmp_path / "out" / "__init__.py").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "protos"]


def test_what_is_no_longer_declared_disappears(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="package a; message A {}", b="package b; message B {}")
    compile_protos([protos], tmp_path / "out")
    (protos / "a.proto").unlink()
    compile_protos([protos], tmp_path / "out")

    assert not (tmp_path / "out" / "a").exists()


def test_a_directory_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="message A {}")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "mine.py").write_text("precious = 1\n")

    error = _refusal([protos], tmp_path / "src")

    assert error.message == f"{tmp_path / 'src'} holds mine.py, which was not generated"
    assert (tmp_path / "src" / "mine.py").exists()


@pytest.mark.parametrize("name", ["my-messages", "class", "2nd"])
def test_a_directory_that_cannot_be_imported_is_refused(tmp_path: Path, name: str) -> None:
    protos = _write(tmp_path / "protos", a="message A {}")

    assert f"{name!r} is not an importable name" in _refusal([protos], tmp_path / name).message


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a disk that is full")
def test_a_device_in_place_of_the_directory_is_left_alone(tmp_path: Path) -> None:
    root = _write(tmp_path / "protos", a="package a; message A {}")
    (link := tmp_path / "messages").symlink_to("/dev/full")
    assert str(_refusal([root], link)) == f"{link} is a file"
    assert Path("/dev/full").is_char_device()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    root = _write(tmp_path / "protos", a="package a; message A {}")
    (tmp_path / "file").touch()
    error = _refusal([root], tmp_path / "file" / "messages")
    assert str(error) == f"{tmp_path}/file/messages cannot be written: File exists"
    assert error.remedy == "choose a directory of yours, on a disk with space left"


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = _refusal([tmp_path / "nowhere"], tmp_path / "out")

    assert error.message == f"{tmp_path / 'nowhere'} is not there"


def test_a_file_in_place_of_a_root_is_told_apart(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="message A {}")

    error = _refusal([protos / "a.proto"], tmp_path / "out")

    assert error.message == f"{protos / 'a.proto'} is a file"
    assert str(protos) in error.remedy


def test_a_root_without_protos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert (
        _refusal([tmp_path / "empty"], tmp_path / "out").message
        == f"there is no proto file in {tmp_path / 'empty'}"
    )


@pytest.mark.skipif(os.name == "nt", reason="directories cannot be called so there")
@pytest.mark.parametrize(
    ("directory", "text"),
    [
        ("C:\\x", r".*C:\\x has ':' in its path, where the compiler begins another directory"),
        ("a\nb", r"'.*a\\nb' has characters that the compiler cannot be told"),
        ("a\udcff", r"'.*a\\udcff' has characters that the compiler cannot be told"),
    ],
)
def test_a_root_that_the_compiler_cannot_be_told_is_named(tmp_path: Path, directory: str, text: str) -> None:
    root = _write(tmp_path / directory, a="package a; message A {}")
    error = _refusal([root], tmp_path / "out")
    assert re.fullmatch(text, str(error))
    assert error.remedy
    assert not (tmp_path / "out").exists()


def test_a_file_in_two_roots_is_refused(tmp_path: Path) -> None:
    one = _write(tmp_path / "one", a="message A {}")
    two = _write(tmp_path / "two", a="message A {}")

    assert _refusal([one, two], tmp_path / "out").message == f"a.proto is in {one} and in {two}"


def test_two_names_for_one_class_are_refused(tmp_path: Path) -> None:
    protos = _write(
        tmp_path / "protos", a="package a; message OuterInner {} message Outer { message Inner {} }"
    )

    error = _refusal([protos], tmp_path / "out")

    assert error.message == "a.OuterInner and a.Outer.Inner would both become the Python class 'OuterInner'"


def test_two_names_for_one_enum_member_are_refused(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="enum Kind { KIND_A = 0; X_KIND_A = 1; }")

    assert _refusal([protos], tmp_path / "out").message == (
        "KIND_A and X_KIND_A would both become the Python member of enum Kind 'A'"
    )


def test_aliases_of_an_enum_may_share_a_member(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="enum Kind { option allow_alias = true; KIND_A = 0; A = 0; }")

    assert compile_protos([protos], tmp_path / "aliases").files == 1


def test_proto2_is_refused(tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "old.proto").write_text(
        'syntax = "proto2";\nmessage Old { required int32 x = 1; }\n'
    )

    error = _refusal([tmp_path / "protos"], tmp_path / "out")

    assert error.message == "old.proto is proto2, and only proto3 can be generated"


def test_the_framework_s_package_cannot_be_extended(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="package angzarr_client.proto.angzarr; message Mine {}")

    assert "which is angzarr's own" in _refusal([protos], tmp_path / "out").message


def test_a_vendored_copy_of_the_framework_s_protos_is_not_generated_again(tmp_path: Path) -> None:
    protos = _write(
        tmp_path / "protos",
        angzarr_client__proto__angzarr__types="package angzarr_client.proto.angzarr; message Cover { string old = 1; }",
        a='package a; import "angzarr_client/proto/angzarr/types.proto";'
        "message A { angzarr_client.proto.angzarr.Cover cover = 1; }",
    )
    compile_protos([protos], tmp_path / "vendored")

    done = _python(
        tmp_path,
        """
        from vendored.a import A
        from angzarr import Cover
        print(type(A().cover) is Cover)
        """,
    )
    assert done.stdout == "True\n", done.stderr


def test_generated_code_that_does_not_work_is_not_written(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="message A { string betterproto = 1; string b = 2; }")

    error = _refusal([protos], tmp_path / "out")

    assert error.message.startswith("the generated code does not work: ")
    assert not (tmp_path / "out").exists()


def test_a_missing_compiler_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(protoc, "_NEEDED", {"no_such_module": "grpcio-tools"})

    error = _refusal([tmp_path], tmp_path / "out")

    assert error.message == "compiling protos needs grpcio-tools, which is not installed"
    assert error.remedy == 'pip install "angzarr[compiler]"'


def test_names_with_a_package_in_common_are_told_apart() -> None:
    from angzarr.cli.compiler.plugin import splitter

    split = splitter({"a", "a.b", ""})

    assert [split(name) for name in (".a.b.C.D", ".a.C", ".Alone", ".Outer.Inner")] == [
        ("a.b", "C.D"),
        ("a", "C"),
        ("", "Alone"),
        ("", "Outer.Inner"),
    ]


def test_every_error_of_a_file_is_shown(tmp_path: Path) -> None:
    protos = _write(tmp_path / "protos", a="message A { Missing x = 1; Lost y = 2; }")

    lines = _refusal([protos], tmp_path / "out").message.splitlines()

    assert [re.sub(r":\d+:\d+", "", line) for line in lines] == [
        f'{protos}/a.proto: "Missing" is not defined.',
        f'{protos}/a.proto: "Lost" is not defined.',
    ]
