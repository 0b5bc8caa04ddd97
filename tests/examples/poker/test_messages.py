from pathlib import Path

import examples.poker
from angzarr.cli.compiler.users import compile_protos

HERE = Path(examples.poker.__file__).parent


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_the_committed_messages_are_what_the_protos_generate(tmp_path: Path) -> None:
    compile_protos([HERE / "protos"], tmp_path / "messages")
    assert contents(tmp_path / "messages") == contents(HERE / "messages")
